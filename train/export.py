"""``python -m train export``: from a run to the served checkpoint and its model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from caiseg.checkpoint import CheckpointInfo
from caiseg.errors import InvalidInput
from train.config import ExperimentConfig
from train.evaluation.report import figures_for_card
from train.files import replacing
from train.methods.checkpoints import save_network
from train.methods.trainable import build_network
from train.run_folder import RunFolder


def export(run: Path, out: Path, figures: dict[str, Any] | None = None) -> CheckpointInfo:
    """Write the best weights of a run as a checkpoint, and its card beside it.

    Args:
        run: Folder of a training run that has validated at least once.
        out: The checkpoint, ``.safetensors``; the card gets the suffix ``.md``.
        figures: What was measured on the exported weights, for the card.

    Raises:
        InvalidInput: The run has no weights to export yet.
    """
    folder = RunFolder(run)
    if not folder.best_path.is_file():
        raise InvalidInput(
            f"{run} has no validated weights yet; let the training reach its first validation."
        )
    best = folder.read(folder.best_path)
    config = ExperimentConfig.model_validate_json(best["config"])
    network = build_network(config.method, config.network)
    network.load_state_dict(best["network"])
    info = CheckpointInfo(
        method=config.method,
        name=config.name if config.method == "caiseg" else f"{config.name}, {config.method}",
        description=config.description,
        anatomy=config.anatomy,
        lesion=config.lesion,
        licence=config.data_licence,
        network=config.network,
        preprocessing=config.preprocessing,
        provenance={
            **folder.read_provenance(),
            "epochs done": best["epoch"],
            "training hours": round(best["seconds"] / 3600, 2),
            "experiment": json.loads(best["config"]),
        },
        figures=figures or {},
    )
    save_network(out, network, info)
    with replacing(out.with_suffix(".md")) as partial:
        partial.write_text(model_card(info), encoding="utf-8")
    return info


def read_figures(summary: Path) -> dict[str, Any]:
    """The figures of an evaluation's ``summary.json``, as a model card gives them.

    Raises:
        InvalidInput: The file is missing or is not such a summary.
    """
    try:
        return figures_for_card(json.loads(summary.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{summary} is not the summary of an evaluation ({error}); name the summary.json that "
            "python -m train evaluate wrote."
        ) from error


def model_card(info: CheckpointInfo) -> str:
    """The card of a checkpoint as Markdown."""
    provenance = {key: value for key, value in info.provenance.items() if key != "experiment"}
    network, preprocessing = info.network, info.preprocessing
    sections = [
        f"# {info.name}",
        info.description,
        "## What it is for",
        f"Outlining one kind of lesion in one kind of scan: {info.lesion}; {info.anatomy}, "
        f"{preprocessing.modality}. A person looks at every mask and corrects it with clicks. "
        "**Not a medical device**: for research, not for diagnosis or treatment. Scans of other "
        "body parts, modalities or lesions are outside what it has learned.",
        "## Licence",
        f"The weights inherit the licence of the data that they were trained on: {info.licence}.",
        "## How it was made",
        _table(provenance),
        "## Network and preprocessing",
        _table(
            {
                "base channels": network.base_channels,
                "kernel size": network.kernel_size,
                "strides (i, j, k)": network.strides,
                "position term": network.position,
                "voxel size of the model grid, mm": preprocessing.spacing,
                "patch size, model voxels": preprocessing.patch_size,
            }
        ),
    ]
    if info.figures:
        sections += ["## Figures", _table(info.figures)]
    return "\n\n".join(sections) + "\n"


def _table(rows: dict[str, Any]) -> str:
    lines = ["| | |", "|---|---|"]
    lines += [f"| {key.replace('_', ' ')} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "<br>".join(f"{key}: {_cell(item)}" for key, item in value.items())
    return str(value).replace("|", "\\|")
