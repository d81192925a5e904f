"""Cases shared by processes of this machine, any of which may run out of memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from train.circumstances import device_name
from train.evaluation.cases import CaseOutcome, Evaluation, Outcome, attempt
from train.evaluation.progress import EvaluationProgress
from train.evaluation.protocol import EvaluationProtocol
from train.manifest import Case
from train.methods import LoadedMethod, load_method
from train.workers import worker_pool

LOST = (
    "The process that evaluated this case was lost, most likely because the memory was full; run "
    "it again with --resume on a machine with more."
)


@dataclass(frozen=True)
class Recipe:
    """How to make an :class:`Evaluation`; unlike that, another process can be given it.

    Attributes:
        name: Method.
        checkpoint: Its weights, where it has any.
        device: Where it computes.
        protocol: How it is clicked and judged.
        parts: Folder with one file per finished case.
    """

    name: str
    checkpoint: Path | None
    device: str
    protocol: EvaluationProtocol
    parts: Path

    def evaluation(self) -> Evaluation:
        """Load the method, once per process.

        Raises:
            InvalidInput: It cannot be loaded.
        """
        return self.evaluation_of(_loaded(self.name, self.checkpoint, self.device))

    def evaluation_of(self, loaded: LoadedMethod) -> Evaluation:
        """The same with a method that has been loaded already."""
        return Evaluation(
            loaded.method, loaded.name, loaded.identity, self.protocol, self.parts,
            loaded.modality, device_name(loaded.device),
        )  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """Evaluates a case; callable in another process.

    Attributes:
        recipe: Method and protocol.
        resume: Keep what an earlier run finished under the same circumstances.
    """

    recipe: Recipe
    resume: bool

    def __call__(self, case: Case) -> CaseOutcome:
        """Evaluate one case, or say why that cannot be."""
        return attempt(self.recipe.evaluation(), case, resume=self.resume)


def run_in_workers(
    recipe: Recipe, cases: Sequence[Case], *, workers: int, resume: bool, console: Console
) -> Outcome:
    """Evaluate cases in other processes; one that fails or is lost is named.

    Ctrl-C ends it with what is finished, once the cases that were begun are.

    Args:
        recipe: Method and protocol.
        cases: What to evaluate.
        workers: Processes, at least one.
        resume: Keep the cases that an earlier run finished under the same circumstances.
        console: Where progress is shown.

    Raises:
        InvalidInput: Rows cannot be written, or the method cannot be loaded.
    """
    rounds = recipe.protocol.seeds * (recipe.protocol.clicks + 1)
    outcomes = []
    left = [case.name for case in cases]
    with (
        EvaluationProgress(console, recipe.name, len(cases), rounds) as progress,
        suppress(KeyboardInterrupt),
    ):
        progress.begin(", ".join(left[:workers]))
        for outcome in surviving(Attempt(recipe, resume), cases, workers):
            progress.end(worked=not (outcome.kept or outcome.failure))
            outcomes.append(outcome)
            left.remove(outcome.case)
            progress.begin(", ".join(left[:workers]))
    return Outcome.of(outcomes, cases)


def surviving(
    work: Callable[[Case], CaseOutcome], cases: Sequence[Case], workers: int
) -> Iterator[CaseOutcome]:
    """Outcomes of all cases, as they come; a lost process costs one case and no more.

    When one of several processes is lost, so are the cases that the others were at, and it cannot
    be told whose fault it was. The cases without outcome are then evaluated one at a time.

    Args:
        work: Picklable.
        cases: What to evaluate.
        workers: Processes, at least one.
    """
    one_by_one = list(cases) if workers == 1 else []
    if workers > 1:
        with worker_pool(workers) as pool:
            for case, outcome in _finished(pool, work, cases):
                if outcome is None:
                    one_by_one.append(case)
                else:
                    yield outcome
    while one_by_one:
        with worker_pool(1) as pool:
            broken = False
            while one_by_one and not broken:
                case = one_by_one.pop(0)
                ((_, outcome),) = _finished(pool, work, [case])
                broken = outcome is None
                yield outcome or CaseOutcome(case.name, failure=LOST)


def _finished(
    pool: ProcessPoolExecutor, work: Callable[[Case], CaseOutcome], cases: Sequence[Case]
) -> Iterator[tuple[Case, CaseOutcome | None]]:
    """Cases with their outcomes, ``None`` for those that a lost process left without one."""
    futures = {}
    left = list(cases)
    try:
        while left:
            futures[pool.submit(work, left[0])] = left[0]
            left.pop(0)
    except BrokenProcessPool:
        yield from ((case, None) for case in left)
    for future in as_completed(futures):
        try:
            yield futures[future], future.result()
        except BrokenProcessPool:
            yield futures[future], None


@functools.cache
def _loaded(name: str, checkpoint: Path | None, device: str) -> LoadedMethod:
    return load_method(name, checkpoint, device)
