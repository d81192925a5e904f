"""How a benchmark shows what it measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from train.circumstances import machine, versions
from train.files import replacing


@dataclass(frozen=True)
class Target:
    """What a figure is to reach.

    Attributes:
        limit: In the unit of the figure.
        at_least: Whether more is better; else less is.
    """

    limit: float
    at_least: bool = False

    def reached(self, value: float) -> bool:
        """Whether a figure is there."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"at {'least' if self.at_least else 'most'} {self.limit:g}"


@dataclass(frozen=True)
class Measurement:
    """One line of a report.

    Attributes:
        what: What was measured, as a person would say it.
        value: The figure.
        unit: Its unit.
        share: Part of the whole, from 0 to 1, where the line is one of the parts.
        target: What it is to reach, where there is such a thing.
    """

    what: str
    value: float
    unit: str
    share: float | None = None
    target: Target | None = None

    @property
    def verdict(self) -> str:
        """The target and whether it is reached; empty where there is none."""
        if self.target is None:
            return ""
        return f"{self.target}: {'reached' if self.target.reached(self.value) else 'missed'}"


def show(console: Console, title: str, lines: Sequence[Measurement]) -> None:
    """Print measurements as a table."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("share", justify="right")
    table.add_column("target")
    for line in lines:
        share = "" if line.share is None else f"{line.share:.0%}"
        table.add_row(line.what, f"{line.value:.3g} {line.unit}", share, line.verdict)
    console.print(table)


def write(
    path: Path, settings: Mapping[str, Any], lines: Sequence[Measurement], device: torch.device
) -> None:
    """Write measurements as JSON, with the settings and the machine that they depend on.

    Raises:
        CannotWrite: The disk is full or the folder cannot be written.
    """
    document = {
        "settings": dict(settings),
        "measured": {
            line.what: {"value": line.value, "unit": line.unit}
            | ({"target": line.verdict} if line.target else {})
            for line in lines
        },
        "machine": machine(device),
        "versions": versions(),
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
