"""Samples a second of a training, and where the time of a step goes."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from caiseg.network import CAISeg
from train.benchmark.data import CASES, benchmark_cases, measure_facts, seconds_per_sample
from train.benchmark.report import Measurement
from train.benchmark.savings import measure_savings
from train.config import ExperimentConfig
from train.processes import launch
from train.run_folder import RunFolder
from train.steps import PARTS
from train.trainer import BACKWARD, OPTIMIZER, Trainer

WARM_UP = 2
"""Steps before the clock starts: memory is claimed and kernels are chosen in them."""

COMPARED = 4
"""Steps at most that are made in other ways too, to tell what a way saves."""


@dataclass(frozen=True)
class TrainingBenchmark:
    """How a training is measured.

    Attributes:
        steps: Steps of CAISeg training to measure.
        workers: Processes that prepare samples.
        accelerator: As for ``fit``.
    """

    steps: int = 10
    workers: int = 1
    accelerator: str = "auto"


def measure_training(
    config: ExperimentConfig, options: TrainingBenchmark
) -> tuple[list[Measurement], torch.device]:
    """Train on generated scans of the config's own sizes, from a cache, for some steps.

    The first pass runs as ``fit`` does and gives the speed; a second one runs under a profiler,
    which costs a little itself, and gives the shares of the parts. Some further steps are made in
    other ways too, see :mod:`train.benchmark.savings`.

    Args:
        config: The experiment; its pre-training is left out.
        options: How much and on what.

    Returns:
        Samples a second, and milliseconds a step of every part, with their shares, and ratios to
        other ways; and the device that it ran on.
    """
    compared = min(options.steps, COMPARED)
    config = _interactive_only(config, WARM_UP + 2 * options.steps + compared)
    fabric = launch(options.accelerator, devices=1, nodes=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = benchmark_cases(config, folder)
        run = RunFolder(folder / "run")
        trainer = Trainer(config, cases, [], run, fabric, workers=options.workers)
        alone = seconds_per_sample(trainer.samples)
        savings = [*measure_facts(cases, config)]
        batches = iter(trainer.batches())
        for _ in range(WARM_UP):
            trainer.learn(next(batches))
        waiting, total = _run(trainer, batches, options.steps)
        with profile(activities=_activities(fabric.device)) as profiler:
            _run(trainer, batches, options.steps)
        if isinstance(trainer.network, CAISeg):
            savings += measure_savings(trainer.network, config, islice(batches, compared))
    size = config.schedule.batch_size
    lines = [
        Measurement("samples a second", options.steps * size / total, "/s"),
        Measurement("one step", 1e3 * total / options.steps, "ms"),
        Measurement("of it waiting for data", 1e3 * waiting / options.steps, "ms", waiting / total),
    ]
    times = {event.key: _seconds(event, fabric.device) for event in profiler.key_averages()}
    parts = {name: times.get(name, 0.0) / options.steps for name in (*PARTS, BACKWARD, OPTIMIZER)}
    whole = sum(parts.values())
    lines += [Measurement(name, 1e3 * part, "ms", part / whole) for name, part in parts.items()]
    lines.append(Measurement("one sample on one worker", 1e3 * alone, "ms"))
    lines.append(Measurement("workers needed", math.ceil(alone * options.steps * size / total), ""))
    return lines + savings, fabric.device


def _interactive_only(config: ExperimentConfig, steps: int) -> ExperimentConfig:
    """One epoch of CAISeg that is long enough."""
    samples = steps * config.schedule.batch_size
    changes = {"pretrain_epochs": 0, "epochs": 1, "samples_per_case": math.ceil(samples / CASES)}
    schedule = config.schedule.model_copy(update=changes)
    return config.model_copy(update={"schedule": schedule})


def _run(
    trainer: Trainer, batches: Iterator[dict[str, torch.Tensor]], steps: int
) -> tuple[float, float]:
    """Seconds spent waiting for data, and altogether."""
    waiting, began = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waiting += time.perf_counter() - asked
        trainer.learn(batch)
    return waiting, time.perf_counter() - began


def _activities(device: torch.device) -> list[ProfilerActivity]:
    gpu = [ProfilerActivity.CUDA] if device.type == "cuda" else []
    return [ProfilerActivity.CPU, *gpu]


def _seconds(event: Any, device: torch.device) -> float:
    """Time of a named part: that of its kernels where they run on their own."""
    on_gpu = device.type == "cuda"
    return float(event.device_time_total if on_gpu else event.cpu_time_total) / 1e6
