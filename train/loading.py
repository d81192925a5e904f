"""Batches of an epoch, made by worker processes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from lightning.fabric import Fabric
from torch.utils.data import DataLoader

from caiseg.errors import InvalidInput
from train.config import ScheduleConfig
from train.dataset import EpochSampler, TrainingSamples

Batch = dict[str, torch.Tensor]


def check_shares(schedule: ScheduleConfig, processes: int) -> None:
    """Refuse a batch that processes cannot share, each in as many parts as are asked for.

    Raises:
        InvalidInput: The shares would differ.
    """
    if schedule.batch_size % (processes * schedule.accumulate):
        raise InvalidInput(
            f"schedule.batch_size: {schedule.batch_size} samples cannot be shared equally by "
            f"{processes} processes, in schedule.accumulate {schedule.accumulate} parts each."
        )


def epoch_batches(
    samples: TrainingSamples, epoch: int, done: int, fabric: Fabric, workers: int
) -> Iterator[Batch]:
    """One process's share of an epoch.

    Args:
        samples: Of the whole epoch.
        epoch: Which epoch.
        done: Steps of the epoch that are done.
        fabric: Launched; says which process this is and where batches go.
        workers: Processes that make samples; 0 makes them in this one.

    Raises:
        InvalidInput: A sample cannot be made, or a process that makes samples was lost.
    """
    config, processes = samples.config, fabric.world_size
    size = config.schedule.batch_size
    sampler = EpochSampler(
        len(samples.cases), config, epoch, done * size,
        rank=fabric.global_rank, processes=processes,
    )  # fmt: skip
    loader = DataLoader(
        samples,
        batch_size=size // processes,
        sampler=sampler,
        num_workers=workers,
        worker_init_fn=_one_thread,
    )
    batches: Any = fabric.setup_dataloaders(loader, use_distributed_sampler=False)
    try:
        yield from batches
    except InvalidInput as error:
        # A worker hands on its whole traceback as the message.
        sentence = str(error).rsplit(f"{InvalidInput.__name__}: ", maxsplit=1)[-1]
        raise InvalidInput(sentence.strip()) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise InvalidInput(
            "A process that prepares samples was lost, most likely because the memory was full; "
            "use --resume with fewer --workers."
        ) from error


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """A batch in parts of equal size; the last batch of an epoch may give fewer."""
    size = math.ceil(len(batch["image"]) / parts)
    pieces = zip(*(tensor.split(size) for tensor in batch.values()), strict=True)
    return [dict(zip(batch, piece, strict=True)) for piece in pieces]


def _one_thread(worker: int) -> None:
    """Sample workers leave the processor's threads to the training step."""
    torch.set_num_threads(1)
