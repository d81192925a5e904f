"""What a training writes: state to resume from, metrics, and the best weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from caiseg.errors import InvalidInput
from train.config import ExperimentConfig
from train.files import remove_partial, replacing

SPLIT_HASH = "split hash"
"""Key of a run's provenance under which its split is named."""


class RunFolder:
    """The folder of one training run.

    Every file appears complete or not at all, so a killed run leaves nothing half-written.

    Args:
        path: Created when something is first written.
    """

    def __init__(self, path: Path):
        self.path = path

    @property
    def state_path(self) -> Path:
        """Everything that ``--resume`` needs."""
        return self.path / "state.pt"

    @property
    def best_path(self) -> Path:
        """The weights with the best validation Dice after 3 clicks, and where they come from.

        Their ``dice`` is empty where nothing was validated; they are then the last ones.
        """
        return self.path / "best.pt"

    @property
    def provenance_path(self) -> Path:
        """Data, command, code and machine of the run, for the model card."""
        return self.path / "run.json"

    @property
    def metrics_path(self) -> Path:
        """One JSON object a line: losses per epoch and validations."""
        return self.path / "metrics.jsonl"

    @property
    def board_path(self) -> Path:
        """Folder of event files for TensorBoard."""
        return self.path / "tensorboard"

    def refuse_a_second_run(self) -> None:
        """Make sure that a new run overwrites nothing that took hours to compute.

        Raises:
            InvalidInput: The folder holds a run, or is a file.
        """
        self._refuse_a_file()
        if self.state_path.exists():
            raise InvalidInput(
                f"{self.path} already holds a run; go on with --resume, or name another --out."
            )

    def refuse_another_split(self, split_hash: str | None) -> None:
        """Make sure that a resumed run learns from the cases that it began with.

        Args:
            split_hash: Of the manifest; ``None`` where scans are generated.

        Raises:
            InvalidInput: The run began with other cases, or the folder is a file.
        """
        self._refuse_a_file()
        if not self.provenance_path.is_file():
            return
        began_with = self.read_provenance().get(SPLIT_HASH)
        if began_with != split_hash:
            raise InvalidInput(
                f"{self.path} belongs to a run on other cases or another split (split hash "
                f"{began_with}, now {split_hash}); resume with its manifest, or start a new run "
                "folder."
            )

    def clear(self) -> None:
        """Take out what a run left that ended before its first state was saved."""
        for path in (self.metrics_path, self.best_path):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.board_path, ignore_errors=True)
        self.sweep()

    def sweep(self) -> None:
        """Take out files that a killed process was still writing."""
        for path in (self.state_path, self.best_path, self.metrics_path, self.provenance_path):
            remove_partial(path)

    def save(self, path: Path, document: dict[str, Any]) -> None:
        """Write tensors and plain values.

        Raises:
            CannotWrite: The disk is full or the folder cannot be written.
        """
        with replacing(path) as partial:
            try:
                torch.save(document, partial)
            except RuntimeError as error:  # what PyTorch makes of a full disk
                raise OSError(str(error).splitlines()[0]) from error

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
        """Write where the run's weights come from.

        Raises:
            CannotWrite: The disk is full or the folder cannot be written.
        """
        with replacing(self.provenance_path) as partial:
            partial.write_text(json.dumps(provenance, indent=2), encoding="utf-8")

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
        """Append one record to the metrics.

        Raises:
            CannotWrite: The disk is full or the folder cannot be written.
        """
        with replacing(self.metrics_path) as partial:
            partial.write_text(self._metrics() + json.dumps(record) + "\n", encoding="utf-8")

    def forget_after(self, epoch: int) -> None:
        """Take the records of later epochs out of the metrics: they are computed again.

        Raises:
            CannotWrite: The disk is full or the folder cannot be written.
        """
        lines = self._metrics().splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["epoch"] <= epoch]
        if len(kept) < len(lines):
            with replacing(self.metrics_path) as partial:
                partial.write_text("".join(kept), encoding="utf-8")

    def _refuse_a_file(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInput(f"{self.path} is a file; name a folder for the run with --out.")

    def _metrics(self) -> str:
        try:
            return self.metrics_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""


def _stored_config(document: dict[str, Any]) -> ExperimentConfig | None:
    """The config of a saved state; keys that are younger than it have their defaults."""
    try:
        return ExperimentConfig.model_validate_json(document["config"])
    except (KeyError, ValueError):
        return None


def cpu_copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy of a state dict that later steps do not change."""
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
