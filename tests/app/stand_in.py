"""A stand-in for the network, and what tests of the app make around it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import nibabel as nib
import numpy as np
import numpy.typing as npt

from app import replies
from app.metrics import Metrics
from app.models import ModelShelf
from app.network_work import NetworkWork
from app.settings import Settings
from app.store import OpenScan, SessionStore
from app.turns import Turns
from app.uploads import Uploads
from app.work import Work
from caiseg import Click, InvalidInput, Label, Volume
from caiseg.preprocessing import PreprocessingConfig

BoolArray = npt.NDArray[np.bool_]

TRAINED_ON = PreprocessingConfig(modality="MR", spacing=(1.0, 1.0, 3.0), patch_size=(64, 64, 32))


@dataclass
class StandInPredictor:
    """Answers like a network would, by rules simple enough to predict.

    The first mask is what is brighter than 100, of which the lower half is known before the rest.
    A click adds or removes a ball round itself, on top of the previous mask; without the previous
    mask the balls of earlier clicks are missing, so a round that was given the wrong one is found
    out.
    """

    radius_mm: float = 6.0
    checkpoint_hash: str = "5" * 64
    preprocessing: PreprocessingConfig = TRAINED_ON
    gate: threading.Event = field(default_factory=threading.Event)
    encoded: list[str] = field(default_factory=list)
    begun_at: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self.gate.set()

    def encode(
        self,
        volume: Volume,
        progress: Callable[[float], None] = lambda fraction: None,
        *,
        first: Sequence[float] = (),
        preview: Callable[[Callable[[], BoolArray]], object] = lambda mask: None,
        max_bytes: int | None = None,
    ) -> Any:
        self.encoded.append(volume.name)
        self.begun_at = tuple(first)
        lower = np.arange(volume.shape[2]) < volume.shape[2] // 2
        preview(lambda: (volume.data > 100) & lower)
        progress(0.5)
        return SimpleNamespace(volume=volume, nbytes=10 * volume.data.nbytes, notices=())

    def segment(
        self, scan: Any, clicks: Sequence[Click], previous_mask: BoolArray | None = None
    ) -> Any:
        assert self.gate.wait(timeout=300)
        first = scan.volume.data > 100
        mask = first if previous_mask is None else previous_mask.copy()
        if clicks:
            axes = [np.arange(size) for size in scan.volume.shape]
            grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
            offsets = (grid - np.array(clicks[-1].voxel)) * np.array(scan.volume.spacing)
            mask[np.linalg.norm(offsets, axis=-1) <= self.radius_mm] = bool(clicks[-1].label)
        return SimpleNamespace(
            mask=mask,
            probability=self._probability(scan, mask),
            affinity=np.stack([self._near(scan, clicks, label) for label in (0, 1)]),
        )

    def _probability(self, scan: Any, mask: BoolArray) -> npt.NDArray[np.float32]:
        """0.9 inside, 0.1 outside, and undecided on one side of slice 5's mask."""
        probability = np.where(mask, 0.9, 0.1).astype(np.float32)
        undecided = mask & (np.arange(mask.shape[2]) == min(5, mask.shape[2] - 1))
        probability[undecided] = 0.6
        return probability

    def _near(self, scan: Any, clicks: Sequence[Click], label: int) -> npt.NDArray[np.float32]:
        """1 at the last click of a label, less with the distance."""
        affinity = np.zeros(scan.volume.shape, np.float32)
        for click in clicks:
            if int(click.label) == label:
                offsets = np.indices(scan.volume.shape).T - np.array(click.voxel)
                affinity = np.exp(-np.linalg.norm(offsets, axis=-1).T / 4).astype(np.float32)
        return affinity


@dataclass
class StandInShelf:
    """Two checkpoints, of which the second draws larger balls."""

    small: StandInPredictor = field(default_factory=StandInPredictor)
    large: StandInPredictor = field(
        default_factory=lambda: StandInPredictor(radius_mm=12.0, checkpoint_hash="1" * 64)
    )

    @property
    def names(self) -> list[str]:
        return ["small", "large"]

    @property
    def cards(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "modality": "MR",
                "anatomy": "brain",
                "lesion": f"{name} lesions",
                "description": "A stand-in.",
                "spacing": [1.0, 1.0, 3.0],
                "licence": "none",
                "figures": [["Dice after 5 clicks", "0.87"]],
            }
            for name in self.names
        ]

    def predictor(self, name: str) -> StandInPredictor:
        if name not in self.names:
            raise InvalidInput(f"There is no model named '{name}' here.")
        return {"small": self.small, "large": self.large}[name]

    def as_models(self) -> ModelShelf:
        return cast(ModelShelf, self)


def work_with(
    shelf: StandInShelf,
    store: SessionStore,
    uploads: Uploads,
    reading_bytes: int | None = None,
) -> Work:
    """The server's work, with the stand-in for a network."""
    return Work(shelf.as_models(), store, uploads, NetworkWork(Turns(), Metrics()), reading_bytes)


def request(page: str, user: str | None = None) -> gr.Request:
    """What Gradio tells a handler of who asks."""
    return cast(gr.Request, SimpleNamespace(username=user, session_hash=page))


def said(updates: Iterable[Any]) -> dict[str, Any]:
    """All properties that a stream of updates sets, the last value of each."""
    properties: dict[str, Any] = {}
    for update in updates:
        if isinstance(update, gr.HTML):
            properties |= replies.documents(update)
    return properties


def folded(clicks: Sequence[tuple[int, int, int]], scan: OpenScan, shelf: StandInShelf) -> bytes:
    """The mask after foreground clicks, each given the mask before it."""
    assert scan.resident is not None
    mask = shelf.small.segment(scan.resident.encoded, ()).mask
    for voxel in clicks:
        click = Click(voxel, Label.FOREGROUND)
        mask = shelf.small.segment(scan.resident.encoded, [click], mask).mask
    return bytes(mask.tobytes())


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
        "disk_gb": 1.0,
        "upload_mb": 64,
        "idle_minutes": 30.0,
        "auth": None,
        "root_path": "",
        "demo_folder": demo_folder,
    }
    return Settings(**values | changes)
