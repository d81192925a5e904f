"""The results that are compared: read from folders, or evaluated first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from caiseg.checkpoint import read_description
from caiseg.errors import InvalidInput
from train.comparison.method_results import MethodResults
from train.comparison.trainings import read_trainings
from train.evaluation.choice import target_of
from train.evaluation.evaluate import EvaluateOptions, evaluate
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.rules import RANDOM_FOLDER, folders
from train.evaluation.target import ALL_LABELS, AS_TRAINED, AskedTarget, Target
from train.files import CannotWrite
from train.methods import METHODS


@dataclass(frozen=True)
class ResultFolders:
    """Where the results of one method lie.

    Attributes:
        paths: A folder, or one for each training.
        label: What the method is called; its own name when left out.
    """

    paths: Sequence[Path]
    label: str | None = None

    @property
    def called(self) -> str:
        """What it is called where its results cannot be read."""
        return self.label or self.paths[0].name


@dataclass(frozen=True)
class EvaluationAtHand:
    """How methods without results are evaluated.

    Attributes:
        out: Folder that gets one folder for each of them.
        manifest: Where the cases are; nothing is evaluated without it.
        split: Which cases.
        protocols: How, once for each click rule.
        asked: What the command line says about lesion and channel.
        device: Where methods compute.
        workers: Processes that share the cases; 0 for this one.
    """

    out: Path
    manifest: Path | None = None
    split: str = "val"
    protocols: Sequence[EvaluationProtocol] = (EvaluationProtocol(),)
    asked: AskedTarget = AS_TRAINED
    device: str = "auto"
    workers: int = 0


@dataclass
class Gathered:
    """Results under one click rule.

    Attributes:
        results: Of the methods that have any.
        absent: Why there are none of the others, by label.
    """

    results: list[MethodResults] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def read(self, found: ResultFolders, called: str) -> None:
        """Add the results of one method, or why there are none of what is ``called`` so."""
        try:
            self.results.append(read_trainings(found.paths, found.label))
        except InvalidInput as error:
            self.absent[called] = str(error)


def gather(
    given: Iterable[ResultFolders], methods: Mapping[str, Path | None], how: EvaluationAtHand
) -> list[Gathered]:
    """Read results, and evaluate the methods that have none.

    Args:
        given: Result folders.
        methods: Methods at hand and their checkpoints, by label.
        how: How to evaluate them.

    Returns:
        What the folders themselves hold and, where one of them also holds results of the random
        rule, those.

    Raises:
        InvalidInput: A method has no results, and there is no manifest to evaluate it on.
    """
    places, first = list(given), Gathered()
    for found in places:
        first.read(found, found.called)
    known = {result.label for result in first.results}
    missing = {label: path for label, path in methods.items() if label not in known}
    for label in missing if how.manifest is None else ():
        raise InvalidInput(
            f"There are no results of {label}; name the manifest to evaluate it on with "
            "--manifest, or its result folder."
        )
    settings = first.results[0].summary.settings if first.results else None
    otherwise = ALL_LABELS if settings is None else settings.target
    for found in _evaluated(missing, how, otherwise, first.absent):
        places.append(found)
        first.read(found, found.called)
    random = _under_the_random_rule(places)
    return [first] if random is None else [first, random]


def method_of(label: str, checkpoint: Path | None) -> str:
    """Which method is called so: that of the name or, under another name, of the checkpoint.

    Raises:
        InvalidInput: Neither says it.
    """
    if label in METHODS:
        return label
    if checkpoint is None:
        raise InvalidInput(
            f"'{label}' is not a method; choose one of {', '.join(METHODS)}, or name the "
            f"checkpoint of a trained one as {label}=CHECKPOINT."
        )
    return read_description(checkpoint).method


def _evaluated(
    methods: Mapping[str, Path | None],
    how: EvaluationAtHand,
    otherwise: Target,
    absent: dict[str, str],
) -> list[ResultFolders]:
    """Evaluate methods, keeping what an earlier run finished; why one cannot be goes to absent."""
    chosen: dict[str, tuple[str, Path | None]] = {}
    for label, checkpoint in methods.items():
        try:
            chosen[label] = (method_of(label, checkpoint), checkpoint)
        except InvalidInput as error:
            absent[label] = str(error)
    target = target_of(chosen.values(), how.asked, otherwise)
    protocols = [protocol.aimed_at(target) for protocol in how.protocols]
    done = []
    for label, (name, checkpoint) in chosen.items():
        assert how.manifest is not None, "checked by the caller"
        out = how.out / label
        try:
            for folder, protocol in folders(out, protocols):
                evaluate(
                    EvaluateOptions(
                        checkpoint, how.manifest, how.split, folder, protocol, resume=True,
                        device=how.device, method=name, workers=how.workers,
                    )
                )  # fmt: skip
        except CannotWrite:
            raise
        except InvalidInput as error:
            absent[label] = str(error)
        else:
            done.append(ResultFolders((out,), label))
    return done


def _under_the_random_rule(places: Sequence[ResultFolders]) -> Gathered | None:
    """Results that lie beside those of the centre rule; ``None`` where there are none at all."""
    inner = [
        ResultFolders([path / RANDOM_FOLDER for path in found.paths], found.label)
        for found in places
    ]
    if not any(path.is_dir() for found in inner for path in found.paths):
        return None
    random = Gathered()
    for found, outer in zip(inner, places, strict=True):
        if all(path.is_dir() for path in found.paths):
            random.read(found, outer.called)
        else:
            random.absent[outer.called] = (
                "it was not clicked by this rule; evaluate it again with --seeds and --resume."
            )
    return random
