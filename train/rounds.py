"""Simulated interaction during a training step (section III-F)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from caiseg.clicks import Click
from caiseg.feature_clustering import ClickCells
from caiseg.network import CAISeg, ScanFeatures
from train.click_simulation import first_round, later_round
from train.config import ClickConfig, ExperimentConfig


@dataclass(frozen=True)
class SimulatedRounds:
    """What precedes the round that is learned from.

    Attributes:
        clicks: All clicks so far, per sample.
        previous_mask: ``S_p``, ``(N, 1, I, J, K)``; zeros before the first answer.
    """

    clicks: list[list[Click]]
    previous_mask: Tensor

    def cells(self, network: CAISeg, device: torch.device) -> list[ClickCells]:
        """The clicks on the grid of ``F``."""
        return [to_cells(clicks, network, device) for clicks in self.clicks]


def rounds_of_step(config: ExperimentConfig, step: int) -> int:
    """How many rounds a training step plays, the one that is learned from included."""
    low, high = config.clicks.rounds
    return int(np.random.default_rng((config.seed, step)).integers(low, high + 1))


def to_cells(clicks: Sequence[Click], network: CAISeg, device: torch.device) -> ClickCells:
    """Clicks of one scan on the model grid, divided by the ratio of ``F``."""
    voxels, labels = click_tensors(clicks, device)
    return ClickCells.from_voxels(voxels, labels, network.feature_stride)


def click_tensors(clicks: Sequence[Click], device: torch.device) -> tuple[Tensor, Tensor]:
    """Voxels ``(n_c, 3)`` and labels ``(n_c,)`` of clicks, int64."""
    voxels = torch.tensor([click.voxel for click in clicks], dtype=torch.long, device=device)
    labels = torch.tensor([int(click.label) for click in clicks], dtype=torch.long, device=device)
    return voxels.reshape(-1, 3), labels


AnswerRound = Callable[[SimulatedRounds], Tensor]
"""From clicks and ``S_p`` to foreground logits ``(N, 1, I, J, K)``."""


@torch.no_grad()
def simulate_rounds(
    network: CAISeg,
    features: ScanFeatures,
    lesion: Tensor,
    spacing: Tensor,
    config: ClickConfig,
    rounds: int,
    seeds: Sequence[tuple[int, ...]],
    first_answer: Tensor | None = None,
) -> SimulatedRounds:
    """Play all rounds but the last; the backbone is not run again.

    Args:
        network: Answers the clicks.
        features: Encoded batch.
        lesion: Ground truth ``(N, 1, I, J, K)``.
        spacing: ``(N, 3)`` in mm.
        config: Click simulation.
        rounds: Rounds including the one that is learned from.
        seeds: Seed of each sample's choices.
        first_answer: Logits without any click ``(N, 1, I, J, K)``, where they are known already;
            samples that have no click yet are then not computed again.
    """
    features = features.detach()

    def answer(state: SimulatedRounds) -> Tensor:
        asked = [n for n, clicks in enumerate(state.clicks) if clicks or first_answer is None]
        if first_answer is not None and not asked:
            return first_answer
        cells = state.cells(network, lesion.device)
        logits = network.answer(
            features.of(asked), [cells[n] for n in asked], state.previous_mask[asked],
            spacing[asked],
        ).logits  # fmt: skip
        if first_answer is None:
            return logits
        answered = first_answer.to(logits, copy=True)
        answered[asked] = logits
        return answered

    return play_rounds(answer, lesion, spacing, config, rounds, seeds)


@torch.no_grad()
def play_rounds(
    answer: AnswerRound,
    lesion: Tensor,
    spacing: Tensor,
    config: ClickConfig,
    rounds: int,
    seeds: Sequence[tuple[int, ...]],
) -> SimulatedRounds:
    """Play all rounds but the last with any method; every method gets its clicks from here.

    Args:
        answer: The method.
        lesion: Ground truth ``(N, 1, I, J, K)``.
        spacing: ``(N, 3)`` in mm.
        config: Click simulation.
        rounds: Rounds including the one that is learned from.
        seeds: Seed of each sample's choices.
    """
    truth = lesion[:, 0].cpu().numpy() > 0
    steps = [(row[0], row[1], row[2]) for row in spacing.tolist()]
    generators = [np.random.default_rng(seed) for seed in seeds]
    zero_clicks = [rng.random() < config.zero_click_share for rng in generators]
    largest_only = [rng.random() < config.largest_only_share for rng in generators]
    clicks = [
        [] if none else first_round(mask, step, config, rng)
        for none, mask, step, rng in zip(zero_clicks, truth, steps, generators, strict=True)
    ]
    state = SimulatedRounds(clicks, torch.zeros_like(lesion))
    for _ in range(rounds - 1):
        mask = answer(state) > 0
        prediction = mask[:, 0].cpu().numpy()
        for sample, rng in enumerate(generators):
            state.clicks[sample].extend(
                later_round(
                    prediction[sample], truth[sample], steps[sample], config, rng,
                    largest_only=largest_only[sample],
                )
            )  # fmt: skip
        state = SimulatedRounds(state.clicks, mask.float())
    return state
