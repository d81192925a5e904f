"""``python -m train export``: from a run to the served checkpoint and its model card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from caiseg.checkpoint import CAISEG, CheckpointInfo
from caiseg.errors import InvalidInput
from train.card import model_card
from train.config import ExperimentConfig
from train.evaluation.report import figures_for_card
from train.files import replacing
from train.methods.checkpoints import load_network, save_network
from train.methods.trainable import build_network
from train.provenance import started_from
from train.run_folder import RunFolder

SUFFIX = ".safetensors"
LAST_WEIGHTS = "the last ones; there was no val case to choose by"


@dataclass(frozen=True)
class ExportOptions:
    """What may be done to the weights of a run before they are served.

    Attributes:
        average: Other runs, or checkpoints, that started from one another; the mean of all their
            weights is written. It generalises better than each alone where their curves differ: one
            late run gives the better first mask, an early one listens better to clicks (Wortsman et
            al. 2022, "Model soups").
        query_scale: Factor on the shared linear layer of the Feature Clustering Block. Below 1 a
            click speaks for voxels that resemble its own less. A training that has come to know its
            scans meets small errors only and learns a short reach; new scans have larger ones.
    """

    average: tuple[Path, ...] = ()
    query_scale: float = 1.0


def export(
    run: Path,
    out: Path,
    figures: dict[str, Any] | None = None,
    options: ExportOptions = ExportOptions(),
) -> CheckpointInfo:
    """Write the best weights of a run as a checkpoint, and its card beside it.

    Args:
        run: Folder of a training run that has kept weights at least once.
        out: The checkpoint, ``.safetensors``; the card gets the suffix ``.md``.
        figures: What was measured on the exported weights, for the card.
        options: Averaging and rescaling, each stated in the card.

    Raises:
        InvalidInput: A run has no weights to export yet, its network is another one, or ``out``
            has another suffix.
    """
    if out.suffix != SUFFIX:
        raise InvalidInput(
            f"--out {out} has to end in {SUFFIX}, as the app expects of a checkpoint; its card is "
            "written beside it, as .md."
        )
    best, provenance = _best_of(run)
    config = ExperimentConfig.model_validate_json(best["config"])
    if options.query_scale != 1 and config.method != CAISEG:
        raise InvalidInput(f"--query-scale changes what {config.method} does not have; drop it.")
    averaged = [best["network"]]
    for number, other in enumerate(options.average, start=2):
        kind = "checkpoint" if other.suffix == SUFFIX else "run"
        also, provenance[f"averaged with {kind} {number}"] = _weights_of(other)
        averaged.append(_like(best["network"], also, other))
    weights = _mean(averaged)
    if options.query_scale != 1:
        for name in ("weight", "bias"):
            weights[f"interaction.clustering.projection.{name}"] *= options.query_scale
        provenance["query scale at export"] = options.query_scale
    network = build_network(config.method, config.network)
    network.load_state_dict(weights)
    info = CheckpointInfo(
        method=config.method,
        name=config.name if config.method == "caiseg" else f"{config.name}, {config.method}",
        description=config.description,
        anatomy=config.anatomy,
        lesion=config.lesion,
        licence=config.data_licence,
        network=config.network,
        preprocessing=config.preprocessing,
        guided_filter=config.guided_filter,
        click_reach_mm=config.click_reach_mm,
        clicked_pieces=config.clicked_pieces,
        local_changes=config.local_changes,
        provenance={
            **provenance,
            "experiment": json.loads(best["config"]),
        },
        figures=figures or {},
    )
    save_network(out, network, info)
    with replacing(out.with_suffix(".md")) as partial:
        partial.write_text(model_card(info), encoding="utf-8")
    return info


def _best_of(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The best weights of a run, and how they were made."""
    folder = RunFolder(run)
    if not folder.best_path.is_file():
        raise InvalidInput(
            f"{run} has no weights to export yet; they are kept every schedule.validate_every "
            "epochs after the pre-training, and at the end."
        )
    best = folder.read(folder.best_path)
    hours = round(best["seconds"] / 3600, 2)
    chosen = "best Dice after 3 clicks on the val cases" if best["dice"] else LAST_WEIGHTS
    done = {"weights": chosen, "epochs done": best["epoch"], "training hours": hours}
    return best, folder.read_provenance() | done


def _weights_of(other: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of a checkpoint, or the best of a run, and how they were made."""
    if other.suffix == SUFFIX:
        network, info = load_network(other)
        return network.state_dict(), started_from(other, info)
    best, provenance = _best_of(other)
    return best["network"], provenance


def _like(network: dict[str, Tensor], weights: dict[str, Tensor], other: Path) -> dict[str, Tensor]:
    sizes = {name: tensor.shape for name, tensor in network.items()}
    if {name: tensor.shape for name, tensor in weights.items()} != sizes:
        raise InvalidInput(
            f"{other} holds another network, which cannot be averaged; name runs or checkpoints "
            "that started from one another."
        )
    return weights


def _mean(networks: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {
        name: torch.stack([weights[name].float() for weights in networks]).mean(dim=0)
        for name in networks[0]
    }


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
