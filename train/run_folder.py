"""What a training writes: state to resume from, metrics, and the best weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from caiseg.errors import InvalidInput
from train.config import ExperimentConfig


class RunFolder:
    """The folder of one training run.

    Every file appears complete or not at all, so a killed run leaves nothing half-written.

    Args:
        path: Created when missing.
    """

    def __init__(self, path: Path):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    @property
    def state_path(self) -> Path:
        """Everything that ``--resume`` needs."""
        return self.path / "state.pt"

    @property
    def best_path(self) -> Path:
        """The weights with the best validation Dice after 3 clicks, and where they come from."""
        return self.path / "best.pt"

    @property
    def provenance_path(self) -> Path:
        """Data, command, code and machine of the run, for the model card."""
        return self.path / "run.json"

    @property
    def metrics_path(self) -> Path:
        """One JSON object a line: losses per epoch and validations."""
        return self.path / "metrics.jsonl"

    def save(self, path: Path, document: dict[str, Any]) -> None:
        """Write tensors and plain values.

        Raises:
            InvalidInput: The disk is full or the folder cannot be written.
        """
        partial = path.with_name(f".{path.name}.part")
        try:
            torch.save(document, partial)
            os.replace(partial, path)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            raise InvalidInput(
                f"{path} cannot be written ({error}); free some disk space and use --resume."
            ) from error

    def load(self, path: Path, config: ExperimentConfig) -> dict[str, Any]:
        """Read what :meth:`save` wrote.

        Raises:
            InvalidInput: The file is missing or damaged, or belongs to another config.
        """
        document = self.read(path)
        if _stored_config(document) != config:
            raise InvalidInput(
                f"{path} belongs to a run with another config; resume with the same config and "
                "overrides, or start a new run folder."
            )
        return document

    def read(self, path: Path) -> dict[str, Any]:
        """Read what :meth:`save` wrote, whatever its config.

        Raises:
            InvalidInput: The file is missing or damaged.
        """
        try:
            document: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise InvalidInput(f"{path} does not exist; start the run without --resume.") from None
        except Exception as error:  # torch.load names no exception types
            raise InvalidInput(f"{path} is damaged: {error}.") from error
        return document

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Write where the run's weights come from."""
        partial = self.provenance_path.with_suffix(".part")
        partial.write_text(json.dumps(provenance, indent=2), encoding="utf-8")
        os.replace(partial, self.provenance_path)

    def read_provenance(self) -> dict[str, Any]:
        """Read what :meth:`write_provenance` wrote.

        Raises:
            InvalidInput: The file is missing or damaged.
        """
        try:
            provenance: dict[str, Any] = json.loads(
                self.provenance_path.read_text(encoding="utf-8")
            )
        except (OSError, ValueError) as error:
            raise InvalidInput(
                f"{self.provenance_path} cannot be read ({error}); run fit --resume once to write "
                "it again."
            ) from error
        return provenance

    def log(self, record: dict[str, Any]) -> None:
        """Append one record to the metrics."""
        with self.metrics_path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")


def _stored_config(document: dict[str, Any]) -> ExperimentConfig | None:
    """The config of a saved state; keys that are younger than it have their defaults."""
    try:
        return ExperimentConfig.model_validate_json(document["config"])
    except (KeyError, ValueError):
        return None


def cpu_copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy of a state dict that later steps do not change."""
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
