"""Tiles cover a scan, blend to one answer, and a click runs only those that contain it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from caiseg import patches
from caiseg.feature_clustering import ClickCells
from caiseg.interpolation import Box
from caiseg.network import CAISeg
from caiseg.network_config import THICK_SLICES, NetworkConfig
from caiseg.patches import OVERLAP, tile_boxes
from caiseg.tiling import EncodedTiles

SPACING = torch.tensor([1.5, 1.5, 4.0])
FORE = 1


@pytest.fixture(scope="module")
def network() -> CAISeg:
    torch.manual_seed(0)
    config = NetworkConfig(
        base_channels=2, kernel_size=3, strides=THICK_SLICES, attention_heads=(4, 4, 2, 2),
        affinity_heads=2, position="mm", alpha=(4.0,), query_scale=0.3,
    )  # fmt: skip
    network = CAISeg(config).eval()
    torch.nn.init.normal_(network.interaction.clustering.mask_fusion.weight, std=0.3)
    return network.requires_grad_(False)


def scan(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def clicks(*voxels: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    return torch.tensor(voxels), torch.full((len(voxels),), FORE)


def contains(box: Box, voxel: tuple[int, int, int]) -> bool:
    return all(part.start <= index < part.stop for part, index in zip(box, voxel, strict=True))


sizes = st.tuples(*[st.integers(1, 90)] * 3)
patch_sizes = st.tuples(*[st.integers(16, 48)] * 3)


@given(shape=sizes, patch=patch_sizes)
@settings(deadline=None, max_examples=60)
def test_tiles_cover_every_voxel_and_stay_inside(
    shape: tuple[int, int, int], patch: tuple[int, int, int]
) -> None:
    covered = torch.zeros(shape, dtype=torch.bool)
    for box in tile_boxes(shape, patch):
        for part, size, length in zip(box, shape, patch, strict=True):
            assert 0 <= part.start < part.stop <= size
            assert part.stop - part.start == min(size, length)
        covered[box] = True
    assert bool(covered.all())


@given(size=st.integers(1, 400), length=st.integers(16, 64))
@settings(deadline=None, max_examples=300)
def test_neighbouring_tiles_share_a_quarter_of_a_patch(size: int, length: int) -> None:
    starts = [box[0].start for box in tile_boxes((size, 1, 1), (length, 16, 16))]
    for before, after in pairwise(starts):
        assert before + length - after >= OVERLAP * length
    assert (len(starts) == 1) == (size <= length)


def test_no_tile_is_superfluous() -> None:
    assert len(tile_boxes((64, 40, 40), (40, 40, 40))) == 2
    assert len(tile_boxes((70, 40, 40), (40, 40, 40))) == 2
    assert len(tile_boxes((71, 40, 40), (40, 40, 40))) == 3


@pytest.mark.parametrize("shape", [(32, 32, 16), (27, 30, 13), (5, 3, 1)])
def test_a_scan_that_fits_is_one_tile_and_gets_the_network_s_own_logits(
    network: CAISeg, shape: tuple[int, int, int]
) -> None:
    image = scan(*shape)
    tiles = EncodedTiles(network, image, SPACING, (32, 32, 16))
    assert [tile.box for tile in tiles.tiles] == [tuple(slice(0, size) for size in shape)]
    padded = torch.full((32, 32, 16), float(image.min()))
    i, j, k = shape
    padded[:i, :j, :k] = image
    expected = network.backbone(padded[None, None])[0, 0, :i, :j, :k]
    torch.testing.assert_close(tiles.blend({}), expected, rtol=1e-5, atol=1e-6)


def test_an_answer_in_one_tile_is_the_network_s_own(network: CAISeg) -> None:
    image, mask = scan(32, 32, 16), (scan(32, 32, 16) > 0).float()
    tiles = EncodedTiles(network, image, SPACING, (32, 32, 16))
    voxels, labels = clicks((10, 11, 12), (20, 3, 5))
    answers = tiles.answer(voxels, labels, mask)
    direct = network.answer(
        network.encode(image[None, None]),
        [ClickCells.from_voxels(voxels, labels, (2, 2, 1))],
        mask[None, None],
        SPACING[None],
    )
    torch.testing.assert_close(tiles.blend(answers), direct.logits[0, 0])
    coarse = direct.affinity[0].value[None]
    fine = torch.nn.functional.interpolate(coarse, size=(32, 32, 16), mode="trilinear")[0]
    torch.testing.assert_close(tiles.blend_affinity(answers), fine)


def test_a_click_runs_only_the_tiles_that_contain_it(network: CAISeg) -> None:
    tiles = EncodedTiles(network, scan(70, 32, 16), SPACING, (32, 32, 16))
    assert len(tiles.tiles) == 3
    base = tiles.blend({})
    for voxel in [(0, 5, 5), (19, 5, 5), (26, 5, 5), (32, 5, 5), (35, 5, 5), (69, 31, 15)]:
        inside = {n for n, tile in enumerate(tiles.tiles) if contains(tile.box, voxel)}
        answers = tiles.answer(*clicks(voxel), torch.zeros(tiles.shape))
        assert set(answers) == inside
        changed = tiles.blend(answers) != base
        for n in inside:
            assert bool(changed[tiles.tiles[n].box].any())
            changed[tiles.tiles[n].box] = False
        assert not changed.any(), "a voxel outside the clicked tiles changed"


def test_every_tile_sees_the_clicks_and_the_mask_at_their_place(network: CAISeg) -> None:
    image, mask = scan(56, 32, 16), (scan(56, 32, 16) > 0).float()
    tiles = EncodedTiles(network, image, SPACING, (32, 32, 16))
    assert [tile.box[0] for tile in tiles.tiles] == [slice(0, 32), slice(24, 56)]
    voxel = (28, 9, 3)
    answers = tiles.answer(*clicks(voxel, (2, 2, 2)), mask)
    cut = tiles.tiles[1].box
    second = EncodedTiles(network, image[cut], SPACING, (32, 32, 16))
    alone = second.answer(*clicks((28 - 24, 9, 3)), mask[cut])
    torch.testing.assert_close(answers[1].logits, alone[0].logits)
    torch.testing.assert_close(answers[1].affinity.value, alone[0].affinity.value)


def test_the_order_of_tiles_does_not_matter(
    network: CAISeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, mask = scan(60, 40, 16), torch.zeros(60, 40, 16)
    forward = EncodedTiles(network, image, SPACING, (32, 32, 16))
    ordered = tile_boxes
    monkeypatch.setattr(patches, "tile_boxes", lambda *sizes: ordered(*sizes)[::-1])
    backward = EncodedTiles(network, image, SPACING, (32, 32, 16))
    assert forward.tiles[0].box == backward.tiles[-1].box
    torch.testing.assert_close(forward.blend({}), backward.blend({}), rtol=1e-5, atol=1e-6)
    click = clicks((30, 20, 8))
    first, second = forward.answer(*click, mask), backward.answer(*click, mask)
    torch.testing.assert_close(forward.blend(first), backward.blend(second), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        forward.blend_affinity(first), backward.blend_affinity(second), rtol=1e-5, atol=1e-6
    )


def test_beginning_near_the_view_gives_the_same_tiles_and_answers(network: CAISeg) -> None:
    image, mask = scan(70, 40, 16), torch.zeros(70, 40, 16)
    shares: list[float] = []
    begun: list[Tensor] = []
    plain = EncodedTiles(network, image, SPACING, (32, 32, 16))
    stage = network.backbone.input_stage
    handle = stage.register_forward_pre_hook(lambda _, inputs: begun.append(inputs[0]))
    far = EncodedTiles(
        network, image, SPACING, (32, 32, 16), shares.append, first=(69.0, 39.0, 8.0)
    )
    handle.remove()
    assert shares == sorted(shares)
    assert torch.equal(begun[0][0, 0], image[plain.tiles[-1].box])
    click = clicks((30, 20, 8))
    for ours, theirs in zip(far.tiles, plain.tiles, strict=True):
        assert ours.box == theirs.box
        assert torch.equal(ours.base_logits, theirs.base_logits)
    assert torch.equal(far.blend(far.answer(*click, mask)), plain.blend(plain.answer(*click, mask)))


def test_half_precision_halves_the_features_and_keeps_the_mask(network: CAISeg) -> None:
    image, mask = scan(70, 32, 16), torch.zeros(70, 32, 16)
    whole, half = (
        EncodedTiles(network, image, SPACING, (32, 32, 16), storage=storage)
        for storage in (torch.float32, torch.float16)
    )
    assert half.tiles[0].features.features.nbytes * 2 == whole.tiles[0].features.features.nbytes
    assert half.nbytes < whole.nbytes
    click = clicks((30, 20, 8))
    first, second = (tiles.blend(tiles.answer(*click, mask)) for tiles in (whole, half))
    torch.testing.assert_close(first, second, rtol=0.02, atol=0.02)
    assert not torch.equal(first, whole.blend({}))


def test_dense_and_blockwise_answers_agree(network: CAISeg) -> None:
    image, mask = scan(70, 32, 16), (scan(70, 32, 16) > 1).float()
    blockwise, dense = (
        EncodedTiles(network, image, SPACING, (32, 32, 16), dense=mode) for mode in (False, True)
    )
    voxels, labels = torch.tensor([[30, 20, 8], [5, 5, 5]]), torch.tensor([1, 0])
    first, second = (
        tiles.blend(tiles.answer(voxels, labels, mask)) for tiles in (blockwise, dense)
    )
    assert float((torch.sigmoid(first) - torch.sigmoid(second)).abs().max()) <= 0.01
    assert torch.equal(first > 0, second > 0)


@pytest.mark.parametrize("length", [56, 49, 40])
def test_blending_is_a_weighted_mean_without_seams(network: CAISeg, length: int) -> None:
    tiles = EncodedTiles(network, scan(length, 32, 16), SPACING, (32, 32, 16))
    first, second = (tile.base_logits for tile in tiles.tiles)
    start, shared = length - 32, 64 - length
    blended = tiles.blend({})
    torch.testing.assert_close(blended[:start], first[:start])
    torch.testing.assert_close(blended[32:], second[shared:])
    both = torch.stack((first[start:], second[:shared]))
    assert bool((blended[start:32] >= both.amin(0) - 1e-5).all())
    assert bool((blended[start:32] <= both.amax(0) + 1e-5).all())
    share = (blended[start:32] - first[start:]) / (second[:shared] - first[start:])
    share = share.flatten(1).median(dim=1).values
    assert bool((share.diff() > -1e-4).all()), "the second tile takes over step by step"
    assert float(share[0]) < 0.1
    assert float(share[-1]) > 0.9


def test_affinity_of_a_click_in_two_tiles_is_their_mean(network: CAISeg) -> None:
    tiles = EncodedTiles(network, scan(40, 32, 16), SPACING, (32, 32, 16))
    answers = tiles.answer(*clicks((20, 9, 3)), torch.zeros(tiles.shape))
    assert set(answers) == {0, 1}
    affinity = tiles.blend_affinity(answers)
    assert 0.5 < float(affinity.max()) <= 1 + 1e-5


def test_affinity_is_1_at_a_click_and_0_where_no_tile_was_asked(network: CAISeg) -> None:
    tiles = EncodedTiles(network, scan(70, 32, 16), SPACING, (32, 32, 16))
    affinity = tiles.blend_affinity(tiles.answer(*clicks((4, 9, 3)), torch.zeros(tiles.shape)))
    assert affinity.shape == (2, 70, 32, 16)
    assert float(affinity.max()) <= 1 + 1e-5
    assert not affinity[0].any(), "nothing was clicked as background"
    assert not affinity[:, tiles.tiles[0].box[0].stop :].any()
    near = affinity[FORE, 2:7, 7:12, 3]
    assert float(near.max()) == float(affinity.max())


def test_no_click_asks_no_tile(network: CAISeg) -> None:
    tiles = EncodedTiles(network, scan(32, 32, 16), SPACING, (32, 32, 16))
    none = torch.zeros((0, 3), dtype=torch.long)
    assert tiles.answer(none, torch.zeros(0, dtype=torch.long), torch.zeros(tiles.shape)) == {}


def test_progress_is_told_after_every_tile(network: CAISeg) -> None:
    told: list[float] = []
    tiles = EncodedTiles(network, scan(70, 32, 16), SPACING, (32, 32, 16), told.append)
    assert told == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert len(tiles.tiles) == 3


def test_nbytes_grows_with_the_scan_and_counts_at_least_the_features(network: CAISeg) -> None:
    small = EncodedTiles(network, scan(32, 32, 16), SPACING, (32, 32, 16))
    large = EncodedTiles(network, scan(70, 32, 16), SPACING, (32, 32, 16))
    assert small.nbytes > small.tiles[0].features.nbytes
    assert large.nbytes > 2.5 * small.nbytes


def test_the_patch_is_rounded_up_to_the_network_s_strides(network: CAISeg) -> None:
    tiles = EncodedTiles(network, scan(70, 20, 16), SPACING, (30, 17, 9))
    assert tiles.tiles[0].box == (slice(0, 32), slice(0, 20), slice(0, 16))
