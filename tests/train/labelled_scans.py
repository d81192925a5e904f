"""Small labelled scans on disk, in the layouts that data sets come in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from train.config import ExperimentConfig, load_config

SHAPE = (20, 18, 12)
SPACING = (2.0, 2.0, 4.0)

Voxels = npt.NDArray[Any]


def small_config(*overrides: str, base: str = "brain_flair") -> ExperimentConfig:
    """A built-in config at the scans' own spacing, with any keys replaced."""
    spacing = f"preprocessing.spacing=[{', '.join(str(step) for step in SPACING)}]"
    return load_config(base, [spacing, *overrides])


def scan(seed: int, volumes: int | None = None) -> Voxels:
    """Noise that no two seeds share, around a level that tells the volumes of a 4-D scan apart."""
    shape = SHAPE if volumes is None else (*SHAPE, volumes)
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return noise if volumes is None else noise + 100 * np.arange(volumes, dtype=np.float32)


def labels(*values: int) -> Voxels:
    """A mask with one block of 6 x 6 x 4 voxels for each value, side by side."""
    mask = np.zeros(SHAPE, dtype=np.uint8)
    for place, value in enumerate(values):
        mask[1 + 6 * place : 7 + 6 * place, 4:10, 3:7] = value
    return mask


def save(path: Path, voxels: Voxels, affine: Voxels | None = None) -> Path:
    """Save NIfTI; its folder is created when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if affine is None:
        affine = np.diag([*SPACING, 1.0])
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def write_decathlon(
    folder: Path, masks: Mapping[str, Voxels], *, modality: Iterable[str], names: Mapping[str, str]
) -> Path:
    """A task folder as the Decathlon's archives unpack to, with the files that macOS adds.

    Args:
        folder: Where to.
        masks: Mask of each case.
        modality: Sequences; scans are 4-D where there is more than one.
        names: ``labels`` of ``dataset.json``.
    """
    modality = list(modality)
    for seed, (case, mask) in enumerate(masks.items()):
        voxels = scan(seed, len(modality) if len(modality) > 1 else None)
        save(folder / "imagesTr" / f"{case}.nii.gz", voxels)
        save(folder / "labelsTr" / f"{case}.nii.gz", mask)
        for part in ("imagesTr", "labelsTr"):
            (folder / part / f"._{case}.nii.gz").write_bytes(b"\0\5\26\7Mac OS X")
    document = {
        "name": folder.name,
        "tensorImageSize": "4D" if len(modality) > 1 else "3D",
        "modality": {str(number): name for number, name in enumerate(modality)},
        "labels": dict(names),
        "numTraining": len(masks),
        "training": [
            {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"}
            for case in masks
        ],
        "test": ["./imagesTs/unlabelled.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(document))
    return folder


def write_nnunet(
    folder: Path,
    masks: Mapping[str, Voxels],
    *,
    channels: int = 1,
    ending: str = ".nii.gz",
    **keys: Any,
) -> Path:
    """An nnU-Net v2 raw data set; ``keys`` replace those of its ``dataset.json``."""
    for seed, (case, mask) in enumerate(masks.items()):
        for channel in range(channels):
            file = f"{case}_{channel:04d}{ending}"
            save(folder / "imagesTr" / file, scan(seed) + 100 * channel)
        save(folder / "labelsTr" / f"{case}{ending}", mask)
    document = {
        "channel_names": {str(number): f"sequence {number}" for number in range(channels)},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": len(masks),
        "file_ending": ending,
    }
    (folder / "dataset.json").write_text(json.dumps(document | keys))
    return folder


def write_manifest_csv(path: Path, *rows: str, header: str = "case,patient,image,mask") -> Path:
    """A manifest with the given lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path
