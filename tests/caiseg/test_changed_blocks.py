"""A click evaluates few blocks, and gives what the whole last stage gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from caiseg import changed_blocks as module
from caiseg.answer_bound import (
    NEGLIGIBLE,
    SETTLED_LOGIT,
    AnswerBound,
    tolerated_change,
    tolerated_for_probability,
)
from caiseg.changed_blocks import BLOCK, BlockwiseLastStage, changed_blocks
from caiseg.feature_clustering import ClickCells
from caiseg.interaction_guided import Adjustment
from caiseg.merged_features import MergedFeatures
from caiseg.network import CAISeg, ScanFeatures
from caiseg.network_config import ISOTROPIC, THICK_SLICES, NetworkConfig

SHAPE = (48, 32, 32)
SPACING = torch.tensor([1.0, 1.0, 2.0])
VARIANTS: dict[str, dict[str, Any]] = {
    "isotropic": {"strides": ISOTROPIC},
    "thick slices": {"strides": THICK_SLICES},
    "kernel 1": {"kernel_size": 1},
    "kernel 5": {"kernel_size": 5},
    "kernel 7, thick slices": {"kernel_size": 7, "strides": THICK_SLICES},
    "rival labels": {"exclusive": True},
}


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(params=list(VARIANTS.values()), ids=list(VARIANTS))
def network(request: pytest.FixtureRequest) -> CAISeg:
    torch.manual_seed(0)
    settings = {
        "base_channels": 4, "kernel_size": 3, "attention_heads": (4, 4, 2, 2),
        "affinity_heads": 2, "position": "mm", "alpha": (4.0,), "query_scale": 0.3,
    }  # fmt: skip
    network = CAISeg(NetworkConfig(**(settings | request.param))).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.PReLU):
            torch.nn.init.uniform_(layer.weight, -0.5, 1.5)
        if isinstance(layer, torch.nn.ConvTranspose3d) and layer.bias is not None:
            torch.nn.init.normal_(layer.bias)
    return network


def encoded(network: CAISeg) -> ScanFeatures:
    scan = torch.randn(1, 1, *SHAPE, generator=torch.Generator().manual_seed(1))
    return network.encode(scan).stored(torch.float32)


def clicked(network: CAISeg) -> ClickCells:
    voxels = torch.tensor([[0, 0, 0], [20, 9, 30], [47, 31, 16]])
    return ClickCells.from_voxels(voxels, torch.tensor([1, 0, 1]), network.feature_stride)


def merged(network: CAISeg, scan: ScanFeatures) -> MergedFeatures:
    share = network.backbone.last_stage.share_of_skip(scan.skip)
    return MergedFeatures(scan.features, share, scan.head_features)


def adjusted(network: CAISeg, scan: ScanFeatures, mask: Tensor) -> Adjustment:
    clicks = clicked(network)
    heads = scan.head_features[0][clicks.labels]
    adjustment, _ = network.adjustment(scan.features[0], heads, clicks, mask, SPACING)
    return adjustment


def dense(network: CAISeg, scan: ScanFeatures, mask: Tensor) -> Tensor:
    output = network.answer(scan, [clicked(network)], mask[None, None], SPACING[None])
    return output.logits[0, 0]


def test_every_block_equals_the_last_stage_run_on_the_whole(network: CAISeg) -> None:
    scan, mask = encoded(network), torch.zeros(SHAPE)
    adjustment = adjusted(network, scan, mask)
    stage = BlockwiseLastStage(network.backbone.last_stage, network.feature_stride)
    logits = torch.full(SHAPE, torch.nan)
    stage.update(
        logits,
        changed_blocks(torch.ones(SHAPE), torch.zeros(SHAPE)),
        merged(network, scan),
        adjustment,
    )
    torch.testing.assert_close(logits, dense(network, scan, mask), rtol=1e-4, atol=1e-4)


def test_blocks_left_out_keep_what_was_there(network: CAISeg) -> None:
    scan, mask = encoded(network), torch.zeros(SHAPE)
    adjustment = adjusted(network, scan, mask)
    stage = BlockwiseLastStage(network.backbone.last_stage, network.feature_stride)
    logits = torch.zeros(SHAPE)
    stage.update(logits, torch.tensor([[8, 16, 24]]), merged(network, scan), adjustment)
    box = (slice(8, 16), slice(16, 24), slice(24, 32))
    expected = torch.zeros(SHAPE)
    expected[box] = dense(network, scan, mask)[box]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_no_logit_moves_farther_than_its_bound(network: CAISeg) -> None:
    scan, mask = encoded(network), (torch.rand(SHAPE) > 0.5).float()
    adjustment = adjusted(network, scan, mask)
    bound = AnswerBound(network.backbone.last_stage, network.feature_stride)(adjustment)
    before = network.backbone.last_stage(scan.features, scan.skip)[0, 0]
    moved = (dense(network, scan, mask) - before).abs()
    assert bound.shape == SHAPE
    assert bool((moved <= bound + 1e-4).all())
    assert float((moved / bound.clamp(min=1e-3)).max()) > 0.05, "a bound of no use"


def test_a_bound_is_the_same_cells_by_cells(
    network: CAISeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    adjustment = adjusted(network, encoded(network), torch.zeros(SHAPE))
    bound = AnswerBound(network.backbone.last_stage, network.feature_stride)
    whole = bound(adjustment)
    monkeypatch.setattr("caiseg.answer_bound._ROOM", 1000)
    torch.testing.assert_close(bound(adjustment), whole)


def test_what_is_tolerated_changes_no_side_or_hardly_a_probability() -> None:
    logits = 6 * torch.randn(20, 20, 20, generator=torch.Generator().manual_seed(0))
    for_mask, for_probability = tolerated_change(logits), tolerated_for_probability(logits)
    assert bool((for_probability <= for_mask).all())
    for sign in (-1, 1):
        assert torch.equal(logits + sign * 0.999 * for_mask > 0, logits > 0)
        moved = logits + sign * 0.999 * for_probability
        change = (torch.sigmoid(moved) - torch.sigmoid(logits)).abs()
        assert float(change.max()) <= 0.01 + 1e-4


def test_far_from_a_border_much_is_tolerated_and_at_a_border_nothing_is() -> None:
    logits = torch.full((9, 3, 3), -20.0)
    logits[5:] = 20.0
    at_border = [NEGLIGIBLE, NEGLIGIBLE]
    for tolerated, elsewhere in (
        (tolerated_change, 20.0),
        (tolerated_for_probability, 20 - SETTLED_LOGIT),
    ):
        limit = tolerated(logits)[:, 1, 1]
        assert limit.tolist() == pytest.approx([elsewhere] * 4 + at_border + [elsewhere] * 3)


def test_a_block_counts_when_a_voxel_next_to_it_changes() -> None:
    change = torch.zeros(20, 16, 16)
    change[3, 8, 3] = 1
    found = {
        tuple(block) for block in changed_blocks(change, torch.full_like(change, 0.5)).tolist()
    }
    assert found == {(0, 8, 0), (0, 0, 0)}
    change[19, 15, 15] = 1
    found = {
        tuple(block) for block in changed_blocks(change, torch.full_like(change, 0.5)).tolist()
    }
    assert found == {(0, 8, 0), (0, 0, 0), (16, 8, 8)}
    assert BLOCK == 8


@pytest.mark.parametrize("first", [(0, 0, 0), (8, 16, 8), (5, 3, 7), (12, 9, 2)])
def test_blocks_of_a_part_lie_where_the_whole_has_them(first: tuple[int, int, int]) -> None:
    change, generator = torch.zeros(40, 40, 40), torch.Generator().manual_seed(0)
    i, j, k = (slice(start + 1, start + 20) for start in first)
    change[i, j, k] = (torch.rand((19, 19, 19), generator=generator) > 0.999).float()
    tolerated = torch.full_like(change, 0.5)
    expected = changed_blocks(change, tolerated)
    assert 0 < len(expected) < 125
    i, j, k = (slice(start, start + 21) for start in first)
    assert torch.equal(changed_blocks(change[i, j, k], tolerated[i, j, k], first), expected)


@pytest.mark.parametrize("raised_at_once", [64, 512])
def test_any_number_of_blocks_is_convolved_in_groups_of_two_sizes(
    network: CAISeg, monkeypatch: pytest.MonkeyPatch, raised_at_once: int
) -> None:
    monkeypatch.setattr(module, "_BLOCKS_RAISED_AT_ONCE", raised_at_once)
    scan, mask = encoded(network), torch.zeros(SHAPE)
    adjustment = adjusted(network, scan, mask)
    expected = dense(network, scan, mask)
    sizes = []
    merge = BlockwiseLastStage._merge

    def spy(self: BlockwiseLastStage, x: Tensor, share: Tensor) -> Tensor:
        sizes.append(len(x))
        return merge(self, x, share)

    monkeypatch.setattr(module.BlockwiseLastStage, "_merge", spy)
    stage = BlockwiseLastStage(network.backbone.last_stage, network.feature_stride)
    every = changed_blocks(torch.ones(SHAPE), torch.zeros(SHAPE))
    for count, groups in ((0, []), (1, [16]), (17, [16, 16]), (64, [64]), (70, [64, 16])):
        sizes.clear()
        logits = torch.zeros(SHAPE)
        stage.update(logits, every[:count], merged(network, scan), adjustment)
        assert sizes == groups
        for i, j, k in every[:count].tolist():
            box = (slice(i, i + BLOCK), slice(j, j + BLOCK), slice(k, k + BLOCK))
            torch.testing.assert_close(logits[box], expected[box], rtol=1e-4, atol=1e-4)
