"""The first mask of a scan while its patches are being encoded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from caiseg.boxes import Box, whole_box
from caiseg.grids import Shape
from caiseg.interpolation import reached, write_mask

BoolArray = npt.NDArray[np.bool_]


class GrowingMask:
    """Brings finished patches to the display grid when somebody asks for them.

    Called with what :class:`caiseg.encoded_features.EncodedFeatures` tells after a patch.

    Args:
        shape: Size ``(I, J, K)`` of the display grid.
        show: Told after each patch; may call what it is given to get the mask so far.
    """

    def __init__(self, shape: Shape, show: Callable[[Callable[[], BoolArray]], object]):
        self._mask: BoolArray = np.zeros(shape, dtype=bool)
        self._show = show
        self._waiting: list[Box] = []

    def __call__(self, box: Box, logits: Tensor) -> None:
        """Take note of a finished patch.

        Args:
            box: Where it lies on the model grid.
            logits: Foreground logits ``(I, J, K)`` of all patches so far, on the model grid.
        """
        self._waiting.append(box)
        self._show(lambda: self._brought_up_to_date(logits))

    def _brought_up_to_date(self, logits: Tensor) -> BoolArray:
        with torch.inference_mode():
            shape = self._mask.shape
            for box in self._waiting:
                renewed = reached(box, logits.shape, shape)
                write_mask(self._mask, logits, renewed, whole_box(shape), shape)
        self._waiting.clear()
        so_far: BoolArray = self._mask.copy()
        return so_far
