"""What changes in the course of a training: what is learned, μ of eq. 11, the learning rate."""

from __future__ import annotations

import math
from typing import Literal

from train.config import ExperimentConfig, ScheduleConfig

Phase = Literal["pretrain", "frozen", "interactive"]
"""VNet alone; CAISeg round a backbone that stays as it is; all of CAISeg."""


def phase_at(schedule: ScheduleConfig, epoch: int) -> Phase:
    """What is learned in an epoch, counted over all phases from 0."""
    if epoch < schedule.pretrain_epochs:
        return "pretrain"
    return "frozen" if epoch < schedule.pretrain_epochs + schedule.frozen_epochs else "interactive"


def mu_at(config: ExperimentConfig, epoch: int) -> float:
    """μ of eq. 11 in an epoch, counted over all phases from 0: linear over CAISeg's epochs."""
    first, last = config.loss.mu
    schedule = config.schedule
    done = (epoch - schedule.pretrain_epochs) / max(1, schedule.epochs - 1)
    return first + (last - first) * min(max(done, 0.0), 1.0)


def learning_rate(schedule: ScheduleConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of a step, counted over all phases from 0."""
    total = (schedule.pretrain_epochs + schedule.epochs) * steps_per_epoch
    if schedule.decay == "cosine":
        rate = schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total))
    else:
        rate = schedule.learning_rate * 0.5 ** (step // (schedule.decay_epochs * steps_per_epoch))
    thawed = schedule.pretrain_epochs + schedule.frozen_epochs
    phases = [epochs * steps_per_epoch for epochs in (0, schedule.pretrain_epochs, thawed)]
    into_phase = step - max(begin for begin in phases if begin <= step)
    return rate * min(1.0, (into_phase + 1) / max(1, schedule.warmup_steps))
