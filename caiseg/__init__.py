"""CAISeg: interactive segmentation of lesions in 3-D scans with a few clicks.

Every array, click, shape and spacing is ordered ``(i, j, k)`` on a scan's *display grid*: its own
voxels, reordered to closest canonical (RAS+) orientation without resampling.
"""

from caiseg.checkpoint import (
    Checkpoint,
    CheckpointInfo,
    load_checkpoint,
    read_checkpoint_info,
    save_checkpoint,
)
from caiseg.clicks import Click, Label
from caiseg.errors import InvalidInput, SeveralSeries
from caiseg.predictor import CAISegPredictor, EncodedScan, SegmentationResult
from caiseg.replay import replay_clicks
from caiseg.version import __version__
from caiseg.volume import Volume, load_labels, load_mask, load_volume

__all__ = [
    "CAISegPredictor",
    "Checkpoint",
    "CheckpointInfo",
    "Click",
    "EncodedScan",
    "InvalidInput",
    "Label",
    "SegmentationResult",
    "SeveralSeries",
    "Volume",
    "__version__",
    "load_checkpoint",
    "load_labels",
    "load_mask",
    "load_volume",
    "read_checkpoint_info",
    "replay_clicks",
    "save_checkpoint",
]
