"""CAISeg and what it is compared with, all behind one interface and clicked alike.

Every method is a :class:`train.evaluation.simulated_session.Method`: it encodes a scan and answers
clicks with a mask on the scan's own voxels.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from caiseg.errors import InvalidInput
from train.methods.base import LoadedMethod, MethodEntry
from train.methods.checkpoints import load_caiseg, load_click_network
from train.methods.classical import load_classical
from train.methods.external.medsam import load_medsam
from train.methods.external.nninteractive import load_nninteractive
from train.methods.external.nnunet import load_nnunet
from train.methods.external.sam_med3d import load_sam_med3d
from train.methods.graph_cuts import GraphCuts
from train.methods.random_walker import RandomWalker

__all__ = ["METHODS", "LoadedMethod", "MethodEntry", "load_method"]

METHODS: dict[str, MethodEntry] = {
    "caiseg": MethodEntry("this project's network", load_caiseg),
    "vnet": MethodEntry("its backbone alone, without clicks", partial(load_click_network, "vnet")),
    "ritm3d": MethodEntry(
        "VNet with disks and previous mask as input", partial(load_click_network, "ritm3d")
    ),
    "dins3d": MethodEntry(
        "VNet with Gaussian click maps at every scale", partial(load_click_network, "dins3d")
    ),
    "mideepseg": MethodEntry(
        "VNet with geodesic click maps as input", partial(load_click_network, "mideepseg")
    ),
    "random_walker": MethodEntry(
        "Grady's random walker", partial(load_classical, RandomWalker), weights="none"
    ),
    "graph_cuts": MethodEntry(
        "Boykov and Jolly's graph cuts", partial(load_classical, GraphCuts), weights="none"
    ),
    "nnunet": MethodEntry("a trained nnU-Net v2, without clicks", load_nnunet, weights="own"),
    "nninteractive": MethodEntry("nnInteractive", load_nninteractive, weights="own"),
    "sam_med3d": MethodEntry("SAM-Med3D", load_sam_med3d, weights="own"),
    "medsam": MethodEntry("MedSAM, prompted with boxes", load_medsam, weights="own"),
}
"""Every method by the name that ``--method`` takes."""


def load_method(name: str, checkpoint: Path | None = None, device: str = "auto") -> LoadedMethod:
    """A method ready to be clicked.

    Args:
        name: Key of :data:`METHODS`.
        checkpoint: Its weights, where it has any.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the best that is there.

    Raises:
        InvalidInput: There is no such method, or its weights cannot be used.
    """
    if name not in METHODS:
        raise InvalidInput(f"'{name}' is not a method; choose one of {', '.join(METHODS)}.")
    return METHODS[name].load(checkpoint, device)
