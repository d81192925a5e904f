"""The progress bar that all commands show, with the time that is left."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def progress_bar(console: Console, *, note: str = "", percent: bool = False) -> Progress:
    """A bar with what is done, the time it took and the time left.

    Args:
        console: Where it is shown.
        note: Name of a task's field that is shown beside the bar; none when empty.
        percent: Whether to show a share instead of a count.
    """
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn() if percent else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    ]
    if note:
        columns.insert(3, TextColumn(f"{{task.fields[{note}]}}"))
    # A case may take longer than the half minute over which rich looks back by default.
    return Progress(*columns, console=console, speed_estimate_period=3600)
