"""Figures and surface of a mask."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt
import pytest

from app.measurements import component_count, millilitres, surface
from caiseg.annotation.packed_mask import PackedMask
from caiseg.grids import Grid

AFFINE = np.array([[0, -2, 0, 10], [1, 0, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1]], dtype=float)
GRID = Grid((20, 30, 12), AFFINE)


def block() -> npt.NDArray[np.bool_]:
    mask = np.zeros(GRID.shape, bool)
    mask[3:9, 10:20, 2:7] = True
    return mask


def vertices_of(mask: npt.NDArray[np.bool_], grid: Grid) -> npt.NDArray[np.float32]:
    packed = base64.b64decode(surface(PackedMask.pack(mask), grid)["vertices"])
    return np.frombuffer(packed, "<f4").reshape(-1, 3)


def test_volume_is_in_millilitres() -> None:
    assert millilitres(PackedMask.pack(block()), GRID) == pytest.approx(300 * 8 / 1000)


def test_voxels_that_touch_at_a_corner_are_one_component() -> None:
    mask = np.zeros((5, 5, 5), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[4, 4, 4] = True
    assert component_count(PackedMask.pack(mask)) == 2


def test_the_surface_lies_around_the_mask_in_millimetres() -> None:
    vertices = vertices_of(block(), GRID)
    corners = GRID.voxel_to_world([[2.5, 9.5, 1.5], [8.5, 19.5, 6.5]])
    np.testing.assert_allclose(vertices.min(axis=0), corners.min(axis=0), atol=1.5)
    np.testing.assert_allclose(vertices.max(axis=0), corners.max(axis=0), atol=1.5)


def test_the_surface_of_a_large_mask_is_coarse_and_in_the_same_place() -> None:
    grid = Grid((200, 200, 200), np.eye(4))
    mask = np.zeros(grid.shape, bool)
    mask[20:180, 20:180, 20:180] = True
    vertices = vertices_of(mask, grid)
    assert len(vertices) < 100_000
    np.testing.assert_allclose(vertices.min(axis=0), 19.5, atol=3)
    np.testing.assert_allclose(vertices.max(axis=0), 179.5, atol=3)


@pytest.mark.parametrize("voxels", [0, 1])
def test_the_smallest_masks_have_a_surface_or_none(voxels: int) -> None:
    mask = np.zeros(GRID.shape, bool)
    mask.flat[:voxels] = True
    assert (len(vertices_of(mask, GRID)) > 0) == bool(voxels)
