"""How many times longer a training step takes without what makes it cheaper."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from caiseg.network import CAISeg
from train.benchmark.report import Measurement
from train.config import ExperimentConfig
from train.rounds import rounds_of_step, simulate_rounds
from train.steps import TrainingStep

Batch = dict[str, Tensor]

MU = 0.5


def measure_savings(
    network: CAISeg, config: ExperimentConfig, batches: Iterable[Batch]
) -> list[Measurement]:
    """Ratios between ways to make the same step, batch by batch in turn.

    Other programs slow all of them alike; on a CPU only the time that they compute counts.

    Args:
        network: What is trained; its weights stay as they are.
        config: The experiment. Without bfloat16, or without a loss of the first mask, there is
            nothing to compare and no line about it.
        batches: What to learn from.
    """
    seconds: dict[str, float] = defaultdict(float)
    wide = config.model_copy(
        update={"schedule": config.schedule.model_copy(update={"precision": "32"})}
    )
    for number, batch in enumerate(batches):
        seconds["step"] += _step(network, config, batch, number)
        if config.schedule.precision == "bf16":
            seconds["wide step"] += _step(network, wide, batch, number)
        if config.loss.first_mask_weight > 0:
            again, reused = _rounds(network, config, batch, number)
            seconds["rounds"] += reused
            seconds["plain rounds"] += again
    lines = []
    for what, slow, fast in (
        ("one step in single precision / in bfloat16", "wide step", "step"),
        ("earlier rounds, first answer computed again / reused", "plain rounds", "rounds"),
    ):
        if seconds[slow] > 0 and seconds[fast] > 0:
            lines.append(Measurement(what, seconds[slow] / seconds[fast], "x"))
    return lines


def _step(network: CAISeg, config: ExperimentConfig, batch: Batch, number: int) -> float:
    step = TrainingStep(network, config)
    taken = _seconds(lambda: step(batch, "interactive", number, MU).backward(), batch)
    network.zero_grad()
    return taken


def _rounds(
    network: CAISeg, config: ExperimentConfig, batch: Batch, number: int
) -> tuple[float, float]:
    """Seconds of the rounds that are not learned from, without and with the first answer known."""
    device, half = batch["image"].device.type, config.schedule.precision == "bf16"
    with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=half):
        features = network.encode(batch["image"])
        first = network.backbone.last_stage(features.features, features.skip)
        rounds = rounds_of_step(config, number)
        seeds = [(config.seed, *key) for key in batch["key"].tolist()]
        again, reused = (
            _seconds(
                lambda known=known: simulate_rounds(  # type: ignore[misc]
                    network, features, batch["lesion"], batch["spacing"], config.clicks, rounds,
                    seeds, known,
                ),
                batch,
            )
            for known in (None, first)
        )  # fmt: skip
    return again, reused


def _seconds(run: Callable[[], object], batch: Batch) -> float:
    """Time of this process on a CPU, and on the clock where an accelerator computes."""
    if batch["image"].device.type == "cpu":
        began = time.process_time()
        run()
        return time.process_time() - began
    torch.accelerator.synchronize()
    began = time.perf_counter()
    run()
    torch.accelerator.synchronize()
    return time.perf_counter() - began
