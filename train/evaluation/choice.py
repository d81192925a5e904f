"""What an evaluation is about: from what the command line says to methods, weights and target."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from caiseg.checkpoint import read_description
from caiseg.errors import InvalidInput
from train.evaluation.target import ALL_LABELS, AskedTarget, Target
from train.methods import METHODS


def choose_methods(
    names: Sequence[str], checkpoints: Sequence[str]
) -> list[tuple[str, Path | None]]:
    """Pair methods with their weights.

    Args:
        names: Keys of :data:`train.methods.METHODS`; those of the checkpoints when empty.
        checkpoints: Paths. A file of this project says whose weights it holds; what another
            project published is named as ``METHOD=PATH``.

    Returns:
        Methods in the order in which they were named, each with its checkpoint or ``None``.

    Raises:
        InvalidInput: A name is unknown, two checkpoints are of one method, or one is of none of
            the methods that were named.
    """
    weights: dict[str, Path] = {}
    for text in checkpoints:
        name, path = _owner(text)
        if name in weights:
            raise InvalidInput(
                f"{weights[name].name} and {path.name} are both weights of {name}; evaluate them "
                "one after the other, into a folder each."
            )
        weights[name] = path
    chosen = list(dict.fromkeys(names)) or list(weights)
    if not chosen:
        raise InvalidInput(
            f"Name what to evaluate: a --checkpoint, or a --method, one of {', '.join(METHODS)}."
        )
    for name in chosen:
        if name not in METHODS:
            raise InvalidInput(f"'{name}' is not a method; choose one of {', '.join(METHODS)}.")
    for name, path in weights.items():
        if name not in chosen:
            raise InvalidInput(
                f"{path.name} holds the weights of {name}, which --method does not name; add it or "
                "leave the checkpoint out."
            )
    return [(name, weights.get(name)) for name in chosen]


def target_of(
    methods: Iterable[tuple[str, Path | None]],
    asked: AskedTarget,
    otherwise: Target = ALL_LABELS,
) -> Target:
    """One target for methods that are judged together.

    Methods that were not trained here take over what the others were trained for.

    Args:
        methods: Keys of :data:`train.methods.METHODS`, each with its checkpoint.
        asked: What the command line says.
        otherwise: The target where none of them was trained here.

    Raises:
        InvalidInput: A checkpoint cannot be read, or two were trained for different targets and
            the command line does not decide.
    """
    found = {
        path: asked.beside(Target.of_checkpoint(path))
        for name, path in methods
        if path is not None and METHODS[name].trainable
    }
    for (first, one), (second, other) in itertools.pairwise(found.items()):
        if one != other:
            raise InvalidInput(
                f"{first.name} was trained for {one}, {second.name} for {other}; say with --label "
                "and --channel what all of them are judged on, or evaluate them one by one."
            )
    return next(iter(found.values()), asked.beside(otherwise))


def _owner(text: str) -> tuple[str, Path]:
    """The method that a checkpoint belongs to, and its path."""
    name, separator, rest = text.partition("=")
    if separator and name in METHODS:
        return name, Path(rest)
    path = Path(text)
    return read_description(path).method, path
