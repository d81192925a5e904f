"""One process or many: started by ``fit`` itself, by ``torchrun``, ``fabric run`` or SLURM."""

from __future__ import annotations

import os

import torch
from lightning.fabric import Fabric

from caiseg.errors import InvalidInput


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
