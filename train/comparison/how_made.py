"""How the weights of the compared methods were made, so that equal budgets can be checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from train.comparison.comparison import Comparison
from train.comparison.method_results import Weights
from train.comparison.tables import TextCell, TextTable

COLUMNS = {
    "config": "config",
    "started from": "started from",
    "epochs done": "epochs",
    "training hours": "hours",
    "cases": "cases",
    "hardware": "hardware",
    "seed": "seed",
    "commit": "code",
}
"""Headings of the columns, by what a checkpoint calls it."""


def weights_table(comparison: Comparison) -> TextTable | None:
    """One row for each training; ``None`` where no method has weights."""
    rows = [
        (label, [*(_cell(weights, key) for key in COLUMNS), TextCell(weights.licence or "–")])
        for label, weights in trainings(comparison)
    ]
    if not rows:
        return None
    return TextTable("How the weights were made", [*COLUMNS.values(), "licence"], rows)


def command_lines(comparison: Comparison) -> list[str]:
    """The commands that trained the weights."""
    return [
        f"{label} was trained by: {weights.provenance['command']}"
        for label, weights in trainings(comparison)
        if "command" in weights.provenance
    ]


def trainings(comparison: Comparison) -> Iterator[tuple[str, Weights]]:
    """Every training, with a number where a method has several."""
    for method in comparison.methods:
        for number, weights in enumerate(method.weights, start=1):
            several = len(method.weights) > 1
            yield f"{method.label}, training {number}" if several else method.label, weights


def without_experiment(weights: Weights) -> dict[str, Any]:
    """Weights as a compact summary keeps them: the command says what the whole config would."""
    document = weights.model_dump()
    document["provenance"].pop("experiment", None)
    return document


def _cell(weights: Weights, key: str) -> TextCell:
    """A fact about a training, and the same of runs whose weights were averaged with its own."""
    others = [
        _text(found.get(key))
        for name, found in weights.provenance.items()
        if name.startswith("averaged with") and isinstance(found, dict)
    ]
    detail = "\n".join(f"averaged with: {other}" for other in others)
    return TextCell(_text(weights.provenance.get(key)), detail)


def _text(value: Any) -> str:
    """A fact in words; a training that another one started from with the effort that it took."""
    if not isinstance(value, dict):
        return "–" if value is None else str(value)
    parts = [
        str(value.get("checkpoint", "unnamed")),
        f"sha256 {value.get('sha256', 'unknown')}",
        f"{value.get('epochs done', '?')} epochs",
        f"{value.get('training hours', '?')} h",
    ]
    if "started from" in value:
        parts.append(f"from {_text(value['started from'])}")
    return ", ".join(parts)
