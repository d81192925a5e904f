"""``python -m train amend``: other words, guided filter or reach of clicks for the same weights.

What a training does not see may be chosen after it, by validation, and figures are measured on the
file that is served: neither needs the run that the weights came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from caiseg.checkpoint import CheckpointInfo, file_hash
from caiseg.errors import InvalidInput
from train.card import model_card
from train.config_document import apply_override
from train.files import replacing
from train.methods.checkpoints import load_network, save_network

WORDS = {"name", "description", "anatomy", "lesion", "licence"}
"""What says something about the weights and changes no mask."""
MASKS = {"guided_filter", "click_reach_mm", "clicked_pieces", "local_changes"}
"""What changes masks, so that figures measured before hold no longer."""


def amend(
    checkpoint: Path,
    out: Path,
    overrides: Sequence[str] = (),
    figures: dict[str, Any] | None = None,
) -> CheckpointInfo:
    """Write a checkpoint anew, and its card beside it.

    Args:
        checkpoint: Whose weights and description to take.
        out: The checkpoint to write, ``.safetensors``; it may be the same file.
        overrides: ``section.key=value`` items for what changes masks (:data:`MASKS`) or the
            describing words; values are read as YAML.
        figures: What was measured on this checkpoint. The old figures stay where masks do.

    Raises:
        InvalidInput: The file is no usable checkpoint, or an override cannot be made.
    """
    network, info = load_network(checkpoint)
    document = info.model_dump()
    for override in overrides:
        section = override.partition("=")[0].partition(".")[0]
        if section not in WORDS | MASKS:
            raise InvalidInput(
                f"'{override}': weights are trained with {section} as it is; amend takes "
                f"{', '.join(sorted(WORDS | MASKS))}."
            )
        if section == "guided_filter" and document[section] is None:
            document[section] = {}
        apply_override(document, override)
    try:
        amended = CheckpointInfo.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{key}: {first['msg']}.") from error
    changed = any(getattr(amended, part) != getattr(info, part) for part in MASKS)
    provenance = dict(info.provenance)
    if overrides:
        provenance["amended"] = [
            *provenance.get("amended", []),
            {"from sha256": file_hash(checkpoint), "set": list(overrides)},
        ]
    kept = {} if changed else info.figures
    amended = amended.model_copy(update={"provenance": provenance, "figures": figures or kept})
    save_network(out, network, amended)
    with replacing(out.with_suffix(".md")) as partial:
        partial.write_text(model_card(amended), encoding="utf-8")
    return amended
