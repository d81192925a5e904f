"""What a training computes in: bfloat16 only where the hardware has instructions for it."""

from __future__ import annotations

import torch

from train.config import ScheduleConfig

WITHOUT_BFLOAT16 = (
    "This processor has no instructions for bfloat16 and would take many times as long with it: "
    "the training computes in 32 bits."
)


def in_bfloat16(schedule: ScheduleConfig, device: torch.device) -> bool:
    """Whether convolutions and products run in bfloat16.

    A CPU without AVX-512 computes a convolution in bfloat16 75 times as long as in 32 bits, so
    there the wish is not followed.

    Args:
        schedule: Says whether it is wished.
        device: What the training runs on.
    """
    if schedule.precision != "bf16":
        return False
    if device.type == "cpu":
        return "AVX512" in torch.backends.cpu.get_cpu_capability()
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True


def autocast(schedule: ScheduleConfig, device: torch.device) -> torch.autocast:
    """The context that a network is trained in; losses and geometry leave it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16(schedule, device))
