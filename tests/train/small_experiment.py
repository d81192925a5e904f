"""A training that takes seconds: a network of a few thousand weights and synthetic scans."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
import yaml

from caiseg.synthetic import SyntheticScanConfig, generate_scan
from train.config import ExperimentConfig
from train.dataset import StoredCases
from train.prepared import PreparedCase

SCANS = SyntheticScanConfig(
    shape=(32, 32, 16), spacing=(5.0, 5.0, 10.0), lesion_count=(1, 1), lesion_radius=(20.0, 28.0)
)


def small_document(**sections: dict[str, Any]) -> dict[str, Any]:
    """An experiment as its YAML file would hold it; ``sections`` replace single keys."""
    document: dict[str, Any] = {
        "name": "small",
        "description": "Outlines generated lesions.",
        "anatomy": "brain",
        "lesion": "generated",
        "network": {
            "base_channels": 2,
            "kernel_size": 3,
            "strides": [[2, 2, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]],
            "attention_heads": [4, 4, 2, 2],
            "affinity_heads": 2,
            "query_scale": 0.3,
        },
        "preprocessing": {"modality": "MR", "spacing": [5, 5, 10], "patch_size": [32, 32, 16]},
        "data": {"crop_size": [32, 32, 16]},
        "clicks": {"foreground": [1, 3], "background": [0, 3]},
        "schedule": {"pretrain_epochs": 1, "epochs": 2, "batch_size": 2, "validate_every": 1},
    }
    for name, changes in sections.items():
        document[name] = document.get(name, {}) | changes
    return document


def small_config(**sections: dict[str, Any]) -> ExperimentConfig:
    """The same, validated."""
    return ExperimentConfig.model_validate(small_document(**sections))


def write_experiment(folder: Path, **sections: dict[str, Any]) -> Path:
    """Write the experiment to ``folder/small.yaml``."""
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(small_document(**sections)), encoding="utf-8")
    return path


def write_manifest(folder: Path, train: int = 4, val: int = 1) -> Path:
    """Write synthetic scans and masks as NIfTI, and the manifest that lists them."""
    rows = [("case", "patient", "image", "mask", "split")]
    for number in range(train + val):
        scan = generate_scan(SCANS, number)
        image, mask = f"scan{number}.nii.gz", f"mask{number}.nii.gz"
        nib.save(nib.Nifti1Image(scan.image, scan.affine), folder / image)
        nib.save(nib.Nifti1Image(scan.lesion.astype(np.uint8), scan.affine), folder / mask)
        split = "train" if number < train else "val"
        rows.append((f"case{number}", f"patient{number}", image, mask, split))
    path = folder / "cases.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


def prepared_cases(count: int = 3) -> StoredCases:
    """Synthetic scans as they come from preparation, without going through files."""
    cases = StoredCases()
    for number in range(count):
        scan = generate_scan(SCANS, number)
        image = torch.from_numpy(scan.image.astype(np.float32))
        cases.append(
            PreparedCase(
                f"case{number}",
                (image - image.min()) / image.std(),
                torch.from_numpy(scan.lesion),
                torch.tensor(scan.spacing).float(),
            )
        )
    return cases
