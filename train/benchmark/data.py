"""The cases of a training that is measured: generated, and read as ``fit`` reads its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from caiseg.synthetic import SyntheticScanConfig, generate_scan
from train.benchmark.report import Measurement
from train.config import ExperimentConfig
from train.dataset import CaseSource, SampleKey, StoredCases, TrainingSamples
from train.generated import GeneratedCases
from train.manifest import Case
from train.prepared import prepare_case

CASES = 2
REPEATS = 4
"""Samples of each case that are timed."""


def benchmark_cases(config: ExperimentConfig, folder: Path) -> CaseSource:
    """What ``fit`` would learn from: scans in a cache, or scans that are generated one by one.

    Args:
        config: The experiment; scans have the size of its training scans.
        folder: For files.
    """
    if config.synthetic is not None:
        return GeneratedCases(config, config.synthetic.model_copy(update={"cases": CASES}))
    shape = config.data.scan_size or config.preprocessing.patch_size
    scans = SyntheticScanConfig(shape=shape, spacing=config.preprocessing.spacing)
    return StoredCases(
        prepare_case(
            _written(config, scans, seed, folder), config.preprocessing, config.data,
            folder / "cache",
        )
        for seed in range(CASES)
    )  # fmt: skip


def seconds_per_sample(
    samples: TrainingSamples, clock: Callable[[], float] = time.perf_counter
) -> float:
    """What preparing a sample takes on one thread, which is what a worker has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    keys = [SampleKey(0, case, repeat) for repeat in range(REPEATS) for case in range(CASES)]
    began = clock()
    for key in keys:
        samples[key]
    torch.set_num_threads(threads)
    return (clock() - began) / len(keys)


def measure_facts(cases: CaseSource, config: ExperimentConfig) -> Sequence[Measurement]:
    """How many times longer a CT sample takes whose scan is read whole; nothing for others."""
    if config.preprocessing.modality != "CT" or not isinstance(cases, StoredCases):
        return []
    unread = StoredCases(replace(case, facts=None) for case in cases)
    whole, stored = (
        seconds_per_sample(TrainingSamples(source, config), time.process_time)
        for source in (unread, cases)
    )
    return [Measurement("one sample, scan read whole / in part", whole / stored, "x")]


def _written(config: ExperimentConfig, scans: SyntheticScanConfig, seed: int, folder: Path) -> Case:
    """A generated scan and its mask as files."""
    made = generate_scan(scans, seed)
    image, mask = folder / f"scan{seed}.nii", folder / f"mask{seed}.nii"
    label = (config.data.label_values or (1,))[0]
    nib.save(nib.Nifti1Image(made.image, made.affine), image)
    nib.save(nib.Nifti1Image(made.lesion.astype(np.int32) * label, made.affine), mask)
    return Case(f"generated {seed}", f"generated {seed}", image, mask, "train", channel=0)
