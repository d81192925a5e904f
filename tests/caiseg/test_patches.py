"""Patches cover a scan, and their shares of it add up to one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caiseg.patches import OVERLAP, Blending, blend, patch_boxes, scan_size, tile_boxes

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


@given(size=st.integers(1, 400), length=st.integers(16, 64), unit=st.integers(1, 2))
@settings(deadline=None, max_examples=300)
def test_neighbouring_tiles_share_a_quarter_of_a_patch(size: int, length: int, unit: int) -> None:
    size, length = size * unit, length * unit
    boxes = tile_boxes((size, 1, 1), (length, 16, 16), (unit, 1, 1))
    starts = [box[0].start for box in boxes]
    for before, after in pairwise(starts):
        assert before + length - after >= OVERLAP * length
        assert after % unit == 0
    assert (len(starts) == 1) == (size <= length)


def test_no_tile_is_superfluous() -> None:
    assert len(tile_boxes((64, 40, 40), (40, 40, 40))) == 2
    assert len(tile_boxes((70, 40, 40), (40, 40, 40))) == 2
    assert len(tile_boxes((71, 40, 40), (40, 40, 40))) == 3


@given(shape=sizes, patch=patch_sizes)
@settings(deadline=None, max_examples=100)
def test_every_patch_of_a_padded_scan_fits_the_network(
    shape: tuple[int, int, int], patch: tuple[int, int, int]
) -> None:
    strides, cell = (16, 16, 8), (2, 2, 1)
    size = scan_size(shape, patch, strides, cell)
    for have, padded, stride in zip(shape, size, strides, strict=True):
        assert have <= padded < have + 2 * stride
    for box in patch_boxes(size, patch, strides, cell):
        for part, stride, step in zip(box, strides, cell, strict=True):
            assert (part.stop - part.start) % stride == 0
            assert part.stop - part.start >= 2 * stride
            assert part.start % step == 0


@pytest.mark.parametrize("length", [56, 49, 40])
def test_one_patch_hands_over_to_the_next_step_by_step(length: int) -> None:
    shape = (length, 32, 16)
    boxes = tile_boxes(shape, (32, 32, 16))
    blending = Blending(boxes, shape, torch.device("cpu"))
    first, second = (blending.share(box) for box in boxes)
    start = length - 32
    torch.testing.assert_close(first[:start], torch.ones_like(first[:start]))
    torch.testing.assert_close(first[start:] + second[: 32 - start], torch.ones(32 - start, 32, 16))
    taking_over = second[: 32 - start, 5, 5]
    assert bool((taking_over.diff() > -1e-6).all())
    assert float(taking_over[0]) < 0.1
    assert float(taking_over[-1]) > 0.9


def test_a_share_at_a_voxel_is_that_of_the_box_and_0_outside_of_it() -> None:
    shape = (40, 32, 16)
    boxes = tile_boxes(shape, (32, 32, 16))
    blending = Blending(boxes, shape, torch.device("cpu"))
    voxels = torch.tensor([[9, 3, 4], [20, 30, 15], [39, 0, 0]])
    shares = torch.stack([blending.at(box, voxels) for box in boxes])
    torch.testing.assert_close(shares.sum(0), torch.ones(3))
    assert float(shares[0, 1]) == float(blending.share(boxes[0])[20, 30, 15])
    assert float(shares[0, 2]) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_patches_cut_from_one_map_blend_to_that_map(dtype: torch.dtype) -> None:
    shape = (70, 40, 16)
    whole = torch.randn((1, 3, *shape), generator=torch.Generator().manual_seed(0)).to(dtype)
    boxes = tile_boxes(shape, (32, 32, 16))
    assert len(boxes) > 4
    parts = [whole[:, :, i, j, k] for i, j, k in boxes]
    blended = blend(parts, boxes, shape)
    assert blended.dtype == dtype
    torch.testing.assert_close(blended, whole, rtol=1e-3, atol=1e-6)
    assert blended.is_contiguous(memory_format=torch.channels_last_3d)
    assert blend(parts[:1], boxes[:1], (32, 32, 16)) is parts[0]
