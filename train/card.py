"""The card of a checkpoint: what it is for, how it was made, how well it does, where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caiseg.checkpoint import CheckpointInfo
from caiseg.local_changes import MARGIN_MM, TIMES_DEPTH

LOCALLY = (
    f"within {TIMES_DEPTH:g} times its distance from the border of the mask before and "
    f"{MARGIN_MM:g} mm more"
)


@dataclass(frozen=True)
class FailureCase:
    """A case that went badly, by number of clicks.

    Attributes:
        name: Name of the case.
        lesion_ml: Volume of its lesion.
        dice: Dice of each mask that is shown.
        pictures: Its picture: a path relative to the card.
    """

    name: str
    lesion_ml: float
    dice: dict[int, float]
    pictures: dict[int, str]


def model_card(
    info: CheckpointInfo, failures: Sequence[FailureCase] = (), tried: str | None = None
) -> str:
    """The card of a checkpoint as Markdown.

    Args:
        info: What the checkpoint says about itself.
        failures: Cases to show at the end.
        tried: Address of what else was tried, as seen from the card.
    """
    provenance = {key: value for key, value in info.provenance.items() if key != "experiment"}
    network, preprocessing = info.network, info.preprocessing
    edges = info.guided_filter
    sections = [
        f"# {info.name}",
        info.description,
        "## What it is for",
        _purpose(info),
        "## Licence",
        f"The weights inherit the licence of the data that they were trained on: {info.licence}.",
        "## How it was made",
        _table(provenance),
        *([f"[What else was tried]({tried}), and what it was worth."] if tried else []),
        "## Network and preprocessing",
        _table(
            {
                "base channels": network.base_channels,
                "kernel size": network.kernel_size,
                "strides (i, j, k)": network.strides,
                "position term": network.position,
                "voxel size of the model grid, mm": preprocessing.spacing,
                "patch size, model voxels": preprocessing.patch_size,
                "guided filter of masks": edges.model_dump() if edges else "none",
                "reach of a click, mm": info.click_reach_mm or "half a patch",
                **(
                    {"pieces that clicks bring in": "those that somebody clicked"}
                    if info.clicked_pieces
                    else {}
                ),
                **({"a click changes the mask": LOCALLY} if info.local_changes else {}),
            }
        ),
    ]
    if info.figures:
        sections += ["## Figures", _table(info.figures)]
    if failures:
        sections += ["## Failure cases", *_failures(failures)]
    return "\n\n".join(sections) + "\n"


def _purpose(info: CheckpointInfo) -> str:
    """What masks it is for, by whom, and where it ends."""
    of_anything = info.preprocessing.modality == "any"
    kind = "Outlining" if of_anything else "Outlining one kind of lesion in one kind of scan:"
    limit = (
        "It knows no organ and no kind of lesion: without a click it outlines nothing or little."
        if of_anything
        else "Scans of other body parts, modalities or lesions are outside what it has learned."
    )
    return (
        f"{kind} {info.lesion}; {info.anatomy}, {info.preprocessing.modality_in_words}. A person "
        "looks at every mask and corrects it with clicks. **Not a medical device**: for research, "
        f"not for diagnosis or treatment. {limit}"
    )


def _failures(failures: Sequence[FailureCase]) -> list[str]:
    """What the worst cases look like, a row of pictures each."""
    counts = list(failures[0].pictures)
    named = ["no click" if count == 0 else f"{count} clicks" for count in counts]
    lines = [f"| | {' | '.join(named)} |", "|---|" + "---|" * len(counts)]
    for case in failures:
        pictures = [
            f'<img src="{case.pictures[count]}" width="300" alt="{case.name}, {name}"><br>'
            f"Dice {100 * case.dice[count]:.0f} %"
            for count, name in zip(counts, named, strict=True)
        ]
        lines.append(f"| {case.name}, {case.lesion_ml:.0f} mL | {' | '.join(pictures)} |")
    return [
        f"The worst of its evaluation after {named[-1]}, on the slice with most lesion: truth in "
        "cyan, mask in magenta; disks are foreground clicks, squares background clicks, the small "
        "hollow ones in other slices. The pictures have the licence of the data.",
        "\n".join(lines),
    ]


def _table(rows: dict[str, Any]) -> str:
    lines = ["| | |", "|---|---|"]
    lines += [f"| {key.replace('_', ' ')} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        items = ((key.replace("_", " "), _cell(item)) for key, item in value.items())
        return "<br>".join(f"{key}: {item}" for key, item in items)
    if isinstance(value, list):
        return "<br>".join(map(_cell, value))
    return str(value).replace("|", "\\|")
