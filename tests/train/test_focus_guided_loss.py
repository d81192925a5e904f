"""Eq. 8 against its literal form."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from train.focus_guided_loss import distance_to_clicks, focus_guided_loss, focus_weights

SHAPE = (5, 4, 3)
SPACING = (1.0, 0.5, 4.0)
CLICKS = torch.tensor([[0, 1, 2], [4, 3, 0]])
NO_CLICKS = torch.zeros((0, 3), dtype=torch.long)


def literal_distances(clicks: Tensor) -> dict[tuple[int, int, int], float]:
    """Distance in mm from every voxel to the nearest click."""
    distances = {}
    for voxel in itertools.product(*map(range, SHAPE)):
        gaps = [
            math.sqrt(sum(((voxel[n] - click[n]) * SPACING[n]) ** 2 for n in range(3)))
            for click in clicks.tolist()
        ]
        distances[voxel] = min(gaps)
    return distances  # type: ignore[return-value]


@pytest.mark.parametrize("clicks", [CLICKS, CLICKS[:1]])
def test_distances_to_clicks_are_in_mm(clicks: Tensor) -> None:
    found = distance_to_clicks(clicks, SHAPE, SPACING)
    for voxel, expected in literal_distances(clicks).items():
        assert float(found[voxel]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("focus_lambda", [0.5, 1.0, 2.0, 5.0])
def test_eq_8_equals_the_literal_formula(focus_lambda: float) -> None:
    torch.manual_seed(0)
    logits, target = 3 * torch.randn(SHAPE), (torch.rand(SHAPE) > 0.5).float()
    distances = literal_distances(CLICKS)
    d_max = max(distances.values())
    total = 0.0
    for voxel, d in distances.items():
        p = 1 / (1 + math.exp(-float(logits[voxel])))
        bce = -math.log(p) if target[voxel] == 1 else -math.log(1 - p)
        total += (1 + ((d_max - d) / d_max) ** focus_lambda) * bce
    weights = focus_weights(CLICKS, SHAPE, SPACING, focus_lambda)
    found = float(focus_guided_loss(logits, target, weights))
    assert found == pytest.approx(total / len(distances), rel=1e-5)


def test_weights_fall_from_2_at_a_click_to_1_at_the_farthest_voxel() -> None:
    weights = focus_weights(CLICKS, SHAPE, SPACING, 2.0)
    assert float(weights[0, 1, 2]) == float(weights[4, 3, 0]) == 2
    assert float(weights.min()) == 1
    distance = distance_to_clicks(CLICKS, SHAPE, SPACING).flatten()
    ordered = weights.flatten()[distance.argsort()]
    assert bool((ordered.diff() <= 1e-6).all())


def test_a_larger_lambda_narrows_the_focus() -> None:
    wide, narrow = (focus_weights(CLICKS, SHAPE, SPACING, value) for value in (1.0, 4.0))
    assert bool((narrow <= wide).all())
    assert bool((narrow < wide).any())


def test_lambda_0_weighs_every_voxel_alike() -> None:
    weights = focus_weights(CLICKS, SHAPE, SPACING, 0.0)
    assert torch.equal(weights, torch.full(SHAPE, 2.0))


def test_without_clicks_the_loss_is_binary_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(SHAPE), (torch.rand(SHAPE) > 0.5).float()
    weights = focus_weights(NO_CLICKS, SHAPE, SPACING, 2.0)
    assert torch.equal(weights, torch.ones(SHAPE))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(focus_guided_loss(logits, target, weights), expected)


def test_order_and_repetition_of_clicks_change_nothing() -> None:
    again = torch.cat((CLICKS.flip(0), CLICKS))
    assert torch.equal(
        focus_weights(CLICKS, SHAPE, SPACING, 2.0), focus_weights(again, SHAPE, SPACING, 2.0)
    )


def test_large_logits_give_a_finite_loss_and_gradient() -> None:
    logits = torch.full(SHAPE, 1e4, requires_grad=True)
    loss = focus_guided_loss(logits, torch.zeros(SHAPE), focus_weights(CLICKS, SHAPE, SPACING, 2.0))
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
