"""Batches of an epoch, and processes that make samples and are lost."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric

from caiseg.errors import InvalidInput
from tests.train.small_experiment import prepared_cases, small_config
from train.dataset import SampleKey, StoredCases, TrainingSamples
from train.loading import Batch, check_shares, epoch_batches, split_batch
from train.prepared import PreparedCase


class Fatal(StoredCases):
    """Ends the process that draws the second case."""

    def draw(self, key: SampleKey) -> PreparedCase:
        if key.case == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(key)


class Refused(StoredCases):
    """Cannot draw the second case."""

    def draw(self, key: SampleKey) -> PreparedCase:
        if key.case == 1:
            raise InvalidInput("broken.nii.gz is not a readable mask; take it out.")
        return super().draw(key)


def batches(cases: StoredCases, workers: int = 1) -> list[Batch]:
    samples = TrainingSamples(cases, small_config())
    fabric = Fabric(accelerator="cpu", devices=1)
    return list(epoch_batches(samples, 0, 0, fabric, workers))


def test_an_epoch_comes_in_batches_of_the_config_s_size() -> None:
    assert [len(batch["image"]) for batch in batches(prepared_cases(3))] == [2, 1]


def test_a_lost_worker_ends_in_one_sentence() -> None:
    with pytest.raises(InvalidInput, match="process that prepares samples was lost") as caught:
        batches(Fatal(prepared_cases(2)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_refuses_is_said_as_it_is(workers: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        batches(Refused(prepared_cases(2)), workers)
    assert str(caught.value) == "broken.nii.gz is not a readable mask; take it out."


@pytest.mark.parametrize(
    ("schedule", "processes", "named"),
    [
        ({"batch_size": 4, "accumulate": 3}, 1, r"schedule.accumulate 3"),
        ({"batch_size": 2}, 3, r"schedule.batch_size: 2 .* 3 processes"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused_by_name(
    schedule: dict[str, Any], processes: int, named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        check_shares(small_config(schedule=schedule).schedule, processes)


@pytest.mark.parametrize(
    ("samples", "parts", "sizes"), [(4, 2, [2, 2]), (3, 2, [2, 1]), (1, 2, [1])]
)
def test_a_batch_is_split_into_parts(samples: int, parts: int, sizes: list[int]) -> None:
    batch = {"image": torch.arange(samples), "key": 2 * torch.arange(samples)}
    split = split_batch(batch, parts)
    assert [len(part["image"]) for part in split] == sizes
    assert torch.equal(torch.cat([part["image"] for part in split]), batch["image"])
    assert all(torch.equal(part["key"], 2 * part["image"]) for part in split)
