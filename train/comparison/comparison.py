"""From the results of several methods to one comparison: who is compared, on what, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from caiseg.errors import InvalidInput
from train.comparison.comparable import check_comparable
from train.comparison.measures import Measure, MeasureTable, measure_tables
from train.comparison.method_results import MethodResults, Session
from train.comparison.statistics import (
    PairedTest,
    Spread,
    Values,
    holm,
    mean_band,
    paired_test,
    places,
    spread,
)
from train.evaluation.protocol import EvaluationProtocol

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """One method under one measure.

    Attributes:
        values: ``(cases, seeds)``, or trainings where a method was trained several times.
        spread: Mean, standard deviations and interval.
        place: 1 for the best method; equal means share a place.
        failure_rate: Share of sessions that never reached the target of a count of clicks.
        test: Against the reference; ``None`` for the reference itself and untested measures.
        p_holm: The test's p, adjusted for all tests of the comparison.
    """

    values: Values
    spread: Spread
    place: int
    failure_rate: float | None = None
    test: PairedTest | None = None
    p_holm: float | None = None

    @property
    def differs(self) -> bool:
        """Whether the difference from the reference is significant after the correction."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANT


@dataclass(frozen=True)
class Curve:
    """Mean Dice after 0, 1, 2, ... clicks, with pointwise confidence limits of the mean."""

    mean: list[float]
    low: list[float] | None
    high: list[float] | None


@dataclass(frozen=True)
class ClickShares:
    """Of all clicks that were made: how many were obeyed and did harm; ``None`` without clicks."""

    total: int
    obeyed: float | None
    harmful: float | None
    seconds: float | None


@dataclass(frozen=True)
class Comparison:
    """Everything that the report says, before it is written down.

    Attributes:
        methods: The compared methods, the reference first.
        protocol: How all were clicked and judged.
        cases: Names of the cases that every method was evaluated on.
        left_out: Per method, the cases that it failed on, and why.
        tables: Measures by table.
        cells: By method and measure.
        curves: By method.
        shares: By method.
        absent: Methods that gave no results at all, and why.
    """

    methods: tuple[MethodResults, ...]
    protocol: EvaluationProtocol
    cases: tuple[str, ...]
    left_out: dict[str, dict[str, str]]
    tables: tuple[MeasureTable, ...]
    cells: dict[tuple[str, str], Cell]
    curves: dict[str, Curve]
    shares: dict[str, ClickShares]
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """What the methods are called, the reference first."""
        return [method.label for method in self.methods]

    @property
    def reference(self) -> str:
        """The method that all others are tested against."""
        return self.methods[0].label

    @property
    def patients(self) -> int:
        """Patients among the compared cases."""
        sessions = self.methods[0].sessions
        return len({rows[0].patient for (case, _), rows in sessions.items() if case in self.cases})

    @property
    def attempted(self) -> int:
        """Cases that the methods were asked to segment."""
        return self.methods[0].summary.data.cases

    @property
    def tests(self) -> int:
        """How many tests Holm's correction counts."""
        return sum(cell.p_holm is not None for cell in self.cells.values())


def compare_methods(methods: Sequence[MethodResults], reference: str | None = None) -> Comparison:
    """Compare methods that were evaluated on the same data under the same protocol.

    Cases that one method failed on are left out for all, and named.

    Args:
        methods: At least one.
        reference: Label of the method that the others are tested against; ``caiseg`` where there
            is one, else the first.

    Raises:
        InvalidInput: Two methods share a label, the reference is none of them, or protocol or
            data differ.
    """
    methods = _reference_first(methods, reference)
    first = methods[0]
    for other in methods[1:]:
        check_comparable(first, other)
    common = sorted(set.intersection(*(set(method.cases) for method in methods)))
    if not common:
        raise InvalidInput(
            "No case was evaluated for every method; look at the reasons in each summary.json and "
            "evaluate again."
        )
    labels = [method.label for method in methods]
    protocol = first.summary.settings
    tables = measure_tables(protocol)
    cells: dict[tuple[str, str], Cell] = {}
    for table in tables:
        # Dice after the last click stands in two tables, and its test in the first of them.
        for measure in (item for item in table.measures if (labels[0], item.key) not in cells):
            row = _cells(methods, measure, common, tested=table.tested and measure.tested)
            cells |= {(label, measure.key): cell for label, cell in row.items()}
    return Comparison(
        methods=methods,
        protocol=protocol,
        cases=tuple(common),
        left_out={
            method.label: {item.case: item.reason for item in method.summary.failed}
            for method in methods
        },
        tables=tables,
        cells=_adjusted(cells),
        curves={method.label: _curve(method, common) for method in methods},
        shares={method.label: _shares(method, common) for method in methods},
    )


