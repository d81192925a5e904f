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
class Measurement:
    """One line of a report.

    Attributes:
        what: What was measured, as a person would say it.
        value: The figure.
        unit: Its unit.
        share: Part of the whole, from 0 to 1, where the line is one of the parts.
    """

    what: str
    value: float
    unit: str
    share: float | None = None


def show(console: Console, title: str, lines: Sequence[Measurement]) -> None:
    """Print measurements as a table."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("share", justify="right")
    for line in lines:
        share = "" if line.share is None else f"{line.share:.0%}"
        table.add_row(line.what, f"{line.value:.3g} {line.unit}", share)
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
        "measured": {line.what: {"value": line.value, "unit": line.unit} for line in lines},
        "machine": machine(device),
        "versions": versions(),
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
