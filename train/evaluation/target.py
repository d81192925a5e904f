"""What is segmented: which values of a mask are lesion, and which volume of a 4-D scan is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, field_validator

from caiseg.checkpoint import read_description
from caiseg.errors import InvalidInput
from train.config import DataConfig


class Target(BaseModel):
    """What is read of a case; a checkpoint keeps that of its training among the config's data."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    label_values: tuple[int, ...] | None = None
    """Mask values that count as lesion; all above 0 when left out."""
    channel: NonNegativeInt | None = None
    """Volume of a 4-D scan, from 0, where the manifest does not say; the first when left out."""

    @field_validator("label_values")
    @classmethod
    def _in_order(cls, values: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """However they were listed, so that equal targets are equal."""
        return None if values is None else tuple(sorted(set(values)))

    def __str__(self) -> str:
        lesion = "all labels above 0"
        if self.label_values is not None:
            lesion = f"label {' or '.join(map(str, self.label_values))}"
        return lesion if self.channel is None else f"{lesion} in channel {self.channel}"

    @classmethod
    def of_config(cls, data: DataConfig) -> Target:
        """What a config trains for."""
        return cls(label_values=data.label_values, channel=data.channel)

    @classmethod
    def of_checkpoint(cls, path: Path) -> Target:
        """What weights were trained for; all labels where their file does not say.

        Raises:
            InvalidInput: The file is no checkpoint, or what it says is no target.
        """
        try:
            provenance = _Provenance.model_validate(read_description(path).provenance)
        except ValidationError as error:
            raise InvalidInput(
                f"{path.name} does not say in words that this version reads what it was trained "
                "for; export it again."
            ) from error
        return provenance.experiment.data


ALL_LABELS = Target()


class _Experiment(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: Target = ALL_LABELS


class _Provenance(BaseModel):
    model_config = ConfigDict(extra="ignore")

    experiment: _Experiment = _Experiment()


@dataclass(frozen=True)
class AskedTarget:
    """What the command line says; ``None`` leaves it to the checkpoints.

    Attributes:
        label_values: Of ``--label``.
        channel: Of ``--channel``.
    """

    label_values: Sequence[int] | None = None
    channel: int | None = None

    def beside(self, trained: Target) -> Target:
        """What was asked for, and where nothing was, what the weights were trained for."""
        return Target(
            label_values=tuple(self.label_values) if self.label_values else trained.label_values,
            channel=trained.channel if self.channel is None else self.channel,
        )


AS_TRAINED = AskedTarget()
