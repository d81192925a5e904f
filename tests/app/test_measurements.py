"""Figures and surface of a mask."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt
import pytest

from app.measurements import (
    component_count,
    measure,
    measure_all,
    millilitres,
    surface,
    volume_history,
)
from caiseg import Click, Label
from caiseg.annotation.actions import Add
from caiseg.annotation.packed_mask import PackedMask
from caiseg.annotation.session import AnnotationSession
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


def test_the_volume_of_a_sheared_voxel_is_its_own() -> None:
    affine = AFFINE.copy()
    affine[0, 2] = 1.5
    sheared = Grid(GRID.shape, affine)
    assert millilitres(PackedMask.pack(block()), sheared) == pytest.approx(300 * 8 / 1000)


def test_an_object_is_measured_with_its_clicks_and_its_intensity() -> None:
    data = np.arange(np.prod(GRID.shape), dtype=np.int16).reshape(GRID.shape)
    mask = PackedMask.pack(block())
    click = Click((4, 12, 3), Label.FOREGROUND)
    session = AnnotationSession(lambda clicks, previous: block(), GRID.spacing)
    session.apply(Add((click,)), lambda clicks, previous: block())
    found = measure(session.scene.active, mask, GRID, data)
    assert found.mean_intensity == pytest.approx(data[block()].mean())
    assert found.components == 1
    assert found.clicks == 1
    assert found.diameters is not None
    assert found.to_json()["longest"] == found.diameters.longest_mm
    assert measure(session.scene.active, mask, GRID, None).mean_intensity is None


def test_nothing_has_no_diameter_and_no_intensity() -> None:
    empty = np.zeros(GRID.shape, bool)
    session = AnnotationSession(lambda clicks, previous: empty, GRID.spacing)
    (found,) = measure_all(session.scene, GRID, np.ones(GRID.shape))
    assert (found.millilitres, found.diameters, found.mean_intensity) == (0, None, None)


def test_the_history_is_the_volume_after_each_round() -> None:
    masks = [block(), ~block(), block()]
    masks[2][3] = False
    session = AnnotationSession(lambda clicks, previous: masks[len(clicks)], GRID.spacing)
    for voxel in ((4, 12, 3), (5, 13, 4)):
        click = Click(voxel, Label.FOREGROUND)
        session.apply(Add((click,)), lambda clicks, previous: masks[len(clicks)])
    found = volume_history(session.scene.active, GRID)
    assert [row["clicks"] for row in found] == [0, 1, 2]
    assert [row["millilitres"] for row in found] == pytest.approx(
        [mask.sum() * 8 / 1000 for mask in masks]
    )
