"""The seam between the training loop and the networks that it trains.

The loop needs three things of a method: a network from a config, the loss of a batch as a module
(:func:`training_step`), and a scan to click while validating (:func:`open_scan`). Data, schedule,
optimizer, augmentation, simulated clicks and everything random are the loop's own, and so the same
for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from caiseg.errors import InvalidInput
from caiseg.network import CAISeg
from caiseg.network_config import NetworkConfig
from train.config import ExperimentConfig
from train.focus_guided_loss import batch_focus_weights
from train.losses import click_loss, combined_loss, pretraining_loss
from train.methods.click_maps import ClickPoints
from train.methods.click_network import ClickNetwork
from train.methods.dins3d import Dins3D
from train.methods.mideepseg import MIDeepSeg
from train.methods.patchwise import EncodedOnce, OpenScan, PatchwiseScan
from train.methods.ritm3d import Ritm3D
from train.methods.vnet import VNetAlone
from train.precision import autocast
from train.relabelling import relabelled_batch
from train.rounds import SimulatedRounds, play_rounds, rounds_of_step
from train.schedule import Phase
from train.steps import TrainingStep

Network = CAISeg | ClickNetwork

NETWORKS: dict[str, type[CAISeg] | type[ClickNetwork]] = {
    "caiseg": CAISeg,
    "vnet": VNetAlone,
    "ritm3d": Ritm3D,
    "dins3d": Dins3D,
    "mideepseg": MIDeepSeg,
}
"""What ``python -m train fit --method`` trains."""

FIRST_WEIGHTS = "backbone.input_stage.unit.0.weight"
"""The convolution that scan and click maps enter."""


def build_network(method: str, config: NetworkConfig) -> Network:
    """The untrained network of a method.

    Raises:
        InvalidInput: No method of that name is trained here.
    """
    if method not in NETWORKS:
        raise InvalidInput(f"'{method}' is not trained here; choose {', '.join(NETWORKS)}.")
    return NETWORKS[method](config)


def initial_weights(network: Network, trained: Network) -> dict[str, Tensor]:
    """Weights for ``network`` to start from.

    Every method has CAISeg's VNet, so that one pre-training without clicks can serve all of them.
    Input channels that the trained VNet does not have start at zero, which makes the first answer
    that of the trained one (Sofiiuk et al. 2022 start RITM so).

    Args:
        network: Untrained; what the trained one does not have is taken from it.
        trained: A network of the same method, or a VNet alone. A VNet alone may start from a
            CAISeg's.

    Raises:
        InvalidInput: The trained network is of another method or of other sizes.
    """
    initial = network.state_dict()
    state = trained.state_dict()
    if isinstance(network, VNetAlone) and isinstance(trained, CAISeg):
        state = {name: weights for name, weights in state.items() if name in initial}
    elif not isinstance(trained, type(network) | VNetAlone):
        raise InvalidInput(
            "The checkpoint to start from holds a network of another method; choose one of the "
            "same method or of vnet, or name the checkpoint's with --method."
        )
    for name, weights in state.items():
        if name == FIRST_WEIGHTS and name in initial:
            missing = max(initial[name].shape[1] - weights.shape[1], 0)
            padding = weights.new_zeros((len(weights), missing, *weights.shape[2:]))
            weights = torch.cat((weights, padding), dim=1)
        if name not in initial or initial[name].shape != weights.shape:
            raise InvalidInput(
                "The checkpoint to start from holds a network of other sizes than the config's; "
                "give the config the checkpoint's network section."
            )
        initial[name] = weights
    return initial


def training_step(network: Network, config: ExperimentConfig) -> nn.Module:
    """The loss of a batch as a module, called like :class:`train.steps.TrainingStep`."""
    if isinstance(network, CAISeg):
        return TrainingStep(network, config)
    return ClickNetworkStep(network, config)


def open_scan(
    network: Network, image: Tensor, spacing: Tensor, patch_size: Sequence[int]
) -> OpenScan:
    """A scan on the model grid, ready to be clicked.

    Args:
        network: In evaluation mode.
        image: Preprocessed scan ``(I, J, K)`` on the network's device.
        spacing: Voxel size ``(3,)`` in mm.
        patch_size: Largest patch ``(i, j, k)``.
    """
    if isinstance(network, CAISeg):
        return EncodedOnce(network, image, spacing, patch_size)
    return PatchwiseScan(network, image, spacing, patch_size)


class ClickNetworkStep(nn.Module):
    """Loss of one batch for a network that takes clicks as input.

    It learns what CAISeg learns, from the same losses: without clicks in the first phase, after
    the same simulated rounds in the second. Only the coarse prediction, which it does not have,
    is missing from its loss. A network that takes no clicks learns without them throughout.

    Args:
        network: The network to train.
        config: The experiment.
    """

    def __init__(self, network: ClickNetwork, config: ExperimentConfig):
        super().__init__()
        self.network = network
        self.config = config

    def forward(self, batch: dict[str, Tensor], phase: Phase, step: int, mu: float) -> Tensor:
        """The loss to minimise; see :class:`train.steps.TrainingStep`."""
        lesion = batch["lesion"]
        with autocast(self.config.schedule, lesion.device):
            if phase == "pretrain" or not self.network.takes_clicks:
                nothing = SimulatedRounds([[] for _ in lesion], torch.zeros_like(lesion))
                return pretraining_loss(self._answer(batch, nothing).float(), lesion)
            return self._interactive(batch, step, mu)

    def _interactive(self, batch: dict[str, Tensor], step: int, mu: float) -> Tensor:
        """Eq. 11 after a random number of simulated rounds, each a full forward pass."""
        settings, rounds = self.config.loss, rounds_of_step(self.config, step)
        seeds = [(self.config.seed, *key) for key in batch["key"].tolist()]
        target = relabelled_batch(batch, rounds, seeds, self.config.relabelling)
        state = play_rounds(
            lambda rounds: self._answer(batch, rounds), target, batch["spacing"],
            self.config.clicks, rounds, seeds,
        )  # fmt: skip
        logits = self._answer(batch, state).float()
        weights = batch_focus_weights(state.clicks, target, batch["spacing"], settings.focus_lambda)
        loss = combined_loss(logits, target, weights, mu, settings)
        if settings.click_weight > 0:
            loss = loss + settings.click_weight * click_loss(logits, state.clicks)
        return loss

    def _answer(self, batch: dict[str, Tensor], state: SimulatedRounds) -> Tensor:
        image = batch["image"]
        points = [ClickPoints.of(clicks, image.device) for clicks in state.clicks]
        return self.network(image, points, state.previous_mask, batch["spacing"])  # type: ignore[no-any-return]
