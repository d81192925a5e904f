"""The predictor: encode a scan once, answer clicks many times."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from caiseg.boxes import whole_box
from caiseg.checkpoint import CheckpointInfo, load_checkpoint
from caiseg.click_answer import ClickAnswer
from caiseg.clicked_pieces import keep_clicked_pieces
from caiseg.clicks import Click, check_inside
from caiseg.device_memory import Attempt, check_room, encode_within_memory
from caiseg.display_masks import DisplayMasks
from caiseg.encoded_features import EncodedFeatures
from caiseg.errors import InvalidInput
from caiseg.grids import ScanGrids, Shape
from caiseg.growing_mask import GrowingMask
from caiseg.guided_filter import GuidedFilter, GuidedFilterConfig
from caiseg.interpolation import interpolate_box, mask_to_model, reached
from caiseg.local_changes import keep_changes_local
from caiseg.network import CAISeg
from caiseg.preprocessing import PreprocessingConfig, preprocess
from caiseg.resampling import resample_to_display
from caiseg.volume import Volume


@dataclass(frozen=True, eq=False)
class EncodedScan:
    """A scan's features; everything that a click needs.

    Attributes:
        grids: The scan's native, display and model grids.
        features: What its patches were encoded to, on the model grid.
        masks: Brings answers to the display grid; holds the first mask.
        notices: What a person should know about how the scan was encoded.
    """

    grids: ScanGrids
    features: EncodedFeatures
    masks: DisplayMasks
    notices: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """Size ``(I, J, K)`` of the display grid, which clicks and masks refer to."""
        return self.grids.display.shape

    @property
    def device(self) -> torch.device:
        """Where clicks are answered."""
        return self.features.device

    @property
    def nbytes(self) -> int:
        """Bytes of memory that features and masks hold."""
        return self.features.nbytes + self.masks.nbytes

    def on_cpu(self) -> EncodedScan:
        """The same scan on the CPU, for a GPU that has no memory left to answer clicks in."""
        notice = "The GPU had too little memory for a click; this scan goes on on the CPU, slower."
        features = self.features.on_cpu()
        masks, notices = self.masks.on_cpu(features), (*self.notices, notice)
        return replace(self, features=features, masks=masks, notices=notices)


class SegmentationResult:
    """The answer to a set of clicks, brought to the display grid when asked for.

    Args:
        scan: The scan that was segmented.
        answer: What the clicks gave; ``None`` without clicks.
        clicks: The clicks, on the display grid.
    """

    def __init__(
        self,
        scan: EncodedScan,
        answer: ClickAnswer | None = None,
        clicks: Sequence[Click] = (),
    ):
        self._scan = scan
        self._answer = answer
        self._clicks = clicks

    @cached_property
    def mask(self) -> npt.NDArray[np.bool_]:
        """``Ŷ``: bool ``(I, J, K)``, where the foreground is more likely than not.

        Its border follows the scan's edges, nothing changed far from a click, and pieces that
        nobody clicked are left out, where the checkpoint asks for that
        (:mod:`caiseg.guided_filter`, :mod:`caiseg.local_changes`, :mod:`caiseg.clicked_pieces`).
        """
        return self._scan.masks.of(self._answer, self._clicks)

    @cached_property
    def probability(self) -> npt.NDArray[np.float32]:
        """Foreground probability, float32 ``(I, J, K)`` in [0, 1]."""
        whole = whole_box(self._scan.shape)
        logits = interpolate_box(
            self._model_logits, whole, self._model_logits.shape, self._scan.shape
        )
        return torch.sigmoid(logits).cpu().numpy()

    @cached_property
    def affinity(self) -> npt.NDArray[np.float32]:
        """The clustered affinity map ``CA`` (eq. 7), float32 ``(2, I, J, K)`` in [0, 1].

        Index 0 holds every voxel's affinity to its best background click, index 1 to its best
        foreground click; 0 where there is no such click.
        """
        affinity = self._scan.features.affinity(self._answer)
        return resample_to_display(affinity[None], self._scan.shape)[0].cpu().numpy()

    @cached_property
    def coarse(self) -> npt.NDArray[np.float32]:
        """The coarse prediction ``P̂_cls`` (eqs. 9-10), float32 ``(2, I, J, K)`` in [0, 1].

        Foreground probability by the head features alone: index 0 holds it before the adjustment
        by clicks (from ``F``), index 1 after it (from ``F_new``). Without clicks both are equal.
        """
        logits = self._scan.features.coarse_logits(self._answer)
        display = resample_to_display(logits[None], self._scan.shape)[0]
        return torch.sigmoid(display).cpu().numpy()

    @cached_property
    def _model_logits(self) -> Tensor:
        """Foreground logits on the model grid."""
        return self._scan.features.all_logits(self._answer)


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
        guided_filter: How masks follow the scan's edges; ``None`` leaves them as they are.
        reach_mm: How far from itself a click acts, along every axis; half a patch's size when left
            out.
        clicked_pieces: Whether clicks bring in only pieces that somebody asked for, see
            :mod:`caiseg.clicked_pieces`.
        local_changes: Whether a click changes the mask only near itself, see
            :mod:`caiseg.local_changes`.
        info: What the checkpoint says about itself.
        checkpoint_hash: SHA-256 of the checkpoint file.
        dense: Whether a click runs VNet's last stage on whole patches instead of on the blocks
            that it can change; see :class:`caiseg.encoded_features.EncodedFeatures`.
    """

    def __init__(
        self,
        network: CAISeg,
        preprocessing: PreprocessingConfig,
        device: str | torch.device = "cpu",
        *,
        guided_filter: GuidedFilterConfig | None = None,
        reach_mm: float | None = None,
        clicked_pieces: bool = False,
        local_changes: bool = False,
        info: CheckpointInfo | None = None,
        checkpoint_hash: str = "",
        dense: bool | None = None,
    ):
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.preprocessing = preprocessing
        self.guided_filter = guided_filter
        self.reach_mm = reach_mm
        self.clicked_pieces = clicked_pieces
        self.local_changes = local_changes
        self.info = info
        self.checkpoint_hash = checkpoint_hash
        self.dense = dense

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
            guided_filter=checkpoint.info.guided_filter,
            reach_mm=checkpoint.info.click_reach_mm,
            clicked_pieces=checkpoint.info.clicked_pieces,
            local_changes=checkpoint.info.local_changes,
            info=checkpoint.info,
            checkpoint_hash=checkpoint.sha256,
        )

    @torch.inference_mode()
    def encode(
        self,
        volume: Volume,
        progress: Callable[[float], None] | None = None,
        *,
        first: Sequence[float] | None = None,
        preview: Callable[[Callable[[], npt.NDArray[np.bool_]]], object] | None = None,
        max_bytes: int | None = None,
    ) -> EncodedScan:
        """Compute everything that does not depend on clicks.

        Args:
            volume: The scan.
            progress: Called with the share of the work done, in (0, 1].
            first: Display voxel near which to begin, the one in view; it changes no mask.
            preview: Called after each patch but the last, with a function that gives the first
                mask ``(I, J, K)`` as far as it is known, not yet drawn to the scan's edges; only
                asking for it costs time.
            max_bytes: Scans whose features take more memory are refused; None for no such limit.

        Raises:
            InvalidInput: The scan is too large at this checkpoint's voxel size.
        """
        grids = ScanGrids.build(volume.reorientation.native, self.preprocessing.spacing)
        if max_bytes is not None:
            check_room(
                self.network.config, grids.model.shape, self.preprocessing.patch_size, max_bytes
            )
        image = preprocess(volume.data, grids.display, grids.model, self.preprocessing.modality)
        near = None if first is None else grids.display_to_model(first).tolist()

        def encode(attempt: Attempt) -> EncodedScan:
            growing = None if preview is None else GrowingMask(grids.display.shape, preview)
            features = attempt.features(
                image, grids.model.spacing, progress,
                dense=self.dense, first=near, reach_mm=self.reach_mm, preview=growing,
            )  # fmt: skip
            edges = None
            if self.guided_filter is not None:
                edges = GuidedFilter(
                    volume.data, grids.display.spacing, self.guided_filter, features.device
                )
            masks = DisplayMasks(features, edges, grids.display.shape)
            return EncodedScan(grids, features, masks, attempt.notices)

        return encode_within_memory(self._first_attempt, encode)

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Encode and click a patch of zeros, so that the first person waits for nothing.

        Kernels are chosen and memory is claimed when a size is first met.
        """
        image = torch.zeros(self.preprocessing.patch_size)

        def encode_and_click(attempt: Attempt) -> None:
            features = attempt.features(
                image, self.preprocessing.spacing, dense=self.dense, reach_mm=self.reach_mm
            )
            click = torch.tensor([[size // 2 for size in image.shape]], device=features.device)
            label = torch.ones(1, dtype=torch.long, device=features.device)
            features.answer(click, label, torch.zeros(features.shape, device=features.device))

        encode_within_memory(self._first_attempt, encode_and_click)

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
            return SegmentationResult(scan)
        voxels = scan.grids.nearest_model_voxel([click.voxel for click in clicks])
        features = scan.features
        labels = torch.tensor([int(click.label) for click in clicks], device=features.device)
        places = torch.from_numpy(voxels).to(features.device)
        near = features.near(places)
        if previous_mask is None:
            mask = torch.zeros(features.shape)
        else:
            mask = mask_to_model(previous_mask, features.shape, near)
        answer = features.answer(places, labels, mask.to(features.device))
        result = SegmentationResult(scan, answer, tuple(clicks))
        if self.local_changes and previous_mask is not None:
            part = reached(near, features.shape, scan.shape)
            keep_changes_local(result.mask, clicks, previous_mask, scan.grids.display.spacing, part)
        if self.clicked_pieces:
            keep_clicked_pieces(result.mask, clicks, previous_mask)
        return result

    @property
    def _first_attempt(self) -> Attempt:
        return Attempt(self.network, self.device, self.preprocessing.patch_size)


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
