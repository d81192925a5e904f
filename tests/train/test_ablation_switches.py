"""The switches of Tables III and IV, of the λ study and of Fig. 5 reach the training step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import default_collate

from caiseg.network import CAISeg
from tests.train.small_experiment import prepared_cases, small_config
from train import losses, steps
from train.config import ExperimentConfig
from train.dataset import SampleKey, TrainingSamples
from train.focus_guided_loss import batch_focus_weights
from train.schedule import Phase
from train.steps import TrainingStep

BASE: dict[str, Any] = {
    "network": {"drop_path": 0.0, "position": "mm", "alpha": [4.0]},
    "clicks": {"rounds": [1, 1], "foreground": [3, 3], "background": [3, 3]},
}
SWITCHES = {
    "Table III: cosine similarity": ("network", {"similarity": "cosine"}),
    "Table III: no position": ("network", {"position": "none"}),
    "Table III: one head": ("network", {"affinity_heads": 1}),
    "Table IV: no deep supervision": ("loss", {"deep_supervision": False}),
    "the study of lambda": ("loss", {"focus_lambda": 6.0}),
    "Fig. 5: Dice": ("loss", {"kind": "dice"}),
    "Fig. 5: Focal": ("loss", {"kind": "focal"}),
    "rival labels": ("network", {"exclusive": True}),
    "clicked voxels": ("loss", {"click_weight": 1.0}),
}


def experiment(section: str = "network", **changes: Any) -> ExperimentConfig:
    return small_config(**(BASE | {section: BASE.get(section, {}) | changes}))


@pytest.fixture(scope="module")
def batch() -> dict[str, Tensor]:
    samples = TrainingSamples(prepared_cases(2), experiment())
    collated: dict[str, Tensor] = default_collate([samples[SampleKey(0, n, 0)] for n in (0, 1)])
    return collated


def loss_of(config: ExperimentConfig, batch: dict[str, Tensor], phase: Phase) -> float:
    """Loss of one step from weights that are the same for all configs."""
    torch.manual_seed(0)
    shared = CAISeg(experiment().network).state_dict()
    network = CAISeg(config.network)
    network.load_state_dict(shared, strict=False)
    with torch.no_grad():
        return float(TrainingStep(network, config)(batch, phase, 0, 0.4))


@pytest.mark.parametrize(("section", "change"), SWITCHES.values(), ids=SWITCHES)
def test_a_switch_changes_the_interactive_step_and_leaves_pre_training_alone(
    batch: dict[str, Tensor], section: str, change: dict[str, Any]
) -> None:
    switched = experiment(section, **change)
    before, after = (loss_of(c, batch, "interactive") for c in (experiment(), switched))
    assert after != pytest.approx(before, rel=1e-6)
    before, after = (loss_of(c, batch, "pretrain") for c in (experiment(), switched))
    assert after == before


@pytest.mark.parametrize("kind", ["focus_guided", "dice", "focal"])
def test_a_loss_of_fig_5_is_computed_alone(
    batch: dict[str, Tensor], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = set()
    for name in ("focus_guided_loss", "dice_loss", "focal_loss"):
        real = getattr(losses, name)

        def spy(*args: Tensor, real: Any = real, name: str = name) -> Any:
            called.add(name)
            return real(*args)

        monkeypatch.setattr(losses, name, spy)
    loss_of(experiment("loss", kind=kind), batch, "interactive")
    expected = {"focus_guided": {"focus_guided_loss", "dice_loss"}}
    assert called == expected.get(kind, {f"{kind}_loss"})


def test_lambda_reaches_the_weights_of_the_step(
    batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = batch_focus_weights

    def spy(clicks: Any, lesion: Tensor, spacing: Tensor, focus_lambda: float) -> Tensor:
        seen.append(focus_lambda)
        return real(clicks, lesion, spacing, focus_lambda)

    monkeypatch.setattr(steps, "batch_focus_weights", spy)
    for focus_lambda in (0.0, 3.5):
        loss_of(experiment("loss", focus_lambda=focus_lambda), batch, "interactive")
    assert seen == [0.0, 3.5]
