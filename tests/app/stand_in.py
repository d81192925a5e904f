"""A stand-in for the network, and what tests of the app make around it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import nibabel as nib
import numpy as np
import numpy.typing as npt

from app.models import ModelShelf
from app.settings import Settings
from caiseg import Click, Volume

BoolArray = npt.NDArray[np.bool_]


@dataclass
class StandInPredictor:
    """Answers like a network would, by rules simple enough to predict.

    The first mask is what is brighter than 100. A click adds or removes a ball round itself, on
    top of the previous mask; without the previous mask the balls of earlier clicks are missing,
    so a round that was given the wrong one is found out.
    """

    radius_mm: float = 6.0
    gate: threading.Event = field(default_factory=threading.Event)
    encoded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def encode(self, volume: Volume, progress: Callable[[float], None] | None = None) -> Any:
        self.encoded.append(volume.name)
        if progress is not None:
            progress(0.5)
        return SimpleNamespace(volume=volume, nbytes=10 * volume.data.nbytes)

    def segment(
        self, scan: Any, clicks: Sequence[Click], previous_mask: BoolArray | None = None
    ) -> Any:
        assert self.gate.wait(timeout=30)
        first = scan.volume.data > 100
        mask = first if previous_mask is None else previous_mask.copy()
        if clicks:
            axes = [np.arange(size) for size in scan.volume.shape]
            grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
            offsets = (grid - np.array(clicks[-1].voxel)) * np.array(scan.volume.spacing)
            mask[np.linalg.norm(offsets, axis=-1) <= self.radius_mm] = bool(clicks[-1].label)
        return SimpleNamespace(mask=mask)


@dataclass
class StandInShelf:
    """Two checkpoints, of which the second draws larger balls."""

    small: StandInPredictor = field(default_factory=StandInPredictor)
    large: StandInPredictor = field(default_factory=lambda: StandInPredictor(radius_mm=12.0))

    @property
    def names(self) -> list[str]:
        return ["small", "large"]

    def predictor(self, name: str) -> StandInPredictor:
        return {"small": self.small, "large": self.large}[name]

    def as_models(self) -> ModelShelf:
        return cast(ModelShelf, self)


def write_scan(
    path: Path, data: npt.NDArray[Any], spacing: Sequence[float] = (1.0, 1.0, 1.0)
) -> Path:
    """Write a NIfTI whose axes are those of the display grid."""
    nib.save(nib.Nifti1Image(data, np.diag([*spacing, 1.0])), path)
    return path


def settings(checkpoints: Path, demo_folder: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "checkpoints": checkpoints,
        "device": "cpu",
        "memory_gb": 1.0,
        "upload_mb": 64,
        "idle_minutes": 30.0,
        "auth": None,
        "root_path": "",
        "demo_folder": demo_folder,
    }
    return Settings(**values | changes)
