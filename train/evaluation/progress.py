"""Progress of an evaluation, with the time that is left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console

from train.bars import progress_bar


class EvaluationProgress:
    """Counts rounds of the cases that take time.

    Cases that were kept or failed took next to none: counting them would spoil the estimate.

    Args:
        console: Where it is shown.
        name: The method's.
        cases: How many there are.
        rounds: Rounds of each.
    """

    def __init__(self, console: Console, name: str, cases: int, rounds: int):
        self._progress = progress_bar(console, note="case", percent=True)
        self._rounds = rounds
        self._left = cases
        self._done = 0
        self._task = self._progress.add_task(name, total=rounds * cases, case="")

    def __enter__(self) -> EvaluationProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, case: str) -> None:
        """Show which case is being evaluated."""
        self._progress.update(self._task, case=case)

    def step(self) -> None:
        """Count one round."""
        self._progress.advance(self._task)

    def end(self, *, worked: bool) -> None:
        """Count one case as done.

        Args:
            worked: Whether its rounds were played.
        """
        self._left -= 1
        self._done += self._rounds * worked
        self._progress.update(
            self._task, completed=self._done, total=self._done + self._left * self._rounds, case=""
        )
