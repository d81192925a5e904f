"""The adjustment of eqs. 2-3 against plain loops, given the clustered affinity map."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from caiseg.feature_clustering import ClickCells, FeatureClustering
from caiseg.interaction_guided import InteractionGuidedModule

CHANNELS, GRID = 8, (4, 3, 2)
CELL_MM = torch.tensor([2.0, 3.5, 10.0])
BACK, FORE = 0, 1

CLICK_SETS = {
    "one foreground": [(1, 2, 0, FORE)],
    "one background": [(3, 0, 1, BACK)],
    "several of one class": [(1, 2, 0, BACK), (2, 0, 1, BACK), (0, 0, 0, BACK)],
    "several of both": [(1, 2, 0, FORE), (3, 0, 1, BACK), (2, 1, 1, FORE), (0, 1, 0, BACK)],
    "both in one cell": [(1, 1, 1, FORE), (1, 1, 1, BACK)],
}


def small_module() -> InteractionGuidedModule:
    torch.manual_seed(0)
    clustering = FeatureClustering(CHANNELS, 2, alpha=(0.5,))
    torch.nn.init.normal_(clustering.mask_fusion.weight, std=0.3)
    return InteractionGuidedModule(clustering)


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """``F``, ``q_back`` and ``q_fore``, and ``S_p``."""
    generator = torch.Generator().manual_seed(1)
    return (
        0.4 * torch.randn(CHANNELS, *GRID, generator=generator),
        torch.randn(2, CHANNELS, generator=generator),
        torch.rand(GRID, generator=generator),
    )


def cells_of(clicks: list[tuple[int, int, int, int]]) -> ClickCells:
    rows = torch.tensor(clicks, dtype=torch.long).reshape(-1, 4)
    return ClickCells.from_voxels(rows[:, :3], rows[:, 3], (1, 1, 1))


def literal_eqs_2_and_3(
    features: Tensor, head_features: Tensor, clicks: ClickCells, affinity: Tensor
) -> Tensor:
    """``F_new = F + CA x M_adj`` with ``v_adj = q_cls - v_c``, number by number."""
    adjusted = features.clone()
    for i, j, k in itertools.product(*map(range, GRID)):
        for channel in range(CHANNELS):
            total = float(features[channel, i, j, k])
            for click in range(len(clicks)):
                a, b, c = clicks.cells[click].tolist()
                q_cls = float(head_features[int(clicks.labels[click]), channel])
                v_adj = q_cls - float(features[channel, a, b, c])
                total += float(affinity[i, j, k, click]) * v_adj
            adjusted[channel, i, j, k] = total
    return adjusted


@pytest.mark.parametrize("clicks", CLICK_SETS.values(), ids=CLICK_SETS)
@torch.no_grad()
def test_eqs_2_and_3_equal_plain_loops(clicks: list[tuple[int, int, int, int]]) -> None:
    features, head_features, mask = scene()
    cells = cells_of(clicks)
    adjusted, affinity = small_module()(features, head_features, mask, cells, CELL_MM)
    expected = literal_eqs_2_and_3(features, head_features, cells, affinity.dense(len(cells)))
    torch.testing.assert_close(adjusted, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(adjusted, features, atol=1e-2), "nothing moved"


@pytest.mark.parametrize("clicks", CLICK_SETS.values(), ids=CLICK_SETS)
@torch.no_grad()
def test_rival_labels_count_as_far_as_the_other_is_not_akin(
    clicks: list[tuple[int, int, int, int]],
) -> None:
    features, head_features, mask = scene()
    cells, module = cells_of(clicks), small_module()
    module.exclusive = True
    adjusted, affinity = module(features, head_features, mask, cells, CELL_MM)
    rival = affinity.dense(len(cells))
    for i, j, k in itertools.product(*map(range, GRID)):
        best = [float(affinity.value[label, i, j, k]) for label in (BACK, FORE)]
        for click in range(len(cells)):
            rival[i, j, k, click] *= 1 - best[1 - int(cells.labels[click])]
    expected = literal_eqs_2_and_3(features, head_features, cells, rival)
    torch.testing.assert_close(adjusted, expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_rival_labels_change_nothing_where_only_one_label_was_clicked() -> None:
    features, head_features, mask = scene()
    module, clicks = small_module(), cells_of(CLICK_SETS["several of one class"])
    added, _ = module(features, head_features, mask, clicks, CELL_MM)
    module.exclusive = True
    rival, _ = module(features, head_features, mask, clicks, CELL_MM)
    assert torch.equal(added, rival)


@torch.no_grad()
def test_without_clicks_the_new_features_are_the_old_ones() -> None:
    features, head_features, mask = scene()
    adjusted, affinity = small_module()(features, head_features, mask, cells_of([]), CELL_MM)
    assert adjusted is features
    assert not affinity.value.any()


@pytest.mark.parametrize("label", [BACK, FORE])
@torch.no_grad()
def test_a_clicked_cell_moves_onto_the_head_features_of_its_label(label: int) -> None:
    features, head_features, mask = scene()
    clicks = cells_of([(2, 1, 0, label)])
    adjusted, _ = small_module()(features, head_features, mask, clicks, CELL_MM)
    torch.testing.assert_close(adjusted[:, 2, 1, 0], head_features[label], rtol=0, atol=1e-6)


@torch.no_grad()
def test_the_previous_mask_enters_the_affinity_alone() -> None:
    features, head_features, mask = scene()
    module, clicks = small_module(), cells_of([(2, 1, 0, FORE)])
    torch.nn.init.zeros_(module.clustering.projection.weight)
    with_mask, _ = module(features, head_features, mask, clicks, CELL_MM)
    without, _ = module(features, head_features, torch.zeros(GRID), clicks, CELL_MM)
    assert torch.equal(with_mask, without), "S_p was added to F itself"


@torch.no_grad()
def test_order_and_repetition_of_clicks_change_nothing() -> None:
    features, head_features, mask = scene()
    module, clicks = small_module(), CLICK_SETS["several of both"]
    first, _ = module(features, head_features, mask, cells_of(clicks), CELL_MM)
    repeated = [*reversed(clicks), clicks[2], clicks[2]]
    second, _ = module(features, head_features, mask, cells_of(repeated), CELL_MM)
    assert torch.equal(first, second)


def test_gradients_reach_features_head_features_and_the_clustering() -> None:
    features, head_features, mask = scene()
    features.requires_grad_()
    head_features.requires_grad_()
    module = small_module()
    clicks = cells_of(CLICK_SETS["several of both"])
    adjusted, _ = module(features, head_features, mask, clicks, CELL_MM)
    adjusted.square().sum().backward()
    for tensor in (features, head_features, *module.parameters()):
        assert tensor.grad is not None
        assert bool(torch.isfinite(tensor.grad).all())


def test_what_all_cells_teach_a_click_adds_up_under_autocast() -> None:
    module = small_module()
    torch.nn.init.zeros_(module.clustering.projection.weight)
    module.clustering.log_alpha.data.fill_(-20.0)
    features = torch.zeros(CHANNELS, 16, 16, 16, dtype=torch.bfloat16)
    head_features = torch.ones(2, CHANNELS, dtype=torch.bfloat16, requires_grad=True)
    mask, clicks = torch.zeros(16, 16, 16), cells_of([(2, 1, 0, FORE)])
    with torch.autocast("cpu", torch.bfloat16):
        adjusted, _ = module(features, head_features, mask, clicks, CELL_MM)
    adjusted.float().sum().backward()
    assert head_features.grad is not None
    expected = torch.full((CHANNELS,), 16.0**3)
    torch.testing.assert_close(head_features.grad[FORE].float(), expected, rtol=0.01, atol=0)
