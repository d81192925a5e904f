"""Which cases of a comparison are drawn, from methods that are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from caiseg.errors import InvalidInput
from train.comparison.comparison import Comparison
from train.comparison.gallery import Gallery, gallery, telling_cases
from train.manifest import read_manifest
from train.methods import load_method


def draw_cases(
    comparison: Comparison, manifest: Path, checkpoints: Mapping[str, Path | None], device: str
) -> tuple[list[Gallery], str]:
    """Draw the best, the median and the worst case of the reference.

    Args:
        comparison: Holds the clicks.
        manifest: Lists the cases.
        checkpoints: Weights of the methods to draw, by label; of several trainings the first one's.
        device: Where methods compute.

    Returns:
        The pictures, and what is to be said about them.

    Raises:
        InvalidInput: The manifest does not list a case, or a method cannot be used or gives other
            masks than were recorded.
    """
    loaded = {
        found.label: load_method(found.summary.method, checkpoints[found.label], device).method
        for found in comparison.methods
        if found.label in checkpoints
    }
    cases = {case.name: case for case in read_manifest(manifest)}
    chosen = telling_cases(comparison)
    if missing := [name for name in chosen.values() if name not in cases]:
        raise InvalidInput(
            f"{manifest} does not list the case {missing[0]} of the results; name the "
            "manifest that they were evaluated on."
        )
    drawn = [gallery(comparison, title, cases[name], loaded) for title, name in chosen.items()]
    return drawn, (
        f"By Dice of {comparison.reference} after all clicks; clicks of the first seed, on the "
        "slice with most lesion."
    )
