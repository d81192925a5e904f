"""The learning rate over the steps of a training."""

from __future__ import annotations

from typing import Any

import pytest

from tests.train.small_experiment import small_config
from train.schedule import learning_rate, phase_at


def rates(steps: int, **schedule: Any) -> list[float]:
    settings = small_config(schedule=schedule).schedule
    return [learning_rate(settings, step, steps_per_epoch=10) for step in range(steps)]


def test_the_rate_steps_down_by_half() -> None:
    course = rates(60, pretrain_epochs=3, epochs=3, decay="step", decay_epochs=2)
    assert course[0] == course[19] == 1e-3
    assert course[20] == course[39] == 5e-4
    assert course[40] == course[59] == 2.5e-4


def test_the_cosine_falls_over_both_phases() -> None:
    course = rates(60, pretrain_epochs=3, epochs=3, decay="cosine")
    assert course[0] == 1e-3
    assert course[30] == pytest.approx(5e-4)
    assert course == sorted(course, reverse=True)
    assert 0 < course[-1] < 1e-5


def test_the_rate_warms_up_at_the_start_of_each_phase() -> None:
    course = rates(60, pretrain_epochs=3, epochs=3, frozen_epochs=1, decay="step", warmup_steps=5)
    for start in (0, 30, 40):
        assert course[start : start + 6] == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1e-3])


def test_the_phases_follow_each_other() -> None:
    settings = small_config(schedule={"pretrain_epochs": 1, "epochs": 3, "frozen_epochs": 2})
    phases = [phase_at(settings.schedule, epoch) for epoch in range(4)]
    assert phases == ["pretrain", "frozen", "frozen", "interactive"]