def _reference_first(
    methods: Sequence[MethodResults], reference: str | None
) -> tuple[MethodResults, ...]:
    labels = [method.label for method in methods]
    for label in labels:
        if labels.count(label) > 1:
            raise InvalidInput(
                f"Two results are called {label}; tell them apart by NAME=FOLDER, for example "
                f"{label}-large=FOLDER."
            )
    if reference is None:
        reference = "caiseg" if "caiseg" in labels else labels[0]
    if reference not in labels:
        raise InvalidInput(
            f"The reference {reference} is none of the compared methods; choose one of "
            f"{', '.join(labels)}."
        )
    return tuple(sorted(methods, key=lambda method: method.label != reference))


def _cells(
    methods: Sequence[MethodResults], measure: Measure, cases: Sequence[str], *, tested: bool
) -> dict[str, Cell]:
    values = {method.label: _values(method, measure, cases) for method in methods}
    means = [float(found.mean()) for found in values.values()]
    ranking = places(means, higher_is_better=measure.higher_is_better)
    reference = methods[0].label
    cells = {}
    for method, place in zip(methods, ranking, strict=True):
        found = values[method.label]
        test = None
        if tested and method.label != reference:
            test = paired_test(found, values[reference])
        cells[method.label] = Cell(
            values=found,
            spread=spread(found),
            place=place,
            failure_rate=_failure_rate(method, measure, cases),
            test=test,
        )
    return cells


def _values(method: MethodResults, measure: Measure, cases: Sequence[str]) -> Values:
    """One value per case and repeat, the mean of the repeat's sessions."""
    return np.array(
        [
            [
                np.mean([measure.value(method.sessions[case, seed]) for seed in repeat])
                for repeat in method.repeats
            ]
            for case in cases
        ]
    )


def _failure_rate(method: MethodResults, measure: Measure, cases: Sequence[str]) -> float | None:
    if measure.failed is None:
        return None
    return float(np.mean([measure.failed(rows) for rows in _chosen(method, cases)]))


def _adjusted(cells: dict[tuple[str, str], Cell]) -> dict[tuple[str, str], Cell]:
    """The cells with Holm's correction over all their tests."""
    tested = {
        place: cell.test.p
        for place, cell in cells.items()
        if cell.test is not None and cell.test.p is not None
    }
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return {place: replace(cell, p_holm=adjusted.get(place)) for place, cell in cells.items()}


def _curve(method: MethodResults, cases: Sequence[str]) -> Curve:
    curves = np.array(
        [
            np.mean(
                [[row.dice for row in method.sessions[case, seed]] for seed in method.seeds], axis=0
            )
            for case in cases
        ]
    )
    mean = curves.mean(axis=0).tolist()
    if len(cases) < 2:
        return Curve(mean, None, None)
    low, high = mean_band(curves)
    return Curve(mean, low.tolist(), high.tolist())


def _shares(method: MethodResults, cases: Sequence[str]) -> ClickShares:
    made = [row for rows in _chosen(method, cases) for row in rows if row.click_label is not None]
    times = [row.click_seconds for row in made if row.click_seconds is not None]
    return ClickShares(
        total=len(made),
        obeyed=float(np.mean([bool(row.obeyed) for row in made])) if made else None,
        harmful=float(np.mean([bool(row.harmful) for row in made])) if made else None,
        seconds=float(np.median(times)) if times else None,
    )


def _chosen(method: MethodResults, cases: Sequence[str]) -> list[Session]:
    return [method.sessions[case, seed] for case in cases for seed in method.seeds]
