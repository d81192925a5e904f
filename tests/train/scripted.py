"""A method that answers with given masks, and the small case that it is tried on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import numpy.typing as npt

from caiseg import Click, Volume
from train.manifest import Case

Mask = npt.NDArray[np.bool_]

SHAPE = (12, 10, 8)
SPACING = (1.0, 1.5, 3.0)


def block(*parts: slice) -> Mask:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[parts] = True
    return mask


LESION = block(slice(2, 8), slice(2, 7), slice(2, 6))
HALF = block(slice(2, 5), slice(2, 7), slice(2, 6))
NOTHING = block(slice(0), slice(0), slice(0))


@dataclass
class Scripted:
    """Answers with given masks, by the number of clicks; the last one stays.

    Attributes:
        masks: The script.
        encoded: Names of the scans that were encoded.
        asked: Clicks and previous mask of every answer.
    """

    masks: Sequence[Mask]
    encoded: list[str] = field(default_factory=list)
    asked: list[tuple[tuple[Click, ...], Mask | None]] = field(default_factory=list)

    def encode(self, volume: Volume) -> str:
        self.encoded.append(volume.name)
        return volume.name

    def segment(
        self, scan: str, clicks: Sequence[Click], previous_mask: Mask | None = None
    ) -> SimpleNamespace:
        self.asked.append((tuple(clicks), previous_mask))
        return SimpleNamespace(mask=self.masks[min(len(clicks), len(self.masks) - 1)])


def write_case(
    folder: Path, name: str = "one", lesion: Mask = LESION, codes: str = "RAS", seed: int = 0
) -> Case:
    """Save a scan of noise and its mask, given in RAS order, in the orientation ``codes``."""
    orientation = nib.orientations.axcodes2ornt(codes)
    noise = np.random.default_rng(seed).normal(100, 20, lesion.shape).astype(np.float32)
    paths = folder / f"{name}_image.nii.gz", folder / f"{name}_mask.nii.gz"
    for path, data in zip(paths, (noise, lesion.astype(np.uint8)), strict=True):
        image = nib.Nifti1Image(data, np.diag([*SPACING, 1.0]))
        to_codes = nib.orientations.ornt_transform(nib.io_orientation(image.affine), orientation)
        nib.save(image.as_reoriented(to_codes), path)
    return Case(name, f"patient of {name}", *paths, "val")
