"""What ``fit`` shows in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from train.bars import progress_bar


@contextmanager
def training_progress(console: Console, name: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar over all steps with loss, learning rate and time left, and one line an epoch.

    Yields:
        What :class:`train.trainer.Trainer` reports to.
    """
    with progress_bar(console, note="loss") as progress:
        task = progress.add_task(name, total=None, loss="")

        def show(record: dict[str, Any]) -> None:
            if "done" not in record:
                progress.console.print(epoch_line(record))
                return
            loss = f"loss {record['step_loss']:.3f}  rate {record['learning_rate']:.1e}"
            progress.update(task, completed=record["done"], total=record["total"], loss=loss)

        yield show


def epoch_line(record: dict[str, Any]) -> str:
    """A record of ``metrics.jsonl`` as a person reads it."""
    line = f"epoch {record['epoch']:>3}  {record['seconds'] / 60:6.1f} min"
    if "loss" in record:
        line += f"  loss {record['loss']:.4f}"
    if "dice" in record:
        curve = " ".join(f"{value:.3f}" for value in record["dice"])
        line += f"  Dice by clicks {curve}  obeyed {record['obeyed']:.1%}"
        line += f"  harmful {record['harmful']:.1%}"
    return line
