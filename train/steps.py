"""One training step as a module, so that every device strategy can wrap it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from caiseg.network import CAISeg, ScanFeatures
from train.config import ExperimentConfig
from train.focus_guided_loss import batch_focus_weights
from train.losses import click_loss, pretraining_loss, training_loss
from train.precision import autocast
from train.relabelling import relabelled_batch
from train.rounds import rounds_of_step, simulate_rounds
from train.schedule import Phase

BACKBONE, ROUNDS, LAST_ROUND, LOSS = "backbone", "earlier rounds", "last round", "loss"
PARTS = (BACKBONE, ROUNDS, LAST_ROUND, LOSS)
"""Names under which a profiler sees the parts of a step's forward pass."""


class TrainingStep(nn.Module):
    """Loss of one batch in every phase of training.

    With ``precision: bf16`` the network runs under autocast here rather than through Fabric's
    plugin, which would round scans, spacings and ground truth to bfloat16 as well.

    Args:
        network: The network to train.
        config: The experiment.
    """

    def __init__(self, network: CAISeg, config: ExperimentConfig):
        super().__init__()
        self.network = network
        self.config = config

    def forward(self, batch: dict[str, Tensor], phase: Phase, step: int, mu: float) -> Tensor:
        """The loss to minimise.

        Args:
            batch: Collated samples of :class:`train.dataset.TrainingSamples`.
            phase: What is learned, see :data:`train.schedule.Phase`.
            step: Place in the training, which the number of rounds follows from.
            mu: μ of eq. 11 at this epoch.
        """
        with autocast(self.config.schedule, batch["image"].device):
            if phase == "pretrain":
                with record_function(BACKBONE):
                    logits = self.network.backbone(batch["image"])
                with record_function(LOSS):
                    return pretraining_loss(logits.float(), batch["lesion"])
            with record_function(BACKBONE):
                features = self._encode(batch["image"], frozen=phase == "frozen")
            return self._interactive(batch, features, step, mu)

    def _encode(self, scan: Tensor, *, frozen: bool) -> ScanFeatures:
        if not frozen:
            return self.network.encode(scan)
        with torch.no_grad():
            backbone = self.network.backbone.features(scan)
        heads = self.network.head_features(backbone.decoder)
        return ScanFeatures(backbone.feature_map, backbone.skip, heads)

    def _interactive(
        self, batch: dict[str, Tensor], features: ScanFeatures, step: int, mu: float
    ) -> Tensor:
        """Eq. 12 after a random number of simulated rounds; the backbone runs once."""
        network, lesion = self.network, batch["lesion"]
        first_weight = self.config.loss.first_mask_weight
        first = None
        if first_weight > 0:
            with record_function(LAST_ROUND):
                first = network.backbone.last_stage(features.features, features.skip)
        rounds = rounds_of_step(self.config, step)
        seeds = [(self.config.seed, *key) for key in batch["key"].tolist()]
        with record_function(ROUNDS):
            target = relabelled_batch(batch, rounds, seeds, self.config.relabelling)
            state = simulate_rounds(
                network, features, target, batch["spacing"], self.config.clicks, rounds, seeds,
                None if first is None else first.detach(),
            )  # fmt: skip
        with record_function(LAST_ROUND):
            cells = state.cells(network, lesion.device)
            output = network.answer(features, cells, state.previous_mask, batch["spacing"])
        with record_function(LOSS):
            coarse = network.classify(output.adjusted, features.head_features, lesion.shape[2:])
            logits, settings = output.logits.float(), self.config.loss
            weights = batch_focus_weights(
                state.clicks, target, batch["spacing"], settings.focus_lambda
            )
            loss = training_loss(logits, coarse.float(), target, weights, mu, settings)
            if settings.click_weight > 0:
                loss = loss + settings.click_weight * click_loss(logits, state.clicks)
        if first is not None:
            empty = self.config.loss.first_mask == "empty"
            wanted = torch.zeros_like(lesion) if empty else lesion
            loss = loss + first_weight * self._first_mask_loss(first, features, wanted, mu)
        return loss

    def _first_mask_loss(
        self, logits: Tensor, features: ScanFeatures, wanted: Tensor, mu: float
    ) -> Tensor:
        """Eq. 12 without a click, where ``F_new`` is ``F`` and every weight of eq. 8 is 1."""
        network = self.network
        with record_function(LOSS):
            coarse = network.classify(features.features, features.head_features, wanted.shape[2:])
            return training_loss(
                logits.float(), coarse.float(), wanted, torch.ones_like(wanted), mu,
                self.config.loss,
            )  # fmt: skip
