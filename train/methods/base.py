"""What a method is to those who click, time and compare it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from caiseg.errors import InvalidInput
from caiseg.preprocessing import Intensities
from train.evaluation.simulated_session import Method


@dataclass(frozen=True)
class Segmentation:
    """An answer that is a mask and nothing more.

    Attributes:
        mask: Bool ``(I, J, K)`` on the display grid.
    """

    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LoadedMethod:
    """A method ready to be clicked.

    Attributes:
        name: Its key in :data:`train.methods.METHODS`.
        method: What answers the clicks.
        identity: Tells its weights and settings from all others: the hash of its checkpoint, or
            its settings where it has none.
        device: Where it computes.
        title: What its checkpoint calls itself; empty without one.
        licence: Of its weights; empty where nothing is known of it.
        provenance: How its weights were made, as its checkpoint says.
        modality: The only modality that it knows; ``None`` for any.
    """

    name: str
    method: Method[Any]
    identity: str
    device: torch.device
    title: str = ""
    modality: Intensities | None = None
    licence: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodEntry:
    """One line of :data:`train.methods.METHODS`.

    Attributes:
        summary: What it is, in a few words.
        load: From a checkpoint (or ``None``) and a device to the method.
        weights: ``checkpoint`` where it needs a file that ``python -m train export`` wrote,
            ``own`` where it needs the published weights of another project, ``none`` otherwise.
    """

    summary: str
    load: Callable[[Path | None, str], LoadedMethod]
    weights: Literal["checkpoint", "own", "none"] = "checkpoint"

    @property
    def trainable(self) -> bool:
        """Whether ``python -m train fit --method`` trains it."""
        return self.weights == "checkpoint"


def require_checkpoint(name: str, checkpoint: Path | None) -> Path:
    """The checkpoint of a method that cannot do without one.

    Raises:
        InvalidInput: None was given.
    """
    if checkpoint is None:
        raise InvalidInput(
            f"The method {name} needs weights; name its file with --checkpoint, or train it with "
            f"python -m train fit --method {name} and export it."
        )
    return checkpoint
