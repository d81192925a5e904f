"""``nninteractive``: the open-set 3-D network of Isensee et al. (2025), with point prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from caiseg.clicks import Click, Label
from caiseg.predictor import choose_device
from caiseg.volume import Volume
from train.methods.base import LoadedMethod, Segmentation
from train.methods.external.library import (
    from_stored,
    require_library,
    require_weights,
    stored_array,
    stored_voxel,
    weights_hash,
)

NAME = "nninteractive"


@dataclass(eq=False)
class OpenedScan:
    """A scan in the session's memory, and the clicks that the session has had of it."""

    volume: Volume
    placed: tuple[Click, ...] = ()


class NNInteractive:
    """nnInteractive behind the interface of all methods.

    Its session is a dialogue that keeps its own previous mask, so clicks that follow those it has
    had are added to it; any others are played anew from the first. Without clicks it has nothing
    to say: the mask is empty. It prepares a scan in the background, so what is left of that when
    the first click comes counts to the click.

    Args:
        session: An initialised ``nnInteractiveInferenceSession``.
    """

    def __init__(self, session: Any):
        self._session = session
        self._open: OpenedScan | None = None

    def encode(self, volume: Volume) -> OpenedScan:
        """Hand the scan over as SimpleITK reads it, which nnInteractive asks for."""
        scan = OpenedScan(volume)
        self._show(scan)
        return scan

    def segment(
        self,
        scan: OpenedScan,
        clicks: Sequence[Click],
        previous_mask: npt.NDArray[np.bool_] | None = None,
    ) -> Segmentation:
        """Answer all clicks so far."""
        if scan is not self._open:
            self._show(scan)
        clicks = tuple(clicks)
        if clicks[: len(scan.placed)] != scan.placed:
            self._session.reset_interactions()
            scan.placed = ()
        for click in clicks[len(scan.placed) :]:
            self._session.add_point_interaction(
                stored_voxel(scan.volume, click),
                include_interaction=click.label is Label.FOREGROUND,
            )
        scan.placed = clicks
        mask = self._session.target_buffer.cpu().numpy() > 0
        return Segmentation(from_stored(scan.volume, mask))

    def _show(self, scan: OpenedScan) -> None:
        image = stored_array(scan.volume)
        self._session.set_image(image[None])
        self._session.set_target_buffer(torch.zeros(image.shape, dtype=torch.uint8))
        self._open, scan.placed = scan, ()


def load_nninteractive(checkpoint: Path | None, device: str) -> LoadedMethod:
    """The session of nnInteractive with a folder of its published weights.

    Raises:
        InvalidInput: It is not installed, or the folder is not there.
    """
    module = require_library(
        NAME, "nnInteractive.inference.inference_session", "pip install nninteractive"
    )
    folder = require_weights(
        NAME, checkpoint, "the folder nnInteractive_v1.0 of huggingface.co/MIC-DKFZ/nnInteractive"
    )
    chosen = choose_device(device)
    session = module.nnInteractiveInferenceSession(
        device=chosen, use_torch_compile=False, torch_n_threads=torch.get_num_threads(),
        do_autozoom=True,
    )  # fmt: skip
    session.initialize_from_trained_model_folder(str(folder))
    return LoadedMethod(NAME, NNInteractive(session), weights_hash(folder), chosen, folder.name)
