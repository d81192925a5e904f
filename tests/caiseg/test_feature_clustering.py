"""The Feature Clustering Block against eqs. 4-7 and 13, written out one voxel at a time."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from caiseg import fused_affinity
from caiseg.feature_clustering import REACH_UNIT_MM, ClickCells, FeatureClustering

Cell = tuple[int, int, int]
Similarity = Literal["gaussian", "cosine"]
Position = Literal["minmax", "mm", "none"]

CHANNELS, HEADS, GRID = 8, 2, (4, 3, 2)
CELL_MM = torch.tensor([2.0, 3.5, 10.0])
BACK, FORE = 0, 1

CLICK_SETS: dict[str, list[tuple[Cell, int]]] = {
    "no click": [],
    "one foreground": [((1, 2, 0), FORE)],
    "one background": [((3, 0, 1), BACK)],
    "several of one class": [((1, 2, 0), FORE), ((2, 0, 1), FORE), ((0, 0, 0), FORE)],
    "one of each": [((1, 2, 0), FORE), ((3, 0, 1), BACK)],
    "several of both": [
        ((1, 2, 0), FORE), ((3, 0, 1), BACK), ((2, 1, 1), FORE), ((0, 1, 0), BACK),
        ((2, 2, 1), BACK),
    ],
    "both in one cell": [((1, 1, 1), FORE), ((1, 1, 1), BACK)],
}  # fmt: skip


def small_block(
    similarity: Similarity = "gaussian",
    position: Position = "minmax",
    alpha: tuple[float, ...] = (1.5, 0.4),
    heads: int = HEADS,
) -> FeatureClustering:
    """A block whose mask fusion is not the zero that training starts from."""
    torch.manual_seed(0)
    block = FeatureClustering(
        CHANNELS, heads, similarity=similarity, position=position, alpha=alpha
    )
    torch.nn.init.normal_(block.mask_fusion.weight, std=0.3)
    return block


def scene() -> tuple[Tensor, Tensor]:
    """``F`` and ``S_p`` on the small grid; features so close that affinities are far from 0."""
    generator = torch.Generator().manual_seed(1)
    features = 0.4 * torch.randn(CHANNELS, *GRID, generator=generator)
    return features, torch.rand(GRID, generator=generator)


def cells_of(clicks: list[tuple[Cell, int]]) -> ClickCells:
    voxels = torch.tensor([cell for cell, _ in clicks], dtype=torch.long).reshape(-1, 3)
    labels = torch.tensor([label for _, label in clicks], dtype=torch.long)
    return ClickCells.from_voxels(voxels, labels, (1, 1, 1))


def all_cells() -> list[Cell]:
    return list(itertools.product(*map(range, GRID)))  # type: ignore[arg-type]


class LiteralBlock:
    """The block in plain Python: lists, loops and one pair ``(q, k)`` at a time."""

    def __init__(self, block: FeatureClustering, features: Tensor, mask: Tensor, cell_mm: Tensor):
        self.block = block
        self.cell_mm = cell_mm.tolist()
        fused = self._fuse(features.tolist(), mask.tolist())
        self.projected = {cell: self._project(fused[cell]) for cell in all_cells()}

    def _fuse(
        self, features: list[list[list[list[float]]]], mask: list[list[list[float]]]
    ) -> dict[Cell, list[float]]:
        """``F`` plus a 3x3x3 convolution of ``S_p``, which is 0 outside the grid."""
        weight = self.block.mask_fusion.weight.tolist()
        assert self.block.mask_fusion.bias is not None
        bias = self.block.mask_fusion.bias.tolist()
        fused = {}
        for i, j, k in all_cells():
            vector = []
            for channel in range(CHANNELS):
                total = features[channel][i][j][k] + bias[channel]
                for a, b, c in itertools.product(range(3), repeat=3):
                    near = (i + a - 1, j + b - 1, k + c - 1)
                    if near in all_cells():
                        total += weight[channel][0][a][b][c] * mask[near[0]][near[1]][near[2]]
                vector.append(total)
            fused[i, j, k] = vector
        return fused

    def _project(self, vector: list[float]) -> list[float]:
        weight, bias = self.block.projection.weight.tolist(), self.block.projection.bias.tolist()
        return [
            sum(row[n] * vector[n] for n in range(CHANNELS)) + offset
            for row, offset in zip(weight, bias, strict=True)
        ]

    def _head(self, cell: Cell, head: int) -> list[float]:
        width = CHANNELS // self.block.heads
        return self.projected[cell][head * width : (head + 1) * width]

    def _distance_mm(self, q: Cell, k: Cell) -> float:
        return math.sqrt(sum(((q[n] - k[n]) * self.cell_mm[n]) ** 2 for n in range(3)))

    def _norm(self, q: Cell, k: Cell, centres: list[Cell]) -> float:
        """``norm`` of eq. 4: min-max over all pairs, or a fixed unit in mm."""
        if self.block.position == "mm":
            return self._distance_mm(q, k) / REACH_UNIT_MM
        every = [self._distance_mm(cell, centre) for cell in all_cells() for centre in centres]
        return (self._distance_mm(q, k) - min(every)) / (max(every) - min(every))

    def affinity(self, q: Cell, k: Cell, centres: list[Cell]) -> float:
        """Eqs. 4-5 averaged over heads."""
        alphas = self.block.log_alpha.exp().tolist()
        total = 0.0
        for head in range(self.block.heads):
            alpha = alphas[head] if len(alphas) > 1 else alphas[0]
            term = 0.0
            if self.block.position != "none":
                term = alpha * self._norm(q, k, centres)
            left, right = self._head(q, head), self._head(k, head)
            if self.block.similarity == "gaussian":
                gap = math.dist(left, right)
                total += math.exp(-((gap + term) ** 2))
            else:
                product = sum(a * b for a, b in zip(left, right, strict=True))
                cosine = product / (math.hypot(*left) * math.hypot(*right))
                total += max(cosine, 0.0) * math.exp(-(term**2))
        return total / self.block.heads

    def clustered(self, clicks: list[tuple[Cell, int]]) -> dict[tuple[Cell, Cell, int], float]:
        """Eqs. 6-7: ``a_{q,k}`` of every cell ``q`` and click ``k``."""
        centres = [cell for cell, _ in clicks]
        rows = {}
        for q in all_cells():
            for k, label in clicks:
                rivals = [cell for cell, other in clicks if other == label]
                best = max(self.affinity(q, rival, centres) for rival in rivals)
                here = self.affinity(q, k, centres)
                rows[q, k, label] = here if here == best else 0.0
        return rows


@pytest.mark.parametrize("clicks", CLICK_SETS.values(), ids=CLICK_SETS)
@pytest.mark.parametrize("position", ["minmax", "mm", "none"])
@pytest.mark.parametrize("similarity", ["gaussian", "cosine"])
def test_eqs_4_to_7_and_13_equal_plain_loops(
    clicks: list[tuple[Cell, int]], position: Position, similarity: Similarity
) -> None:
    block, (features, mask) = small_block(similarity, position), scene()
    cells = cells_of(clicks)
    found = block(features, mask, cells, CELL_MM).dense(len(cells)).detach()
    assert found.shape == (*GRID, len(clicks))
    literal = LiteralBlock(block, features, mask, CELL_MM).clustered(clicks)
    for (q, k, label), expected in literal.items():
        column = next(
            n for n in range(len(cells))
            if cells.cells[n].tolist() == list(k) and int(cells.labels[n]) == label
        )  # fmt: skip
        assert float(found[q][column]) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("alpha", [(1.5,), (1.5, 0.4)])
def test_one_alpha_serves_all_heads_or_each_head_has_its_own(alpha: tuple[float, ...]) -> None:
    block, (features, mask) = small_block(alpha=alpha), scene()
    clicks = CLICK_SETS["one foreground"]
    found = block(features, mask, cells_of(clicks), CELL_MM).dense(1).detach()
    literal = LiteralBlock(block, features, mask, CELL_MM).clustered(clicks)
    for (q, _, _), expected in literal.items():
        assert float(found[q][0]) == pytest.approx(expected, abs=2e-6)


def test_heads_are_averaged_not_the_whole_vector_compared() -> None:
    features, mask = scene()
    clicks = cells_of(CLICK_SETS["one foreground"])
    one = small_block(alpha=(1.0,), heads=1)(features, mask, clicks, CELL_MM)
    two = small_block(alpha=(1.0,), heads=2)(features, mask, clicks, CELL_MM)
    assert bool((two.value[FORE] > one.value[FORE] + 1e-3).any())


@pytest.mark.parametrize("position", ["minmax", "mm", "none"])
@pytest.mark.parametrize("similarity", ["gaussian", "cosine"])
def test_slabs_without_gradients_equal_the_path_with_gradients(
    monkeypatch: pytest.MonkeyPatch, position: Position, similarity: Similarity
) -> None:
    monkeypatch.setattr(fused_affinity, "_SLAB_CELLS", 5)
    block, (features, mask) = small_block(similarity, position), scene()
    clicks = cells_of(CLICK_SETS["several of both"])
    whole = block(features, mask, clicks, CELL_MM)
    assert whole.value.requires_grad
    with torch.no_grad():
        parts = block(features, mask, clicks, CELL_MM)
    last_place = torch.finfo(torch.float32).eps
    torch.testing.assert_close(parts.value, whole.value, rtol=0, atol=2 * last_place)
    assert torch.equal(parts.winner, whole.winner)


def test_no_click_gives_no_affinity() -> None:
    block, (features, mask) = small_block(), scene()
    found = block(features, mask, cells_of([]), CELL_MM)
    assert found.value.shape == (2, *GRID)
    assert not found.value.any()
    assert found.dense(0).shape == (*GRID, 0)


@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_the_order_of_clicks_does_not_matter(order: list[int]) -> None:
    block, (features, mask) = small_block(), scene()
    clicks = CLICK_SETS["several of both"]
    first = block(features, mask, cells_of(clicks), CELL_MM)
    second = block(features, mask, cells_of([clicks[n] for n in order]), CELL_MM)
    assert torch.equal(first.value, second.value)
    assert torch.equal(first.winner, second.winner)


def test_a_duplicate_click_changes_nothing() -> None:
    block, (features, mask) = small_block(), scene()
    clicks = CLICK_SETS["several of both"]
    once, twice = cells_of(clicks), cells_of([*clicks, clicks[1], clicks[0]])
    assert len(once) == len(twice)
    assert torch.equal(
        block(features, mask, once, CELL_MM).value, block(features, mask, twice, CELL_MM).value
    )


def test_clicks_are_divided_by_the_down_sampling_ratio() -> None:
    voxels = torch.tensor([[5, 4, 3], [4, 5, 3], [5, 4, 3], [0, 1, 7]])
    labels = torch.tensor([FORE, FORE, BACK, FORE])
    cells = ClickCells.from_voxels(voxels, labels, (2, 2, 1))
    assert len(cells) == 3, "two foreground clicks fall into one cell"
    pairs = {
        (*cell, label)
        for cell, label in zip(cells.cells.tolist(), cells.labels.tolist(), strict=True)
    }
    assert pairs == {(2, 2, 3, FORE), (2, 2, 3, BACK), (0, 0, 7, FORE)}


def test_ties_give_one_winner_per_label() -> None:
    block = small_block(position="none")
    features, mask = torch.ones(CHANNELS, *GRID), torch.zeros(GRID)
    clicks = cells_of(CLICK_SETS["several of both"])
    found = block(features, mask, clicks, CELL_MM)
    rows = found.dense(len(clicks)).flatten(0, 2)
    for label in (BACK, FORE):
        members = rows[:, clicks.labels == label]
        assert torch.equal((members > 0).sum(1), torch.ones(len(rows), dtype=torch.long))
        assert bool((members[:, 0] == 1).all()), "of equal affinities the first click wins"


def test_every_cell_keeps_one_click_per_label_that_was_clicked() -> None:
    block, (features, mask) = small_block(), scene()
    clicks = cells_of(CLICK_SETS["several of both"])
    rows = block(features, mask, clicks, CELL_MM).dense(len(clicks)).flatten(0, 2)
    for label in (BACK, FORE):
        assert bool(((rows[:, clicks.labels == label] > 0).sum(1) == 1).all())


@pytest.mark.parametrize("similarity", ["gaussian", "cosine"])
@pytest.mark.parametrize("position", ["minmax", "mm", "none"])
def test_affinity_of_a_clicked_cell_is_1_for_its_label(
    similarity: Similarity, position: Position
) -> None:
    block, (features, mask) = small_block(similarity, position), scene()
    clicks = CLICK_SETS["several of both"]
    value = block(features, mask, cells_of(clicks), CELL_MM).value.detach()
    assert float(value.min()) >= 0
    assert float(value.max()) <= 1 + 1e-6
    for cell, label in clicks:
        assert float(value[label][cell]) == pytest.approx(1, abs=1e-6)
        assert float(value[1 - label][cell]) < 1 - 1e-3


@torch.no_grad()
def test_min_max_distances_ignore_the_unit_and_mm_distances_do_not() -> None:
    features, mask = scene()
    clicks = cells_of(CLICK_SETS["one of each"])

    def change(position: Position, cell_mm: Tensor) -> float:
        block = small_block(position=position)
        before = block(features, mask, clicks, CELL_MM).value
        return float((block(features, mask, clicks, cell_mm).value - before).abs().max())

    assert change("minmax", 3 * CELL_MM) < 1e-6
    assert change("mm", 3 * CELL_MM) > 1e-2
    assert change("none", 3 * CELL_MM) == 0
    wider = CELL_MM * torch.tensor([1.0, 1.0, 2.0])
    assert change("minmax", wider) > 1e-2
    assert change("none", wider) == 0


def test_the_previous_mask_changes_affinities_once_its_fusion_has_weights() -> None:
    block, (features, mask) = small_block(), scene()
    clicks = cells_of(CLICK_SETS["one foreground"])
    empty = torch.zeros(GRID)
    fused = block(features, mask, clicks, CELL_MM).value
    assert not torch.allclose(fused, block(features, empty, clicks, CELL_MM).value, atol=1e-3)
    block.reset_parameters()
    assert torch.equal(
        block(features, mask, clicks, CELL_MM).value,
        block(features, empty, clicks, CELL_MM).value,
    )


def test_alpha_is_positive_and_starts_where_the_config_says() -> None:
    block = small_block(alpha=(16.0, 0.25))
    torch.testing.assert_close(block.log_alpha.exp(), torch.tensor([16.0, 0.25]))
    with torch.no_grad():
        block.log_alpha.fill_(-50)
    features, mask = scene()
    clicks = cells_of(CLICK_SETS["one foreground"])
    flat = block(features, mask, clicks, CELL_MM).value
    without = small_block(position="none")(features, mask, clicks, CELL_MM).value
    torch.testing.assert_close(flat, without)


def test_query_scale_widens_the_first_affinities() -> None:
    features, mask = scene()
    clicks = cells_of(CLICK_SETS["one foreground"])
    means = []
    for scale in (1.0, 0.3):
        torch.manual_seed(0)
        block = FeatureClustering(CHANNELS, HEADS, query_scale=scale)
        block.reset_parameters()
        means.append(float(block(features, mask, clicks, CELL_MM).value[FORE].mean().detach()))
    assert means[1] > means[0]


@pytest.mark.parametrize("similarity", ["gaussian", "cosine"])
def test_gradients_reach_every_parameter_and_stay_finite(similarity: Similarity) -> None:
    block, (features, mask) = small_block(similarity), scene()
    features.requires_grad_()
    clicks = cells_of(CLICK_SETS["several of both"])
    block(features, mask, clicks, CELL_MM).value.sum().backward()
    for name, parameter in [*block.named_parameters(), ("features", features)]:
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        if name != "mask_fusion.bias":
            assert bool(parameter.grad.any()), name


def clustered_by_all_pairs(
    block: FeatureClustering, features: Tensor, mask: Tensor, clicks: ClickCells
) -> Tensor:
    """Eqs. 4-7 with distances in units of 100 mm, every affinity of every cell and click."""
    fused = features + block.mask_fusion(mask[None, None])[0]
    rows = block.projection(fused.flatten(1).T)
    axes = [torch.arange(size) for size in GRID]
    cells = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    flat = [[cell.tolist() for cell in cells].index(cell) for cell in clicks.cells.tolist()]
    away = torch.cdist(cells * CELL_MM, clicks.cells * CELL_MM) / REACH_UNIT_MM
    total = torch.zeros(len(cells), len(clicks))
    for part, alpha in zip(rows.chunk(HEADS, dim=1), block.log_alpha.exp(), strict=True):
        if block.similarity == "cosine":
            unit = torch.nn.functional.normalize(part, dim=1)
            total = total + (unit @ unit[flat].T).clamp(min=0) * (-((alpha * away) ** 2)).exp()
        else:
            apart = torch.cdist(part, part[flat], compute_mode="donot_use_mm_for_euclid_dist")
            total = total + (-((apart + alpha * away) ** 2)).exp()
    best = [total[:, clicks.labels == label].amax(1) / HEADS for label in (BACK, FORE)]
    return torch.stack(best).unflatten(1, GRID)


@pytest.mark.parametrize("similarity", ["gaussian", "cosine"])
def test_gradients_equal_those_of_the_best_of_all_affinities(similarity: Similarity) -> None:
    block, (features, mask) = small_block(similarity, "mm"), scene()
    features.requires_grad_()
    clicks = cells_of(CLICK_SETS["several of both"])
    weights = torch.rand((2, *GRID), generator=torch.Generator().manual_seed(2))
    learned = [features, *block.parameters()]
    values, gradients = [], []
    for value in (
        block(features, mask, clicks, CELL_MM).value,
        clustered_by_all_pairs(block, features, mask, clicks),
    ):
        values.append(value)
        gradients.append(torch.autograd.grad((weights * value).sum(), learned))
    torch.testing.assert_close(values[0], values[1])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
