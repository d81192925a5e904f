"""The comparison in words and numbers, as both the Markdown file and the page show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from train.comparison.comparison import Cell, Comparison
from train.comparison.measures import Measure, clicks
from train.comparison.statistics import Interval


@dataclass(frozen=True)
class TextCell:
    """One cell.

    Attributes:
        text: The number that counts.
        detail: What is said beside it in smaller letters, in lines.
        place: 1 and 2 are marked; ``None`` where nothing is ranked.
        differs: Whether a significant difference from the reference is marked.
    """

    text: str
    detail: str = ""
    place: int | None = None
    differs: bool = False


@dataclass(frozen=True)
class TextTable:
    """A table with one row per method.

    Attributes:
        title: Its caption.
        headings: Of all columns after the method's name.
        rows: Method and cells.
    """

    title: str
    headings: list[str]
    rows: list[tuple[str, list[TextCell]]]


def score_tables(comparison: Comparison) -> list[TextTable]:
    """Means and spreads of all methods, best and second best marked."""
    several = len(comparison.methods) > 1
    tables = []
    for table in comparison.tables:
        write = _spread_cell if table.tested else _interval_cell
        rows = _rows(comparison, comparison.labels, table.measures, write, ranked=several)
        tables.append(TextTable(table.title, [item.name for item in table.measures], rows))
    return tables


def difference_tables(comparison: Comparison) -> list[TextTable]:
    """Every method minus the reference, with interval and p; none when nothing is compared."""
    others = comparison.labels[1:]
    if not others:
        return []
    return [
        TextTable(
            f"{table.title}: difference from {comparison.reference}",
            [item.name for item in table.measures if item.tested],
            _rows(
                comparison, others, tuple(item for item in table.measures if item.tested),
                _difference_cell, ranked=False,
            ),
        )
        for table in comparison.tables
        if table.tested
    ]  # fmt: skip


def click_table(comparison: Comparison) -> TextTable:
    """What became of the clicks themselves."""
    rows = []
    for label in comparison.labels:
        shares = comparison.shares[label]
        rows.append(
            (
                label,
                [
                    TextCell(f"{shares.total}"),
                    TextCell(_percent(shares.obeyed)),
                    TextCell(_percent(shares.harmful)),
                    TextCell("–" if shares.seconds is None else f"{shares.seconds:.2f}"),
                ],
            )
        )
    headings = ["clicks made", "obeyed, %", "lowered Dice, %", "median time per click, s"]
    return TextTable("Clicks", headings, rows)


def case_table(comparison: Comparison) -> TextTable:
    """Dice of every case after all clicks, one row per case."""
    key = f"dice_after_{comparison.protocol.clicks}"
    values = {
        label: comparison.cells[label, key].values.mean(axis=1) for label in comparison.labels
    }
    volumes = comparison.methods[0].lesion_ml
    rows = [
        (
            case,
            [
                TextCell(f"{volumes[case]:.1f}"),
                *(TextCell(f"{100 * values[label][place]:.1f}") for label in comparison.labels),
            ],
        )
        for place, case in enumerate(comparison.cases)
    ]
    title = f"Dice in percent after {clicks(comparison.protocol.clicks)}, case by case"
    return TextTable(title, ["lesion, mL", *comparison.labels], rows)


def verdict(comparison: Comparison) -> str:
    """The result in one or two sentences: the reference against the best of the others."""
    last = comparison.protocol.clicks
    measure = comparison.tables[0].measures[0]
    mine = comparison.cells[comparison.reference, measure.key]
    reached = (
        f"{comparison.reference} reaches a Dice of {measure.format(mine.spread.mean)} % after "
        f"{clicks(last)} ({case_count(len(comparison.cases))})."
    )
    others = comparison.labels[1:]
    if not others:
        return reached
    rival = min(others, key=lambda label: comparison.cells[label, measure.key].place)
    cell = comparison.cells[rival, measure.key]
    test = cell.test
    if test is None:
        return reached
    if test.difference == 0:
        return f"{reached} {rival} reaches the same."
    gap = f"{abs(test.difference) * measure.scale:.1f} points"
    side = "below" if test.difference < 0 else "above"
    best_of = "the only other method" if len(others) == 1 else "the best of the others"
    sentence = f"{reached} {rival}, {best_of}, lies {gap} {side}"
    if cell.p_holm is None:
        return f"{sentence}; one case allows no test."
    kind = "significant" if cell.differs else "not significant"
    return f"{sentence}, a difference that is {kind} (p {_p(cell.p_holm)} after correction)."


def _rows(
    comparison: Comparison,
    labels: list[str],
    measures: tuple[Measure, ...],
    write: Callable[[Measure, Cell], TextCell],
    *,
    ranked: bool,
) -> list[tuple[str, list[TextCell]]]:
    rows = []
    for label in labels:
        cells = []
        for measure in measures:
            cell = comparison.cells[label, measure.key]
            text = write(measure, cell)
            if ranked:
                place = _mark(comparison, measure, cell)
                text = replace(text, place=place, differs=cell.differs)
            cells.append(text)
        rows.append((label, cells))
    return rows


def _mark(comparison: Comparison, measure: Measure, cell: Cell) -> int | None:
    """The cell's place; none where all methods are equally good, so that nobody is best."""
    all_places = {comparison.cells[label, measure.key].place for label in comparison.labels}
    return cell.place if len(all_places) > 1 else None


def _spread_cell(measure: Measure, cell: Cell) -> TextCell:
    text = measure.format(cell.spread.mean)
    if cell.spread.sd_cases is not None:
        text += f" ± {measure.format(cell.spread.sd_cases)}"
    details = []
    if cell.spread.sd_seeds is not None:
        details.append(f"seeds ± {measure.format(cell.spread.sd_seeds)}")
    if cell.failure_rate is not None:
        details.append(f"{100 * cell.failure_rate:.0f} % failed")
    return TextCell(text, ", ".join(details))


def _interval_cell(measure: Measure, cell: Cell) -> TextCell:
    return TextCell(measure.format(cell.spread.mean), _interval(measure, cell.spread.interval))


def _difference_cell(measure: Measure, cell: Cell) -> TextCell:
    assert cell.test is not None, "every method but the reference is tested"
    detail = _interval(measure, cell.test.interval, signed=True)
    if cell.test.p is not None and cell.p_holm is not None:
        detail += f"\np {_p(cell.test.p)}\nHolm {_p(cell.p_holm)}"
    text = measure.format(cell.test.difference, signed=True)
    return TextCell(text, detail, differs=cell.differs)


def _interval(measure: Measure, interval: Interval | None, *, signed: bool = False) -> str:
    if interval is None:
        return ""
    low, high = (measure.format(limit, signed=signed) for limit in (interval.low, interval.high))
    return f"[{low}, {high}]"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def case_count(count: int) -> str:
    """A number of cases in words."""
    return "1 case" if count == 1 else f"{count} cases"
