"""One process or many: started by ``fit`` itself, by ``torchrun``, ``fabric run`` or SLURM."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.fabric import Fabric

from caiseg.errors import InvalidInput

LOST = (
    "Another process of this training was lost; mend what it said, or give it more memory if it "
    "said nothing, and go on with --resume."
)
_OBSERVER = logging.getLogger("lightning.fabric.strategies.launchers.subprocess_script")
"""Reports a lost child process just before it kills the one that writes."""


def processes_here(devices: int | None) -> int:
    """How many processes of a training share this machine.

    Args:
        devices: What the command line says; where it does not, a launcher does.
    """
    return devices or int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def threads_of_each(processes: int) -> int:
    """A process's share of this machine's cores."""
    return max(1, (os.cpu_count() or 1) // processes)


def launch(
    accelerator: str = "auto", devices: int | None = None, nodes: int | None = None
) -> Fabric:
    """Join the processes of a training, or start them.

    Under ``torchrun`` and ``fabric run`` the processes are there already, and their number is what
    those were told; it need not be said again, but must not differ.

    Args:
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: Processes on this machine; 1 when left out and no launcher says otherwise.
        nodes: Machines; likewise.

    Raises:
        InvalidInput: There is no such accelerator here, or the numbers contradict the launcher.
    """
    by_fabric = os.environ.get("LT_CLI_USED") == "1"
    if by_fabric or torch.distributed.is_torchelastic_launched():
        started = int(os.environ["LOCAL_WORLD_SIZE"])
        machines = int(os.environ["GROUP_WORLD_SIZE"])
        if (devices or started, nodes or machines) != (started, machines):
            raise InvalidInput(
                f"The launcher has started {started} processes on each of {machines} machines; "
                "leave --devices and --nodes out, or make them say the same."
            )
        devices, nodes = started, machines
    devices, nodes = devices or 1, nodes or 1
    # Pre-training leaves parameters without a gradient, which plain DDP refuses.
    strategy = "ddp_find_unused_parameters_true" if devices * nodes > 1 else "auto"
    try:
        if by_fabric:
            # Devices and machines come from its environment, and it has launched already.
            given = os.environ.get("LT_STRATEGY")
            return Fabric(accelerator=accelerator, strategy="auto" if given else strategy)
        fabric = Fabric(
            accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy
        )
    except (ValueError, RuntimeError) as error:
        raise InvalidInput(
            f"Training cannot start on --accelerator {accelerator} --devices {devices}: "
            f"{' '.join(str(error).split())}"
        ) from error
    fabric.launch()
    return fabric


@contextmanager
def losing_others_said(processes: int) -> Iterator[None]:
    """Turn what PyTorch and Fabric make of a lost process into a sentence.

    Whoever waits for the lost one gets an error of the network. Whoever still computes is killed by
    Fabric within seconds where it started the other, so that the sentence has to be out by then.

    Args:
        processes: How many train together.

    Raises:
        InvalidInput: Another process was lost.
    """
    _OBSERVER.addFilter(_in_words)
    try:
        yield
    except RuntimeError as error:
        if processes == 1 or not _of_the_network(error):
            raise
        raise InvalidInput(LOST) from error
    finally:
        _OBSERVER.removeFilter(_in_words)


def _of_the_network(error: RuntimeError) -> bool:
    """Whether sharing with other processes failed: gloo's errors have no type of their own."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _in_words(record: logging.LogRecord) -> bool:
    record.msg, record.args = LOST, ()
    return True
