"""The predictor: encode a scan once, answer clicks many times."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from caiseg.checkpoint import CheckpointInfo, load_checkpoint
from caiseg.clicks import Click, check_inside
from caiseg.errors import InvalidInput
from caiseg.grids import ScanGrids, Shape, resample_to_display
from caiseg.network import CAISeg
from caiseg.preprocessing import PreprocessingConfig, preprocess
from caiseg.tiling import EncodedTiles, TileAnswer
from caiseg.volume import Volume


@dataclass(frozen=True, eq=False)
class EncodedScan:
    """A scan's features; everything that a click needs.

    Attributes:
        grids: The scan's native, display and model grids.
        tiles: Features of its patches, on the model grid.
    """

    grids: ScanGrids
    tiles: EncodedTiles

    @property
    def shape(self) -> Shape:
        """Size ``(I, J, K)`` of the display grid, which clicks and masks refer to."""
        return self.grids.display.shape

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the features hold."""
        return self.tiles.nbytes


class SegmentationResult:
    """The answer to a set of clicks, brought to the display grid when asked for.

    Args:
        scan: The scan that was segmented.
        answers: What the clicks gave, per tile.
    """

    def __init__(self, scan: EncodedScan, answers: dict[int, TileAnswer]):
        self._scan = scan
        self._answers = answers

    @cached_property
    def mask(self) -> npt.NDArray[np.bool_]:
        """``Ŷ``: bool ``(I, J, K)``, where the foreground is more likely than not."""
        return (self._logits > 0).cpu().numpy()

    @cached_property
    def probability(self) -> npt.NDArray[np.float32]:
        """Foreground probability, float32 ``(I, J, K)`` in [0, 1]."""
        return torch.sigmoid(self._logits).cpu().numpy()

    @cached_property
    def affinity(self) -> npt.NDArray[np.float32]:
        """The clustered affinity map ``CA`` (eq. 7), float32 ``(2, I, J, K)`` in [0, 1].

        Index 0 holds every voxel's affinity to its best background click, index 1 to its best
        foreground click; 0 where there is no such click.
        """
        affinity = self._scan.tiles.blend_affinity(self._answers)
        return resample_to_display(affinity[None], self._scan.shape)[0].cpu().numpy()

    @cached_property
    def _logits(self) -> Tensor:
        """Foreground logits on the display grid, ``(I, J, K)``."""
        logits = self._scan.tiles.blend(self._answers)
        return resample_to_display(logits[None, None], self._scan.shape)[0, 0]


class CAISegPredictor:
    """Interactive segmentation with one checkpoint.

    A predictor holds no state of a scan or a session: ``segment`` is a pure function of its
    arguments, so one predictor may serve many people.

    Example:
        >>> predictor = CAISegPredictor.from_checkpoint("brain-flair.safetensors")
        >>> scan = predictor.encode(caiseg.load_volume("scan.nii.gz"))
        >>> first = predictor.segment(scan, [])
        >>> click = caiseg.Click((40, 52, 17), caiseg.Label.FOREGROUND)
        >>> better = predictor.segment(scan, [click], previous_mask=first.mask)

    Args:
        network: In evaluation mode, on ``device``.
        preprocessing: How scans become the network's input.
        device: Where to compute.
        info: What the checkpoint says about itself.
        checkpoint_hash: SHA-256 of the checkpoint file.
    """

    def __init__(
        self,
        network: CAISeg,
        preprocessing: PreprocessingConfig,
        device: str | torch.device = "cpu",
        *,
        info: CheckpointInfo | None = None,
        checkpoint_hash: str = "",
    ):
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.preprocessing = preprocessing
        self.info = info
        self.checkpoint_hash = checkpoint_hash

    @classmethod
    def from_checkpoint(
        cls, path: str | os.PathLike[str], device: str | torch.device = "cpu"
    ) -> CAISegPredictor:
        """Load a checkpoint file.

        Args:
            path: A ``.safetensors`` file.
            device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the best that is there.

        Raises:
            InvalidInput: The file is no usable checkpoint, or the device is not there.
        """
        chosen = choose_device(device)
        checkpoint = load_checkpoint(path, chosen)
        return cls(
            checkpoint.network,
            checkpoint.info.preprocessing,
            chosen,
            info=checkpoint.info,
            checkpoint_hash=checkpoint.sha256,
        )

    @torch.inference_mode()
    def encode(
        self, volume: Volume, progress: Callable[[float], None] | None = None
    ) -> EncodedScan:
        """Compute everything that does not depend on clicks.

        Args:
            volume: The scan.
            progress: Called with the share of the work done, in (0, 1].

        Raises:
            InvalidInput: The scan is too large at this checkpoint's voxel size.
        """
        grids = ScanGrids.build(volume.reorientation.native, self.preprocessing.spacing)
        image = preprocess(volume.data, grids.display, grids.model, self.preprocessing.modality).to(
            self.device
        )
        spacing = torch.tensor(grids.model.spacing, dtype=torch.float32, device=self.device)
        tiles = EncodedTiles(self.network, image, spacing, self.preprocessing.patch_size, progress)
        return EncodedScan(grids, tiles)

    @torch.inference_mode()
    def segment(
        self,
        scan: EncodedScan,
        clicks: Sequence[Click],
        previous_mask: npt.NDArray[np.bool_] | None = None,
    ) -> SegmentationResult:
        """Answer a set of clicks; without clicks, the first mask.

        Args:
            scan: Result of :meth:`encode` of this predictor.
            clicks: All clicks so far, on the display grid; their order does not matter.
            previous_mask: ``S_p``, the mask that the clicks correct, ``(I, J, K)`` on the display
                grid; ``None`` for an empty one.

        Raises:
            InvalidInput: A click lies outside the scan, or the mask has another size.
        """
        check_inside(clicks, scan.shape)
        if previous_mask is not None and previous_mask.shape != scan.shape:
            raise InvalidInput(
                f"The previous mask has size {previous_mask.shape}, but the scan has size "
                f"{scan.shape}; give the mask of this scan."
            )
        if not clicks:
            return SegmentationResult(scan, {})
        voxels = scan.grids.nearest_model_voxel([click.voxel for click in clicks])
        labels = torch.tensor([int(click.label) for click in clicks], device=self.device)
        mask = self._to_model(previous_mask, scan)
        answers = scan.tiles.answer(torch.from_numpy(voxels).to(self.device), labels, mask)
        return SegmentationResult(scan, answers)

    def _to_model(self, mask: npt.NDArray[np.bool_] | None, scan: EncodedScan) -> Tensor:
        """``S_p`` on the model grid, 0 or 1 as in training."""
        if mask is None:
            return torch.zeros(scan.grids.model.shape, device=self.device)
        tensor = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32)).to(self.device)
        share = torch.nn.functional.interpolate(
            tensor[None, None], size=scan.grids.model.shape, mode="trilinear"
        )
        return (share[0, 0] >= 0.5).float()


def choose_device(device: str | torch.device) -> torch.device:
    """The device of that name; for ``auto`` a GPU where there is one.

    Raises:
        InvalidInput: This machine has no such device.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise InvalidInput(f"'{device}' is not a device; use auto, cpu, cuda or mps.") from None
    if not available.get(chosen.type, False):
        raise InvalidInput(f"This machine has no {chosen.type} device; use cpu or auto.")
    return chosen
