"""Any trained network behind the interface of :class:`caiseg.CAISegPredictor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from caiseg.clicks import Click, check_inside
from caiseg.grids import ScanGrids
from caiseg.guided_filter import GuidedFilter, GuidedFilterConfig
from caiseg.preprocessing import PreprocessingConfig, preprocess
from caiseg.resampling import resample_to_display
from caiseg.volume import Volume
from train.methods.base import Segmentation
from train.methods.click_network import ClickNetwork
from train.methods.patchwise import PatchwiseScan


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """A scan on its three grids, with its answer without clicks.

    Attributes:
        grids: The grids.
        patches: The scan on the model grid.
        edges: Draws masks to the scan's edges; ``None`` leaves them as they are.
    """

    grids: ScanGrids
    patches: PatchwiseScan
    edges: GuidedFilter | None


class ClickNetworkPredictor:
    """Interactive segmentation with a network that takes clicks as input.

    Grids, preprocessing, patches and the way of the mask back to the scan are CAISeg's, the guided
    filter too where the checkpoint asks for it.

    Args:
        network: In evaluation mode, on ``device``.
        preprocessing: How scans become the network's input.
        device: Where to compute.
        guided_filter: How masks follow the scan's edges; ``None`` leaves them as they are.
    """

    def __init__(
        self,
        network: ClickNetwork,
        preprocessing: PreprocessingConfig,
        device: str | torch.device = "cpu",
        guided_filter: GuidedFilterConfig | None = None,
    ):
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.preprocessing = preprocessing
        self.guided_filter = guided_filter

    @torch.inference_mode()
    def encode(self, volume: Volume) -> PreparedScan:
        """Preprocess a scan and answer it without clicks, the first mask.

        Raises:
            InvalidInput: The scan is too large at this checkpoint's voxel size.
        """
        settings = self.preprocessing
        grids = ScanGrids.build(volume.reorientation.native, settings.spacing)
        image = preprocess(volume.data, grids.display, grids.model, settings.modality)
        spacing = torch.tensor(grids.model.spacing, dtype=torch.float32, device=self.device)
        patches = PatchwiseScan(self.network, image.to(self.device), spacing, settings.patch_size)
        edges = None
        if self.guided_filter is not None:
            edges = GuidedFilter(
                volume.data, grids.display.spacing, self.guided_filter, self.device
            )
        return PreparedScan(grids, patches, edges)

    @torch.inference_mode()
    def segment(
        self,
        scan: PreparedScan,
        clicks: Sequence[Click],
        previous_mask: npt.NDArray[np.bool_] | None = None,
    ) -> Segmentation:
        """Answer all clicks so far.

        Args:
            scan: Result of :meth:`encode`.
            clicks: All clicks so far, on the display grid.
            previous_mask: The mask before the last click, ``(I, J, K)`` on the display grid.

        Raises:
            InvalidInput: A click lies outside the scan.
        """
        display = scan.grids.display.shape
        check_inside(clicks, display)
        voxels = scan.grids.nearest_model_voxel(
            [click.voxel for click in clicks] or np.empty((0, 3))
        )
        labels = torch.tensor([int(click.label) for click in clicks], dtype=torch.long)
        logits = scan.patches.logits(
            torch.from_numpy(voxels).to(self.device),
            labels.to(self.device),
            self._to_model(previous_mask, scan),
        )
        on_display = resample_to_display(logits[None, None], display)[0, 0]
        mask = (on_display > 0).cpu().numpy()
        if scan.edges is not None:
            mask = scan.edges.whole(mask, clicks)
        return Segmentation(mask)

    def _to_model(self, mask: npt.NDArray[np.bool_] | None, scan: PreparedScan) -> Tensor:
        """The previous mask on the model grid, 0 or 1 as in training."""
        if mask is None:
            return torch.zeros(scan.patches.shape, device=self.device)
        tensor = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32)).to(self.device)
        share = torch.nn.functional.interpolate(
            tensor[None, None], size=scan.patches.shape, mode="trilinear"
        )
        return (share[0, 0] >= 0.5).float()
