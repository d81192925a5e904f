"""The files of a comparison that hold numbers: Markdown, CSV and a compact JSON summary."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from train.comparison.comparison import Cell, Comparison
from train.comparison.how_made import command_lines, weights_table, without_experiment
from train.comparison.notes import method_notes
from train.comparison.statistics import CONFIDENCE, RESAMPLES, SEED
from train.comparison.tables import (
    TextCell,
    TextTable,
    click_table,
    difference_tables,
    score_tables,
    verdict,
)
from train.evaluation.results import write_text


def write_numbers(folder: Path, comparison: Comparison, title: str) -> list[Path]:
    """Write ``comparison.md``, ``comparison.csv``, ``comparison.json`` and ``cases.csv``.

    Args:
        folder: Where to.
        comparison: What to write.
        title: Heading of the Markdown file.

    Raises:
        InvalidInput: A file cannot be written.
    """
    written = {
        "comparison.md": markdown(comparison, title),
        "comparison.csv": _csv(_statistics_rows(comparison)),
        "cases.csv": _csv(_case_rows(comparison)),
        "comparison.json": json.dumps(compact_summary(comparison), indent=1) + "\n",
    }
    for name, text in written.items():
        write_text(folder / name, text)
    return [folder / name for name in written]


def markdown(comparison: Comparison, title: str) -> str:
    """The comparison as a Markdown document."""
    parts = [f"# {title}", verdict(comparison)]
    parts += [_markdown_table(table) for table in score_tables(comparison)]
    parts.append(_markdown_table(click_table(comparison)))
    if differences := difference_tables(comparison):
        parts.append("## Differences")
        parts += [_markdown_table(table) for table in differences]
    if (weights := weights_table(comparison)) is not None:
        parts += ["## How the weights were made", _markdown_table(weights)]
    parts.append("## How to read this")
    parts.append("\n".join(f"- {_escaped(note)}" for note in method_notes(comparison)))
    parts.append("## Where it comes from")
    parts.append("\n".join(f"- {_escaped(line)}" for line in provenance_lines(comparison)))
    return "\n\n".join(parts) + "\n"


def provenance_lines(comparison: Comparison) -> list[str]:
    """Data, protocol, weights, code and machines behind the numbers."""
    data, protocol = comparison.methods[0].summary.data, comparison.protocol
    lines = [
        f"Data: split {data.split} of {data.manifest} (split {data.split_hash}, content "
        f"{data.content_hash[:16]}), {len(comparison.cases)} of {comparison.attempted} cases.",
        f"Clicks: up to {protocol.clicks}, by the {protocol.rule.value} rule, "
        f"{protocol.seeds} seed{'s' if protocol.seeds > 1 else ''} per case; metrics on the native "
        "grid.",
    ]
    for method in comparison.methods:
        summary = method.summary
        weights = "".join(
            f", {found.file} (sha256 {found.sha256[:16]})" for found in method.weights
        )
        machine = summary.machine
        lines.append(
            f"{method.label}: method {summary.method}{weights}; code "
            f"{summary.versions.get('commit', 'unknown')}; on {machine.get('device', 'unknown')}, "
            f"{machine.get('processor', 'unknown')}, {machine.get('threads', '?')} threads."
        )
    return lines + command_lines(comparison)


def compact_summary(comparison: Comparison) -> dict[str, Any]:
    """What is worth keeping of a comparison: numbers, and where they come from.

    Enough to redraw the plot and the tables; values in [0, 1], mm and clicks.
    """
    data = comparison.methods[0].summary.data
    return {
        "reference": comparison.reference,
        "data": data.model_dump(),
        "compared_cases": len(comparison.cases),
        "left_out": {label: failed for label, failed in comparison.left_out.items() if failed},
        "absent": dict(comparison.absent),
        "protocol": comparison.protocol.model_dump(mode="json"),
        "statistics": {
            "sd": "sample standard deviation over cases, each averaged over its seeds",
            "interval": f"BCa bootstrap over cases, {RESAMPLES} resamples, seed {SEED}",
            "confidence": CONFIDENCE,
            "test": "two-sided Wilcoxon signed-rank test over cases against the reference",
            "correction": f"Holm over {comparison.tests} tests",
        },
        "methods": {
            method.label: {
                "method": method.summary.method,
                "trainings": method.trainings,
                "weights": [without_experiment(weights) for weights in method.weights],
                "machine": method.summary.machine,
                "versions": method.summary.versions,
                "clicks": asdict(comparison.shares[method.label]),
                "dice_by_clicks": _rounded(asdict(comparison.curves[method.label])),
                "measures": {
                    measure.key: _rounded(_statistics(comparison.cells[method.label, measure.key]))
                    for table in comparison.tables
                    for measure in table.measures
                },
            }
            for method in comparison.methods
        },
    }


def _statistics(cell: Cell) -> dict[str, Any]:
    """All numbers of a cell, flat; what does not exist is ``None``."""
    spread, test = cell.spread, cell.test
    interval = spread.interval
    between = test.interval if test else None
    return {
        "mean": spread.mean,
        "sd_cases": spread.sd_cases,
        "sd_seeds": spread.sd_seeds,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "place": cell.place,
        "failure_rate": cell.failure_rate,
        "difference": test.difference if test else None,
        "difference_low": between.low if between else None,
        "difference_high": between.high if between else None,
        "unequal_pairs": test.unequal if test else None,
        "p": test.p if test else None,
        "p_holm": cell.p_holm,
    }


def _statistics_rows(comparison: Comparison) -> Iterable[dict[str, Any]]:
    for label in comparison.labels:
        for table in comparison.tables:
            for measure in table.measures:
                cell = comparison.cells[label, measure.key]
                cases = len(comparison.cases)
                row = {"table": table.key, "method": label, "measure": measure.key, "cases": cases}
                yield row | _statistics(cell)


def _case_rows(comparison: Comparison) -> Iterable[dict[str, Any]]:
    """One row per case and method; means over seeds."""
    for place, case in enumerate(comparison.cases):
        for method in comparison.methods:
            row: dict[str, Any] = {"case": case, "method": method.label}
            row["lesion_ml"] = round(method.lesion_ml[case], 4)
            for measure in (item for table in comparison.tables for item in table.measures):
                values = comparison.cells[method.label, measure.key].values
                row[measure.key] = round(float(values[place].mean()), 6)
            yield row


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    rows = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown_table(table: TextTable) -> str:
    lines = [f"**{table.title}**", "", f"| | {' | '.join(table.headings)} |"]
    lines.append("|---|" + "---:|" * len(table.headings))
    lines += [
        f"| {_escaped(label)} | {' | '.join(map(_markdown_cell, cells))} |"
        for label, cells in table.rows
    ]
    return "\n".join(lines)


def _markdown_cell(cell: TextCell) -> str:
    text = {1: f"**{cell.text}**", 2: f"<u>{cell.text}</u>"}.get(cell.place or 0, cell.text)
    if cell.differs:
        text += "\\*"
    if not cell.detail:
        return text
    detail = cell.detail.replace("\n", ", ")
    return f"{text} {detail}" if detail.startswith("[") else f"{text} ({detail})"


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("|", "\\|")


def _rounded(value: Any) -> Any:
    """The same document with six digits behind each point, which is more than is known."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(item) for item in value]
    return value
