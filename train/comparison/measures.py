"""The measures that methods are compared by: how each is read from a session and written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from train.comparison.method_results import Session
from train.evaluation.metrics import mean_over_clicks, number_of_clicks
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.report import DICE_ROUNDS, NOC_TARGETS


@dataclass(frozen=True)
class Measure:
    """One column of a table.

    Attributes:
        key: Its name in files.
        name: Its heading.
        value: The value of one session.
        higher_is_better: Which end is good.
        scale: Factor between the value in files and the value in tables: 100 for percent.
        decimals: Digits behind the point in tables.
        failed: For counts of clicks, whether a session never reached the target.
        tested: Whether it may be tested; not where another measure says the same in other numbers.
    """

    key: str
    name: str
    value: Callable[[Session], float]
    higher_is_better: bool = True
    scale: float = 100.0
    decimals: int = 1
    failed: Callable[[Session], bool] | None = None
    tested: bool = True

    def format(self, value: float, *, signed: bool = False) -> str:
        """The value as tables show it, with a true minus sign."""
        # Adding 0 turns a negative zero into zero, which has no sign.
        rounded = round(value * self.scale, self.decimals) + 0.0
        text = f"{rounded:{'+' if signed and rounded else ''}.{self.decimals}f}"
        return text.replace("-", "−")


@dataclass(frozen=True)
class MeasureTable:
    """Measures that stand in one table.

    Attributes:
        key: Its name in files.
        title: What it shows.
        measures: Its columns.
        tested: Whether differences of its measures from the reference are tested.
    """

    key: str
    title: str
    measures: tuple[Measure, ...]
    tested: bool


def measure_tables(protocol: EvaluationProtocol) -> tuple[MeasureTable, ...]:
    """What the paper's Tables I and II hold, the area under Dice, and Dice on the way there.

    Surface measures are left out where the protocol did not measure them in the last round.
    """
    last = protocol.clicks
    agreement = [
        _at("dice", "Dice, %", last),
        # A case with the higher Dice has the higher Jaccard, so a test would find nothing new.
        replace(_at("jaccard", "Jaccard, %", last), tested=False),
        _at("precision", "Precision, %", last),
        _at("recall", "Recall, %", last),
    ]
    if protocol.measures_surface(last):
        agreement += [
            _at("hd95_mm", "HD95, mm", last, higher_is_better=False, scale=1.0),
            _at("asd_mm", "ASD, mm", last, higher_is_better=False, scale=1.0, decimals=2),
            _at("nsd", f"NSD at {protocol.surface_tolerance_mm:g} mm, %", last),
        ]
    counts = sorted({count for count in (*DICE_ROUNDS, last) if count <= last})
    return (
        MeasureTable("agreement", f"Agreement after {clicks(last)}", tuple(agreement), True),
        MeasureTable(
            "clicks_needed",
            "Dice on the way, and clicks needed to reach a Dice of 80, 85 and 90 %",
            (_over_clicks(last), *(_number_of_clicks(target, last) for target in NOC_TARGETS)),
            True,
        ),
        MeasureTable(
            "dice_by_clicks",
            "Dice in percent, by number of clicks",
            tuple(_at("dice", clicks(count), count) for count in counts),
            False,
        ),
    )


def clicks(count: int) -> str:
    """A number of clicks in words."""
    return "1 click" if count == 1 else f"{count} clicks"


def _at(
    field: str,
    name: str,
    count: int,
    *,
    higher_is_better: bool = True,
    scale: float = 100.0,
    decimals: int = 1,
) -> Measure:
    return Measure(
        key=f"{field}_after_{count}",
        name=name,
        value=lambda session: float(getattr(session[count], field)),
        higher_is_better=higher_is_better,
        scale=scale,
        decimals=decimals,
    )


def _over_clicks(last: int) -> Measure:
    """The area under Dice against clicks, which every click counts for."""
    return Measure(
        key="dice_over_clicks",
        name=f"mean Dice over 0 to {last} clicks, %",
        value=lambda session: mean_over_clicks([row.dice for row in session]),
    )


def _number_of_clicks(target: int, most: int) -> Measure:
    """Clicks to reach a Dice, ``most`` where it is never reached."""

    def reached(session: Session) -> int | None:
        return number_of_clicks([row.dice for row in session], target / 100)

    def value(session: Session) -> float:
        count = reached(session)
        return float(most if count is None else count)

    return Measure(
        key=f"noc_{target}",
        name=f"NoC@{target}",
        value=value,
        higher_is_better=False,
        scale=1.0,
        failed=lambda session: reached(session) is None,
    )
