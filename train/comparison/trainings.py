"""Several trainings of one method, each evaluated on its own, as one method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caiseg.errors import InvalidInput
from train.comparison.comparable import check_comparable
from train.comparison.method_results import MethodResults, Session, read_method_results


def read_trainings(folders: Sequence[Path], label: str | None = None) -> MethodResults:
    """Read the result folders of one method: a single one, or one for each training.

    Raises:
        InvalidInput: A folder holds no usable results, or two cannot be put together.
    """
    if len(folders) == 1:
        return read_method_results(folders[0], label)
    trainings = [read_method_results(folder, str(folder)) for folder in folders]
    return merged(label or trainings[0].summary.method, trainings)


def merged(label: str, trainings: Sequence[MethodResults]) -> MethodResults:
    """Several trainings of one method, each session a seed of its case.

    Cases that one of the trainings failed on are left out, and named once.

    Raises:
        InvalidInput: They are of several methods, or were not evaluated alike.
    """
    first = trainings[0]
    for other in trainings[1:]:
        if other.summary.method != first.summary.method:
            raise InvalidInput(
                f"{label} would be {first.summary.method} and {other.summary.method} at once; name "
                "trainings of one method together."
            )
        check_comparable(first, other)
    common = set.intersection(*(set(training.cases) for training in trainings))
    sessions: dict[tuple[str, int], Session] = {}
    for number, training in enumerate(trainings):
        for (case, seed), rows in training.sessions.items():
            if case in common:
                sessions[case, number * len(training.seeds) + seed] = rows
    failures = {item.case: item for training in trainings for item in training.summary.failed}
    summary = first.summary.model_copy(update={"failed": tuple(failures.values())})
    weights = tuple(found for training in trainings for found in training.weights)
    return MethodResults(label, dict(sorted(sessions.items())), summary, weights, len(trainings))
