"""What ``python -m train prepare`` shows of the cases that it examined."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from train.examination import Finding
from train.splits import in_order

EXAMPLES = 5
"""Cases named beside a notice that many share."""


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print tables of what was found, of what needs attention, and of what was refused and why.

    Args:
        console: Where to print.
        findings: In the order in which cases are named.
    """
    usable = [finding for finding in findings if not finding.refusal]
    if usable:
        console.print(_found(usable))
    noticed = [finding for finding in usable if finding.notices]
    if noticed:
        console.print(_notices(noticed))
    refused = [finding for finding in findings if finding.refusal]
    if refused:
        console.print(_refused(refused))


def _found(findings: Sequence[Finding]) -> Table:
    patients = {finding.case.patient for finding in findings}
    table = Table(title=f"{_count(findings, 'case')} of {_count(patients, 'patient')} can be used")
    table.add_column("split")
    for heading in ("patients", "cases", "median voxels", "lesion mL: min, median, max"):
        table.add_column(heading, justify="right")
    for split in in_order(finding.case.split for finding in findings):
        part = [finding for finding in findings if finding.case.split == split]
        sizes = (median(finding.shape[axis] for finding in part) for axis in range(3))
        volumes = [finding.lesion_ml for finding in part]
        table.add_row(
            Text(split),
            str(len({finding.case.patient for finding in part})),
            str(len(part)),
            " × ".join(f"{size:.0f}" for size in sizes),
            "  ".join(f"{value:.3g}" for value in (min(volumes), median(volumes), max(volumes))),
        )
    if not any(finding.case.split == "val" for finding in findings):
        table.caption = (
            "No case is in the split 'val': fit cannot choose weights, and keeps the last."
        )
    return table


def _notices(findings: Sequence[Finding]) -> Table:
    cases: dict[str, list[str]] = {}
    for finding in findings:
        for notice in finding.notices:
            cases.setdefault(notice, []).append(finding.case.name)
    table = Table("reservation", "cases", title="Used with reservations")
    for notice, names in cases.items():
        further = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
        table.add_row(Text(notice), Text(", ".join(names[:EXAMPLES]) + further))
    return table


def _refused(findings: Sequence[Finding]) -> Table:
    table = Table("case", "why", title=f"{_count(findings, 'case')} refused")
    for finding in findings:
        table.add_row(Text(finding.case.name), Text(finding.refusal))
    return table


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
