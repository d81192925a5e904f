"""Cases on disk that can be prepared, or no longer can, and their preparation."""

from __future__ import annotations

import json
from pathlib import Path

from tests.train.labelled_scans import labels, save, scan, small_config
from train.config import ExperimentConfig
from train.examination import Finding
from train.manifest import Case
from train.prepare import PrepareOptions, prepare

CONFIG = small_config()


def pair(folder: Path, name: str, seed: int, patient: str | None = None, split: str = "") -> Case:
    """A case that can be used, saved in ``folder``."""
    image = save(folder / f"{name}.nii.gz", scan(seed))
    mask = save(folder / f"{name}_mask.nii.gz", labels(1))
    return Case(name, patient or name, image, mask, split)


def prepare_here(
    cases: list[Case], out: Path, config: ExperimentConfig = CONFIG, seed: int = 0
) -> dict[str, Finding]:
    """Prepare in this process; what was found by the name of the case."""
    findings = prepare(config, cases, PrepareOptions(out, seed, workers=0))
    return {finding.case.name: finding for finding in findings}


def split_json(out: Path) -> dict[str, object]:
    """What a preparation wrote about the split and about who was refused."""
    document: dict[str, object] = json.loads((out / "split.json").read_text())
    return document


def empty_mask(case: Case) -> None:
    """Take the lesion out of a case."""
    save(case.mask, labels(0))
