"""The rounds of a training step (section III-F): what is played, fed back and learned from."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from caiseg.clicks import Click, Label
from caiseg.network import CAISeg, RoundOutput, ScanFeatures
from tests.train.small_experiment import small_config
from train import steps
from train.config import ClickConfig
from train.losses import click_loss, training_loss
from train.rounds import SimulatedRounds, click_tensors, simulate_rounds, to_cells
from train.steps import TrainingStep

SHAPE = (32, 32, 16)
SEEDS = [(0, 1), (0, 2)]
SPACING = torch.tensor([[5.0, 5.0, 10.0], [1.0, 1.0, 4.0]])


def network() -> CAISeg:
    torch.manual_seed(0)
    return CAISeg(small_config(network={"drop_path": 0.0}).network).eval()


def lesions() -> Tensor:
    truth = torch.zeros(2, 1, *SHAPE)
    truth[0, 0, 4:20, 6:22, 2:12] = 1
    truth[1, 0, 10:28, 10:28, 4:14] = 1
    return truth


def scans() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return lesions() + 0.3 * torch.randn(2, 1, *SHAPE, generator=generator)


def batch() -> dict[str, Tensor]:
    return {
        "image": scans(),
        "lesion": lesions(),
        "target": lesions(),
        "spacing": SPACING,
        "key": torch.tensor([[0, 0, 0], [0, 1, 0]]),
    }


class Recorder:
    """Stands between the simulation and the network, and keeps what passes."""

    def __init__(self, network: CAISeg, monkeypatch: pytest.MonkeyPatch):
        self.counts: list[list[int]] = []
        self.masks: list[Tensor] = []
        self.outputs: list[RoundOutput] = []
        self.gradients: list[bool] = []
        self.answer = network.answer
        monkeypatch.setattr(network, "answer", self)

    def __call__(
        self, scan: ScanFeatures, clicks: Any, previous_mask: Tensor, spacing: Tensor
    ) -> RoundOutput:
        output = self.answer(scan, clicks, previous_mask, spacing)
        self.counts.append([len(cells) for cells in clicks])
        self.masks.append(previous_mask)
        self.outputs.append(output)
        self.gradients.append(output.logits.requires_grad)
        return output


def play(net: CAISeg, rounds: int, **clicks: Any) -> SimulatedRounds:
    config = ClickConfig(**({"component_share": 0.0} | clicks))
    return simulate_rounds(net, net.encode(scans()), lesions(), SPACING, config, rounds, SEEDS)


@pytest.mark.parametrize("rounds", [1, 2, 3, 5])
def test_all_rounds_but_the_last_are_played(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    recorder = Recorder(net, monkeypatch)
    play(net, rounds)
    assert len(recorder.outputs) == rounds - 1
    assert not any(recorder.gradients)


def test_the_previous_mask_is_empty_at_first_and_then_the_binary_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = network()
    recorder = Recorder(net, monkeypatch)
    state = play(net, 3)
    assert not recorder.masks[0].any()
    assert torch.equal(recorder.masks[1], (recorder.outputs[0].logits > 0).float())
    assert torch.equal(state.previous_mask, (recorder.outputs[1].logits > 0).float())
    assert state.previous_mask.any()


def test_clicks_of_all_rounds_add_up() -> None:
    courses = [play(network(), rounds).clicks for rounds in (1, 2, 3)]
    for before, after in pairwise(courses):
        for sample in range(2):
            assert after[sample][: len(before[sample])] == before[sample]
            assert len(after[sample]) > len(before[sample])


def test_clicks_of_later_rounds_lie_on_errors_of_the_last_answer() -> None:
    first, second = play(network(), 1), play(network(), 2)
    answer, truth = second.previous_mask[:, 0] > 0, lesions()[:, 0] > 0
    for sample in range(2):
        for click in second.clicks[sample][len(first.clicks[sample]) :]:
            assert bool(truth[sample][click.voxel]) == bool(click.label)
            assert bool(answer[sample][click.voxel]) != bool(click.label)


def test_a_sample_s_clicks_follow_from_its_own_seed() -> None:
    net = network()
    together = play(net, 3)
    assert play(net, 3).clicks == together.clicks
    config = ClickConfig(component_share=0.0)
    features = net.encode(scans()[1:])
    alone = simulate_rounds(net, features, lesions()[1:], SPACING[1:], config, 3, SEEDS[1:])
    assert alone.clicks[0] == together.clicks[1]
    other = simulate_rounds(net, features, lesions()[1:], SPACING[1:], config, 3, SEEDS[:1])
    assert other.clicks[0] != together.clicks[1]


def test_a_share_of_samples_begins_without_clicks() -> None:
    net = network()
    assert play(net, 1, zero_click_share=1.0).clicks == [[], []]
    assert all(play(net, 1, zero_click_share=0.0).clicks)
    later = play(net, 2, zero_click_share=1.0)
    assert all(later.clicks), "the second round clicks the errors of the first mask"


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_known_first_answer_changes_neither_clicks_nor_mask(share: float) -> None:
    net, config = network(), ClickConfig(component_share=0.0, zero_click_share=share)
    features = net.encode(scans())
    first = net.backbone.last_stage(features.features, features.skip).detach()
    for rounds in (2, 4):
        plain, reused = (
            simulate_rounds(net, features, lesions(), SPACING, config, rounds, SEEDS, known)
            for known in (None, first)
        )
        assert reused.clicks == plain.clicks
        assert torch.equal(reused.previous_mask, plain.previous_mask)


def test_samples_without_clicks_are_answered_by_the_known_first_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = network()
    recorder = Recorder(net, monkeypatch)
    config = small_config(
        clicks={"rounds": [3, 3], "zero_click_share": 1.0, "component_share": 0.0},
        loss={"first_mask_weight": 0.5},
    )
    TrainingStep(net, config)(batch(), "interactive", 0, 0.3)
    assert len(recorder.counts) == 2, "the first of three rounds was known"
    assert all(count > 0 for counts in recorder.counts for count in counts)


def test_largest_only_samples_get_one_click_a_round() -> None:
    state = play(network(), 4, zero_click_share=1.0, largest_only_share=1.0)
    assert [len(clicks) for clicks in state.clicks] == [3, 3]


def test_clicks_become_cells_of_the_feature_map() -> None:
    clicks = [
        Click((5, 4, 3), Label.FOREGROUND),
        Click((4, 5, 3), Label.FOREGROUND),
        Click((0, 31, 15), Label.BACKGROUND),
    ]
    voxels, labels = click_tensors(clicks, torch.device("cpu"))
    assert voxels.tolist() == [[5, 4, 3], [4, 5, 3], [0, 31, 15]]
    assert labels.tolist() == [1, 1, 0]
    cells = to_cells(clicks, network(), torch.device("cpu"))
    found = zip(cells.cells.tolist(), cells.labels.tolist(), strict=True)
    assert sorted(found) == [([0, 15, 15], 0), ([2, 2, 3], 1)]


def test_no_click_is_an_empty_set_of_cells() -> None:
    assert len(to_cells([], network(), torch.device("cpu"))) == 0


def count_backbone_runs(net: CAISeg) -> list[int]:
    """Batch sizes with which the first and the last stage of the encoder run."""
    runs: list[int] = []
    for part in (net.backbone.input_stage, net.backbone.encoder[-1], net.head_features):
        part.register_forward_hook(lambda module, inputs, output: runs.append(len(inputs[0])))
    return runs


@pytest.mark.parametrize("rounds", [1, 3, 5])
def test_the_backbone_runs_once_per_batch_whatever_the_number_of_rounds(rounds: int) -> None:
    net = network()
    step = TrainingStep(net, small_config(clicks={"rounds": [rounds, rounds]}))
    runs = count_backbone_runs(net)
    answers: list[int] = []
    net.backbone.last_stage.register_forward_hook(lambda *_: answers.append(1))
    step(batch(), "interactive", 0, 0.3).backward()
    assert len(runs) == 3
    assert len(answers) == rounds


def test_only_the_last_round_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    recorder = Recorder(net, monkeypatch)
    TrainingStep(net, small_config())(batch(), "interactive", 0, 0.3)
    assert recorder.gradients == [False, False, True]


def test_every_part_of_the_network_learns_from_an_interactive_step() -> None:
    net = network()
    TrainingStep(net, small_config())(batch(), "interactive", 0, 0.3).backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    keys = {name for name in without if not name.endswith("key.bias")}
    assert keys <= {
        "interaction.clustering.projection.bias",
        "interaction.clustering.mask_fusion.bias",
    }


def test_the_coarse_output_teaches_the_head_features_even_without_a_click() -> None:
    net = network()
    config = small_config(loss={"nu": 0.0}, clicks={"rounds": [1, 1], "zero_click_share": 1.0})
    TrainingStep(net, config)(batch(), "interactive", 0, 0.3).backward()
    assert net.head_features.queries.grad is not None
    assert bool(net.head_features.queries.grad.any())


def test_a_frozen_epoch_has_the_same_loss_and_leaves_the_features_as_they_are() -> None:
    net = network()
    step = TrainingStep(net, small_config(loss={"first_mask_weight": 0.3}))
    torch.manual_seed(0)
    whole = step(batch(), "interactive", 0, 0.3)
    torch.manual_seed(0)
    frozen = step(batch(), "frozen", 0, 0.3)
    torch.testing.assert_close(frozen, whole, rtol=0, atol=0)
    frozen.backward()
    learned = {name for name, p in net.named_parameters() if p.grad is not None}
    fixed = {name for name, _ in net.named_parameters()} - learned
    assert {name.split(".")[0] for name in learned} == {"backbone", "head_features", "interaction"}
    assert all(name.startswith(("backbone.input_stage", "backbone.encoder", "backbone.decoder"))
               for name in fixed)  # fmt: skip
    assert all("backbone.last_stage" in name for name in learned if name.startswith("backbone"))


def test_pre_training_learns_the_backbone_alone_without_clicks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = network()
    recorder = Recorder(net, monkeypatch)
    TrainingStep(net, small_config())(batch(), "pretrain", 0, 0.3).backward()
    assert not recorder.outputs
    learned = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None}
    assert learned == {"backbone"}


def test_the_number_of_rounds_follows_from_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(clicks={"rounds": [1, 4]})
    net = network()
    played: list[int] = []

    def count(
        net: CAISeg, features: ScanFeatures, lesion: Tensor, spacing: Tensor,
        clicks: ClickConfig, rounds: int, seeds: list[tuple[int, ...]], first: Tensor | None,
    ) -> SimulatedRounds:  # fmt: skip
        played.append(rounds)
        return simulate_rounds(net, features, lesion, spacing, clicks, 1, seeds)

    monkeypatch.setattr(steps, "simulate_rounds", count)
    step = TrainingStep(net, config)
    small = batch() | {
        name: batch()[name][..., :16, :16, :] for name in ("image", "lesion", "target")
    }
    with torch.no_grad():
        for number in range(16):
            step(small, "interactive", number, 0.3)
        step(small, "interactive", 7, 0.3)
    assert set(played) == {1, 2, 3, 4}
    assert played[-1] == played[7]


def test_the_loss_weighs_voxels_near_all_clicks_of_each_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Tensor] = []

    def spy(logits: Tensor, coarse: Tensor, target: Tensor, weights: Tensor, *rest: Any) -> Tensor:
        seen.append(weights)
        return training_loss(logits, coarse, target, weights, *rest)

    monkeypatch.setattr(steps, "training_loss", spy)
    net = network()
    recorder = Recorder(net, monkeypatch)
    config = small_config(clicks={"rounds": [2, 2], "component_share": 0.0})
    TrainingStep(net, config)(batch(), "interactive", 0, 0.3)
    assert seen[0].shape == (2, 1, *SHAPE)
    for sample in range(2):
        assert int((seen[0][sample] == 2).sum()) >= recorder.counts[-1][sample] > 1
        assert float(seen[0][sample].min()) == 1


def test_the_same_batch_and_step_give_the_same_loss() -> None:
    step = TrainingStep(network(), small_config())
    with torch.no_grad():
        losses = [float(step(batch(), "interactive", 3, 0.4)) for _ in range(2)]
    assert losses[0] == losses[1]
    assert np.isfinite(losses[0])


def test_the_first_mask_adds_the_loss_of_the_answer_without_clicks() -> None:
    net = network().eval()
    plain, first = (
        TrainingStep(net, small_config(loss={"first_mask_weight": weight})) for weight in (0, 0.5)
    )
    without_clicks = TrainingStep(
        net, small_config(clicks={"rounds": [1, 1], "zero_click_share": 1.0})
    )
    with torch.no_grad():
        expected = plain(batch(), "interactive", 3, 0.4) + 0.5 * without_clicks(
            batch(), "interactive", 3, 0.4
        )
        torch.testing.assert_close(first(batch(), "interactive", 3, 0.4), expected)


def test_a_first_mask_that_is_to_be_empty_learns_that_there_is_nothing() -> None:
    net = network().eval()
    plain, waiting = (
        TrainingStep(net, small_config(loss={"first_mask_weight": weight, "first_mask": "empty"}))
        for weight in (0, 0.5)
    )
    without_clicks = TrainingStep(
        net, small_config(clicks={"rounds": [1, 1], "zero_click_share": 1.0})
    )
    nothing = batch() | {"lesion": torch.zeros_like(batch()["lesion"])}
    with torch.no_grad():
        expected = plain(batch(), "interactive", 3, 0.4) + 0.5 * without_clicks(
            nothing, "interactive", 3, 0.4
        )
        torch.testing.assert_close(waiting(batch(), "interactive", 3, 0.4), expected)


def test_the_first_mask_costs_no_second_run_of_the_backbone() -> None:
    net = network()
    runs = count_backbone_runs(net)
    step = TrainingStep(net, small_config(loss={"first_mask_weight": 0.5}))
    step(batch(), "interactive", 0, 0.3)
    assert len(runs) == 3


def test_the_weight_of_clicks_adds_their_loss_in_the_last_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[float] = []

    def spy(logits: Tensor, clicks: list[list[Click]]) -> Tensor:
        assert torch.equal(logits, recorder.outputs[-1].logits)
        assert all(
            len(scan) >= count > 1 for scan, count in zip(clicks, recorder.counts[-1], strict=True)
        )
        loss = click_loss(logits, clicks)
        seen.append(float(loss))
        return loss

    monkeypatch.setattr(steps, "click_loss", spy)
    net = network()
    recorder = Recorder(net, monkeypatch)
    losses = []
    for weight in (0.0, 3.0):
        config = small_config(
            loss={"click_weight": weight}, clicks={"rounds": [2, 2], "component_share": 0.0}
        )
        with torch.no_grad():
            losses.append(float(TrainingStep(net, config)(batch(), "interactive", 0, 0.3)))
    assert len(seen) == 1, "a weight of 0 computes nothing"
    assert losses[1] - losses[0] == pytest.approx(3 * seen[0], rel=1e-4)
