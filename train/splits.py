"""Drawing which patients are trained on, validated on and tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

SPLITS = ("train", "val", "test")


def draw_split(
    patients: Iterable[str], proportions: tuple[float, float, float], seed: int
) -> dict[str, str]:
    """Assign every patient to ``train``, ``val`` or ``test``.

    Validation and test get their shares rounded, and training the rest, which gives the numbers
    of section IV-A: 338, 73 and 73 of 484. Training never stays empty, and from three patients on
    no share above 0 does.

    Patients are lined up by a hash of seed and name, so the split does not depend on the order of
    the list, on the machine or on library versions, and one patient more or less moves few others.

    Args:
        patients: Names; repetitions count once.
        proportions: Shares of train, val and test, which add up to 1.
        seed: Another seed gives another split.

    Returns:
        Split of every patient.
    """
    line = sorted(set(patients), key=lambda patient: _place(patient, seed))
    fewest = 1 if len(line) >= len(SPLITS) else 0
    _, val, test = (
        max(fewest if share > 0 else 0, round(share * len(line))) for share in proportions
    )
    val = min(val, len(line) - 1)
    test = min(test, len(line) - 1 - val)
    names = ["val"] * val + ["test"] * test
    names += ["train"] * (len(line) - len(names))
    return dict(zip(line, names, strict=True))


def in_order(splits: Iterable[str]) -> list[str]:
    """Each split once: those that are drawn in their usual order, then all others by name."""
    found = set(splits)
    return [name for name in (*SPLITS, *sorted(found.difference(SPLITS))) if name in found]


def _place(patient: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest()
