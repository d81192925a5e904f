"""What a checkpoint says about itself, for the person who chooses one."""

from __future__ import annotations

from typing import Any

from caiseg import CheckpointInfo

_FIGURES_SHOWN = 4


def model_card(name: str, info: CheckpointInfo) -> dict[str, Any]:
    """A checkpoint's description for the page.

    Args:
        name: What it is called in its folder.
        info: What its file says.

    Returns:
        A JSON document: ``name``, ``modality``, ``anatomy``, ``lesion``, ``description``,
        ``spacing`` in mm, ``licence``, and ``figures``, pairs of what was measured and its value.
    """
    return {
        "name": name,
        "modality": info.preprocessing.modality_in_words,
        "anatomy": info.anatomy,
        "lesion": info.lesion,
        "description": info.description,
        "spacing": list(info.preprocessing.spacing),
        "licence": info.licence,
        "figures": [
            [what, _in_words(value)] for what, value in list(info.figures.items())[:_FIGURES_SHOWN]
        ],
    }


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{what}: {_in_words(inner)}" for what, inner in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)
