"""What changes in the course of a training: μ of eq. 11 and the learning rate."""

from __future__ import annotations

import math

from train.config import ExperimentConfig, ScheduleConfig


def mu_at(config: ExperimentConfig, epoch: int) -> float:
    """μ of eq. 11 in an epoch, counted over both phases from 0: linear over CAISeg's epochs."""
    first, last = config.loss.mu
    schedule = config.schedule
    done = (epoch - schedule.pretrain_epochs) / max(1, schedule.epochs - 1)
    return first + (last - first) * min(max(done, 0.0), 1.0)


def learning_rate(schedule: ScheduleConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of a step, counted over both phases from 0."""
    total = (schedule.pretrain_epochs + schedule.epochs) * steps_per_epoch
    if schedule.decay == "cosine":
        rate = schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total))
    else:
        rate = schedule.learning_rate * 0.5 ** (step // (schedule.decay_epochs * steps_per_epoch))
    second_phase = schedule.pretrain_epochs * steps_per_epoch
    into_phase = step if step < second_phase else step - second_phase
    return rate * min(1.0, (into_phase + 1) / max(1, schedule.warmup_steps))
