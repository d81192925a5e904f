"""Masks as files: one file of labels, or one file for each object."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Literal

from caiseg import Volume
from caiseg.annotation.objects import Scene

Layout = Literal["labels", "masks"]
"""One file in which the n-th object of the list is label n, or a file of 0 and 1 for each."""


def save_masks(scene: Scene, volume: Volume, name: str, layout: Layout, folder: Path) -> Path:
    """Write the objects of a scan in its own geometry.

    No voxel is in two objects, see :class:`caiseg.annotation.objects.Scene`.

    Args:
        scene: The objects.
        volume: The scan.
        name: Its name, for the files.
        layout: How to write them.
        folder: Where to.

    Returns:
        A ``.nii.gz`` file, or a ``.zip`` file of them.
    """
    if layout == "labels":
        path = folder / f"{name}_mask.nii.gz"
        volume.save_mask(scene.labels, path)
        return path
    archive = folder / f"{name}_masks.zip"
    # The masks inside are compressed already.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bundle:
        for label, item in enumerate(scene.objects, start=1):
            path = folder / f"{name}_{label}_{file_part(item.name)}.nii.gz"
            volume.save_mask(scene.masks[item.object_id].unpack(), path)
            bundle.write(path, path.name)
            path.unlink()
    return archive


def file_part(name: str) -> str:
    """A name without what some file systems refuse."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "object"
