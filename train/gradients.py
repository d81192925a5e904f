"""Whether a gradient may change the weights."""

from __future__ import annotations

import torch
from torch import nn

from caiseg.errors import InvalidInput


def check_gradient(network: nn.Module, step: int, epoch: int) -> None:
    """Stop a training before a gradient that is no number spoils its weights.

    Processes have summed their gradients before, so all of them stop at the same step.

    Args:
        network: After its backward pass.
        step: Steps of the training that are done.
        epoch: Epochs that are done.

    Raises:
        InvalidInput: Some gradient is infinite or not a number.
    """
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    if not bool(torch.nn.utils.get_total_norm(gradients).isfinite()):
        raise InvalidInput(
            f"The gradient of step {step + 1} (epoch {epoch + 1}) is not finite; use --resume to "
            "go on from the last saved state, with a gradient clip, a lower learning rate or "
            "precision 32 in a new run if it comes again."
        )
