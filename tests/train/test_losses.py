"""Eqs. 11 and 12 against their literal form, the schedule of μ, and the ablations."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from caiseg.clicks import Click, Label
from train.config import LossConfig, load_config
from train.focus_guided_loss import focus_guided_loss, focus_weights
from train.losses import (
    click_loss,
    combined_loss,
    dice_loss,
    focal_loss,
    pretraining_loss,
    training_loss,
)
from train.schedule import mu_at

SHAPE = (2, 1, 4, 3, 2)
MU = 0.37


def scene() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits of both outputs, ground truth and eq. 8's weights."""
    generator = torch.Generator().manual_seed(0)
    logits, coarse = (2 * torch.randn(SHAPE, generator=generator) for _ in range(2))
    target = (torch.rand(SHAPE, generator=generator) > 0.6).float()
    weights = focus_weights(torch.tensor([[1, 2, 0]]), (4, 3, 2), (1.0, 1.0, 3.0), 2.0)
    return logits, coarse, target, weights.expand(SHAPE)


def literal_dice(logits: Tensor, target: Tensor) -> float:
    losses = []
    for sample in range(SHAPE[0]):
        overlap = total = 0.0
        for logit, truth in zip(
            logits[sample].flatten().tolist(), target[sample].flatten().tolist(), strict=True
        ):
            p = 1 / (1 + math.exp(-logit))
            overlap += p * truth
            total += p + truth
        losses.append(1 - (2 * overlap + 1) / (total + 1))
    return sum(losses) / len(losses)


def literal_focus_guided(logits: Tensor, target: Tensor, weights: Tensor) -> float:
    total = 0.0
    rows = (tensor.flatten().tolist() for tensor in (logits, target, weights))
    for logit, truth, weight in zip(*rows, strict=True):
        p = 1 / (1 + math.exp(-logit))
        total += weight * -(truth * math.log(p) + (1 - truth) * math.log(1 - p))
    return total / logits.numel()


def literal_eq_11(logits: Tensor, target: Tensor, weights: Tensor, mu: float) -> float:
    focused = literal_focus_guided(logits, target, weights)
    return mu * focused + (1 - mu) * literal_dice(logits, target)


def test_dice_loss_equals_its_literal_form() -> None:
    logits, _, target, _ = scene()
    assert float(dice_loss(logits, target)) == pytest.approx(literal_dice(logits, target), rel=1e-5)


def test_dice_loss_is_0_when_right_and_near_1_when_wrong() -> None:
    _, _, target, _ = scene()
    assert float(dice_loss(40 * (2 * target - 1), target)) == pytest.approx(0, abs=1e-6)
    assert float(dice_loss(-40 * (2 * target - 1), target)) > 0.9


def test_dice_loss_of_an_empty_sample_is_finite_and_0_when_empty() -> None:
    nothing = torch.zeros(SHAPE)
    assert float(dice_loss(nothing - 40, nothing)) == pytest.approx(0, abs=1e-6)


def test_samples_of_a_batch_count_alike_in_dice() -> None:
    logits, _, target, _ = scene()
    each = [dice_loss(logits[n : n + 1], target[n : n + 1]) for n in range(2)]
    torch.testing.assert_close(dice_loss(logits, target), torch.stack(each).mean())


def test_focal_loss_equals_its_literal_form() -> None:
    logits, _, target, _ = scene()
    total = 0.0
    for logit, truth in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        p_true = p if truth == 1 else 1 - p
        total += (1 - p_true) ** 2 * -math.log(p_true)
    assert float(focal_loss(logits, target)) == pytest.approx(total / logits.numel(), rel=1e-4)


