"""How a training step's time depends on the ways to make it."""

from __future__ import annotations

import copy
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from caiseg.network import CAISeg
from train.benchmark.report import Measurement
from train.config import ExperimentConfig
from train.precision import autocast, in_bfloat16
from train.rounds import rounds_of_step, simulate_rounds
from train.steps import TrainingStep

Batch = dict[str, Tensor]

MU = 0.5
WITHOUT_NORM, WITH_RELU, CHANNELS_LAST = "without normalisation", "ReLU", "channels last"


def measure_savings(
    network: CAISeg, config: ExperimentConfig, batches: Iterable[Batch]
) -> list[Measurement]:
    """Ratios between ways to make the same step, batch by batch in turn.

    Other programs slow all of them alike; on a CPU only the time that they compute counts, but
    where threads are compared.

    Args:
        network: What is trained; its weights stay as they are.
        config: The experiment. Without bfloat16, a loss of the first mask, normalisation or a
            second thread, there is nothing to compare and no line about it.
        batches: What to learn from.
    """
    seconds: dict[str, float] = defaultdict(float)
    wide = config.model_copy(
        update={"schedule": config.schedule.model_copy(update={"precision": "32"})}
    )
    others = _other_networks(network)
    threads = torch.get_num_threads() if _on_cpu(network) else 1
    for number, batch in enumerate(batches):
        seconds["step"] += _step(network, config, batch, number)
        for name, other in others.items():
            seconds[name] += _step(other, config, batch, number)
        if threads > 1:
            seconds["threads"] += _step(network, config, batch, number, time.perf_counter)
            torch.set_num_threads(1)
            seconds["one thread"] += _step(network, config, batch, number, time.perf_counter)
            torch.set_num_threads(threads)
        if in_bfloat16(config.schedule, batch["image"].device):
            seconds["wide step"] += _step(network, wide, batch, number)
        if config.loss.first_mask_weight > 0:
            again, reused = _rounds(network, config, batch, number)
            seconds["rounds"] += reused
            seconds["plain rounds"] += again
    lines = []
    for what, slow, fast in (
        ("one step in single precision / in bfloat16", "wide step", "step"),
        ("earlier rounds, first answer computed again / reused", "plain rounds", "rounds"),
        ("one step with instance normalisation / without", "step", WITHOUT_NORM),
        ("one step with PReLU / with ReLU", "step", WITH_RELU),
        ("one step in usual memory order / channels last", "step", CHANNELS_LAST),
        (f"one step on one thread / on {threads}", "one thread", "threads"),
    ):
        if seconds[slow] > 0 and seconds[fast] > 0:
            lines.append(Measurement(what, seconds[slow] / seconds[fast], "x"))
    return lines


def _other_networks(network: CAISeg) -> dict[str, CAISeg]:
    """The network with one thing changed that a step's time may depend on."""
    others = {
        WITH_RELU: _exchanged(network, nn.PReLU, nn.ReLU),
        # Every tensor that convolutions make of such weights has their memory order.
        CHANNELS_LAST: copy.deepcopy(network).to(memory_format=torch.channels_last_3d),  # type: ignore[call-overload]
    }
    if network.config.norm == "instance":
        others[WITHOUT_NORM] = _exchanged(network, nn.InstanceNorm3d, nn.Identity)
    return others


def _exchanged(network: CAISeg, kind: type[nn.Module], other: Callable[[], nn.Module]) -> CAISeg:
    changed = copy.deepcopy(network)
    for module in [*changed.modules()]:
        for name, child in [*module.named_children()]:
            if isinstance(child, kind):
                setattr(module, name, other())
    return changed


def _on_cpu(network: CAISeg) -> bool:
    return next(network.parameters()).device.type == "cpu"


def _step(
    network: CAISeg,
    config: ExperimentConfig,
    batch: Batch,
    number: int,
    clock: Callable[[], float] = time.process_time,
) -> float:
    step = TrainingStep(network, config)
    taken = _seconds(lambda: step(batch, "interactive", number, MU).backward(), batch, clock)
    network.zero_grad()
    return taken


def _rounds(
    network: CAISeg, config: ExperimentConfig, batch: Batch, number: int
) -> tuple[float, float]:
    """Seconds of the rounds that are not learned from, without and with the first answer known."""
    with torch.no_grad(), autocast(config.schedule, batch["image"].device):
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


def _seconds(
    run: Callable[[], object], batch: Batch, clock: Callable[[], float] = time.process_time
) -> float:
    """Time of this process on a CPU, and on the wall where an accelerator computes."""
    if batch["image"].device.type == "cpu":
        began = clock()
        run()
        return clock() - began
    torch.accelerator.synchronize()
    began = time.perf_counter()
    run()
    torch.accelerator.synchronize()
    return time.perf_counter() - began
