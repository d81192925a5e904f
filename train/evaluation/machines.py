"""Cases shared by machines, through Fabric: every process takes its turn, results meet again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import torch.distributed
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy

from caiseg.errors import InvalidInput
from caiseg.predictor import choose_device
from train.evaluation.cases import Outcome
from train.manifest import Case

Item = TypeVar("Item")

LONGEST_WAIT = timedelta(days=1)
"""How long a process that is done waits for the others; PyTorch's own limit is half an hour."""


def launch(device: str, devices: int, nodes: int) -> Fabric:
    """Start the processes that share the cases, and find this one's place among them.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: Processes on each machine.
        nodes: Machines.

    Raises:
        InvalidInput: This machine has no such device.
    """
    several = devices * nodes > 1
    fabric = Fabric(
        accelerator=choose_device(device).type,
        devices=devices,
        num_nodes=nodes,
        # Results are small and lie in main memory, whatever the methods compute on.
        strategy=DDPStrategy(process_group_backend="gloo", timeout=LONGEST_WAIT)
        if several
        else "auto",
    )
    fabric.launch()
    return fabric


def share(items: Sequence[Item], fabric: Fabric) -> list[Item]:
    """What this process works on: every n-th item of n processes."""
    return list(items[fabric.global_rank :: fabric.world_size])


def merged(outcome: Outcome, cases: Sequence[Case], fabric: Fabric) -> Outcome:
    """The outcomes of all processes in the order of ``cases``, on each of them.

    Raises:
        InvalidInput: Another process was lost, or is not done within :data:`LONGEST_WAIT`.
    """
    if fabric.world_size == 1:
        return outcome
    parts: list[Outcome] = [Outcome()] * fabric.world_size
    try:
        torch.distributed.all_gather_object(parts, outcome)
    except RuntimeError as error:
        hours = LONGEST_WAIT.total_seconds() / 3600
        raise InvalidInput(
            f"Another process was lost, or was not done {hours:g} hours after this one; run the "
            "same command again with --resume, which keeps what is finished."
        ) from error
    order = {case.name: place for place, case in enumerate(cases)}
    together = Outcome()
    for part in parts:
        together.records += part.records
        together.content |= part.content
        together.failed |= part.failed
        together.interrupted |= part.interrupted
    together.records.sort(key=lambda row: order[row.case])
    together.content = dict(sorted(together.content.items(), key=lambda item: order[item[0]]))
    together.failed = dict(sorted(together.failed.items(), key=lambda item: order[item[0]]))
    return together
