"""The trained baselines: CAISeg's backbone, fed with clicks, learning from the same loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor

from caiseg import InvalidInput
from caiseg.network import CAISeg
from tests.train.small_experiment import prepared_cases, small_config
from train.config import ExperimentConfig
from train.methods.click_maps import ClickPoints
from train.methods.click_network import ClickNetwork
from train.methods.dins3d import Dins3D
from train.methods.patchwise import PatchwiseScan
from train.methods.trainable import (
    NETWORKS,
    build_network,
    initial_weights,
    open_scan,
    training_step,
)
from train.run_folder import RunFolder
from train.trainer import Trainer

BASELINES = [name for name in NETWORKS if name != "caiseg"]
CLICKED = [name for name in BASELINES if name != "vnet"]
SHAPE = (32, 32, 16)
SPACING = torch.tensor([[5.0, 5.0, 10.0]])


def network(name: str) -> ClickNetwork:
    torch.manual_seed(0)
    built = build_network(name, small_config().network)
    assert isinstance(built, ClickNetwork)
    return built.eval()


def scan(seed: int = 0) -> Tensor:
    return torch.randn(1, 1, *SHAPE, generator=torch.Generator().manual_seed(seed))


def points(*voxels: tuple[int, int, int], label: int = 1) -> ClickPoints:
    return ClickPoints(
        torch.tensor(voxels).long().reshape(-1, 3), torch.full((len(voxels),), label)
    )


@pytest.mark.parametrize("name", BASELINES)
def test_the_backbone_is_caisegs_own_but_for_its_input(name: str) -> None:
    ours = {key: value.shape for key, value in network(name).backbone.state_dict().items()}
    theirs = CAISeg(small_config().network).backbone.state_dict()
    differing = {key for key, value in theirs.items() if ours.pop(key) != value.shape}
    assert ours == {}
    expected = {"input_stage.unit.0.weight"} if name in ("ritm3d", "mideepseg") else set()
    assert differing == expected


@pytest.mark.parametrize("name", CLICKED)
@pytest.mark.parametrize("change", ["foreground click", "background click", "previous mask"])
@torch.no_grad()
def test_every_prompt_changes_the_answer(name: str, change: str) -> None:
    net, nothing = network(name), torch.zeros(1, 1, *SHAPE)
    mask = nothing.clone()
    clicks = points()
    if change == "previous mask":
        mask[..., 10:20, 10:20, 4:10] = 1
    else:
        clicks = points((16, 16, 8), label=int(change == "foreground click"))
    before = net(scan(), [points()], nothing, SPACING)
    after = net(scan(), [clicks], mask, SPACING)
    assert before.shape == (1, 1, *SHAPE)
    assert not torch.allclose(before, after)


@torch.no_grad()
def test_vnet_looks_at_the_scan_alone() -> None:
    net, nothing = network("vnet"), torch.zeros(1, 1, *SHAPE)
    before = net(scan(), [points()], nothing, SPACING)
    after = net(scan(), [points((16, 16, 8))], nothing + 1, SPACING)
    assert torch.equal(before, after)
    assert torch.equal(before, net.backbone(scan()))


@torch.no_grad()
def test_dins3d_sees_a_click_at_every_scale() -> None:
    net = network("dins3d")
    assert isinstance(net, Dins3D)
    layers = [layer for layer in net.injections if isinstance(layer, torch.nn.Conv3d)]
    nothing = torch.zeros(1, 1, *SHAPE)
    before = net(scan(), [points()], nothing, SPACING)
    weights = [layer.weight.clone() for layer in layers]
    assert len(weights) == 5
    for only, weight in enumerate(weights):
        for level, layer in enumerate(layers):
            layer.weight.copy_(weight if level == only else torch.zeros_like(weights[level]))
        after = net(scan(), [points((16, 16, 8))], nothing, SPACING)
        assert not torch.allclose(before, after), f"scale {only} does not see the click"


@pytest.mark.parametrize("name", BASELINES)
def test_a_click_changes_only_the_patches_that_contain_it(name: str) -> None:
    net = network(name)
    image, nothing = scan()[0, 0].repeat(2, 1, 1), torch.zeros(64, 32, 16)
    patches = PatchwiseScan(net, image, SPACING[0], (32, 32, 16))
    empty = torch.empty(0, 3, dtype=torch.long)
    before = patches.logits(empty, empty[:, 0], nothing)
    after = patches.logits(torch.tensor([[2, 16, 8]]), torch.tensor([1]), nothing)
    assert torch.equal(before[32:], after[32:])
    assert torch.equal(before, after) == (name == "vnet")


@torch.no_grad()
def test_a_scan_of_one_patch_is_answered_as_the_network_answers_it() -> None:
    net = network("ritm3d")
    patches = open_scan(net, scan()[0, 0], SPACING[0], SHAPE)
    mask = torch.zeros(SHAPE)
    mask[4:9] = 1
    clicks = points((16, 16, 8))
    answer = patches.logits(clicks.voxels, clicks.labels, mask)
    direct = net(scan(), [clicks], mask[None, None], SPACING)[0, 0]
    assert torch.allclose(answer, direct, atol=1e-5)


def experiment(name: str) -> ExperimentConfig:
    return small_config().model_copy(update={"method": name})


def test_a_batch_is_learned_from_after_rounds_of_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    config = experiment("ritm3d").model_copy(
        update={"clicks": small_config(clicks={"rounds": [3, 3]}).clicks}
    )
    net = network("ritm3d")
    seen: list[tuple[int, bool]] = []
    forward = type(net).forward

    def spy(self: ClickNetwork, *prompts: Any) -> Tensor:
        _, clicks, mask, _ = prompts
        seen.append((sum(len(points.voxels) for points in clicks), bool(mask.any())))
        return forward(self, *prompts)

    monkeypatch.setattr(type(net), "forward", spy)
    lesion = torch.zeros(1, 1, *SHAPE)
    lesion[..., 8:20, 8:20, 4:10] = 1
    batch = {
        "image": scan(), "lesion": lesion, "target": lesion, "spacing": SPACING,
        "key": torch.zeros(1, 3).long(),
    }  # fmt: skip
    loss = training_step(net, config)(batch, "interactive", 0, 0.3)
    loss.backward()
    assert len(seen) == 3
    assert seen[0][1] is False, "there is no mask before the first answer"
    assert seen[1][0] <= seen[2][0], "clicks gather"
    assert seen[0][0] < seen[2][0]
    assert all(weight.grad is not None for weight in net.parameters())


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "vnet"])
@torch.no_grad()
def test_any_method_can_start_from_a_vnet_and_answers_first_as_it_does(name: str) -> None:
    trained, fresh = network("vnet"), build_network(name, small_config().network).eval()
    for weight in trained.parameters():
        weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    fresh.load_state_dict(initial_weights(fresh, trained))
    image = scan().expand(1, 1, *SHAPE)
    nothing = torch.zeros_like(image)
    expected = trained(image, [points()], nothing, SPACING)
    answer = (
        fresh.backbone(image)
        if isinstance(fresh, CAISeg)
        else fresh(image, [points()], nothing, SPACING)
    )
    torch.testing.assert_close(answer, expected)


@torch.no_grad()
def test_a_vnet_alone_can_start_from_that_of_a_caiseg() -> None:
    trained = build_network("caiseg", small_config().network).eval()
    fresh = network("vnet")
    for weight in trained.parameters():
        weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    fresh.load_state_dict(initial_weights(fresh, trained))
    assert isinstance(trained, CAISeg)
    answer = fresh(scan(), [points()], torch.zeros_like(scan()), SPACING)
    torch.testing.assert_close(answer, trained.backbone(scan()))


def test_weights_of_another_method_are_no_place_to_start_from(tmp_path: Path) -> None:
    config = experiment("ritm3d")
    trainer = Trainer(
        config, prepared_cases(1), [], RunFolder(tmp_path), Fabric(accelerator="cpu", devices=1)
    )
    with pytest.raises(InvalidInput, match="another method"):
        trainer.start_from(network("mideepseg"))


def test_an_unknown_method_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match="'unet' is not trained here; choose caiseg, vnet"):
        build_network("unet", small_config().network)