def test_pretraining_is_dice_plus_binary_cross_entropy() -> None:
    logits, _, target, _ = scene()
    plain = literal_focus_guided(logits, target, torch.ones(SHAPE))
    expected = literal_dice(logits, target) + plain
    assert float(pretraining_loss(logits, target)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mu", [0.0, MU, 1.0])
def test_eq_11_is_mu_times_focus_guided_plus_the_rest_dice(mu: float) -> None:
    logits, _, target, weights = scene()
    found = float(combined_loss(logits, target, weights, mu, LossConfig()))
    assert found == pytest.approx(literal_eq_11(logits, target, weights, mu), rel=1e-5)


@pytest.mark.parametrize("nu", [0.0, 0.2, 0.5, 1.0])
def test_eq_12_is_nu_times_the_output_plus_the_rest_coarse(nu: float) -> None:
    logits, coarse, target, weights = scene()
    found = float(training_loss(logits, coarse, target, weights, MU, LossConfig(nu=nu)))
    expected = nu * literal_eq_11(logits, target, weights, MU)
    expected += (1 - nu) * literal_eq_11(coarse, target, weights, MU)
    assert found == pytest.approx(expected, rel=1e-5)


def test_without_deep_supervision_the_coarse_output_does_not_count() -> None:
    logits, coarse, target, weights = scene()
    config = LossConfig(deep_supervision=False)
    found = training_loss(logits, coarse, target, weights, MU, config)
    assert torch.equal(found, training_loss(logits, 2 * coarse, target, weights, MU, config))
    assert float(found) == pytest.approx(literal_eq_11(logits, target, weights, MU), rel=1e-5)


@pytest.mark.parametrize(("kind", "loss"), [("dice", dice_loss), ("focal", focal_loss)])
def test_the_losses_of_fig_5_replace_eq_11(kind: Any, loss: Any) -> None:
    logits, _, target, weights = scene()
    found = combined_loss(logits, target, weights, MU, LossConfig(kind=kind))
    assert torch.equal(found, loss(logits, target))


def test_clicks_weigh_in_the_focus_guided_loss() -> None:
    logits, _, target, weights = scene()
    focused = focus_guided_loss(logits, target, weights)
    assert float(focused) > float(focus_guided_loss(logits, target, torch.ones(SHAPE)))


def clicked() -> list[list[Click]]:
    """Three clicks in the first scan of the batch, one in the second."""
    return [
        [
            Click((0, 1, 0), Label.FOREGROUND),
            Click((3, 2, 1), Label.BACKGROUND),
            Click((1, 1, 1), Label.FOREGROUND),
        ],
        [Click((2, 0, 1), Label.BACKGROUND)],
    ]


def test_the_loss_of_clicks_is_the_mean_cross_entropy_at_the_clicked_voxels() -> None:
    logits, _, _, _ = scene()
    total = 0.0
    for sample, clicks in enumerate(clicked()):
        for click in clicks:
            p = 1 / (1 + math.exp(-float(logits[sample, 0][click.voxel])))
            total -= math.log(p) if click.label is Label.FOREGROUND else math.log(1 - p)
    assert float(click_loss(logits, clicked())) == pytest.approx(total / 4, rel=1e-5)


def test_the_loss_of_clicks_teaches_the_clicked_voxels_alone() -> None:
    logits = scene()[0].requires_grad_()
    click_loss(logits, clicked()).backward()
    assert logits.grad is not None
    taught = {(int(n), (int(i), int(j), int(k))) for n, _, i, j, k in logits.grad.nonzero()}
    assert taught == {(n, click.voxel) for n, clicks in enumerate(clicked()) for click in clicks}


def test_without_clicks_their_loss_is_0() -> None:
    assert float(click_loss(scene()[0], [[], []])) == 0


def test_mu_grows_linearly_from_the_first_to_the_last_epoch_of_caiseg_training() -> None:
    config = load_config(
        "brain_flair", ["schedule.pretrain_epochs=4", "schedule.epochs=7", "loss.mu=[0.3, 0.6]"]
    )
    course = [mu_at(config, epoch) for epoch in range(4, 11)]
    assert course == pytest.approx([0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6])


def test_mu_of_a_single_epoch_is_its_first_value() -> None:
    config = load_config("brain_flair", ["schedule.pretrain_epochs=0", "schedule.epochs=1"])
    assert mu_at(config, 0) == config.loss.mu[0]
