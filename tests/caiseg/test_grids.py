"""Voxels keep their place in the world on every grid, and find their way back."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caiseg.errors import InvalidInput
from caiseg.grids import (
    MAX_MODEL_VOXELS,
    Grid,
    Reorientation,
    ScanGrids,
    Spacing,
    model_grid,
)
from tests.caiseg.scan_files import affines, all_voxels, rotated_affine, shapes, voxels

grids = st.builds(Grid, shapes(), affines())
spacings = st.tuples(*[st.floats(0.5, 6)] * 3)


@settings(deadline=None)
@given(native=grids)
def test_native_voxels_go_to_display_and_world_and_back_exactly(native: Grid) -> None:
    reorientation = Reorientation.to_canonical(native)
    points = all_voxels(native)
    display = reorientation.points_to_display(points)
    np.testing.assert_array_equal(display, np.round(display))
    np.testing.assert_array_equal(reorientation.points_to_native(display), points)
    world = reorientation.display.voxel_to_world(display)
    np.testing.assert_allclose(world, native.voxel_to_world(points), atol=1e-9)
    returned = reorientation.display.nearest_voxel(reorientation.display.world_to_voxel(world))
    np.testing.assert_array_equal(returned, display)


@settings(deadline=None)
@given(native=grids)
def test_arrays_follow_the_map_of_the_points_and_come_back_exactly(native: Grid) -> None:
    reorientation = Reorientation.to_canonical(native)
    array = voxels(native.shape)
    displayed = reorientation.array_to_display(array)
    assert displayed.shape == reorientation.display.shape
    i, j, k = np.moveaxis(reorientation.points_to_display(all_voxels(native)).astype(int), -1, 0)
    np.testing.assert_array_equal(displayed[i, j, k], array)
    np.testing.assert_array_equal(reorientation.array_to_native(displayed), array)


@settings(deadline=None)
@given(native=grids)
def test_the_display_grid_is_what_nibabel_calls_closest_canonical(native: Grid) -> None:
    array = voxels(native.shape)
    reference = nib.as_closest_canonical(nib.Nifti1Image(array, native.affine))
    reorientation = Reorientation.to_canonical(native)
    np.testing.assert_allclose(reorientation.display.affine, reference.affine, atol=1e-9)
    np.testing.assert_array_equal(
        reorientation.array_to_display(array), np.asarray(reference.dataobj)
    )


@settings(deadline=None)
@given(display=grids, spacing=spacings)
def test_the_model_grid_has_the_outer_corners_of_the_display_grid(
    display: Grid, spacing: Spacing
) -> None:
    model = model_grid(display, spacing)
    np.testing.assert_allclose(model.corners, display.corners, atol=1e-9)
    expected = [max(1, round(e / s)) for e, s in zip(display.extent, spacing, strict=True)]
    assert list(model.shape) == expected
    np.testing.assert_allclose(model.spacing, np.array(display.extent) / expected)


@settings(deadline=None)
@given(native=grids, spacing=spacings)
def test_display_and_model_coordinates_name_the_same_place(native: Grid, spacing: Spacing) -> None:
    scan = ScanGrids.build(native, spacing)
    points = all_voxels(scan.display)
    in_model = scan.display_to_model(points)
    np.testing.assert_allclose(
        scan.model.voxel_to_world(in_model), scan.display.voxel_to_world(points), atol=1e-9
    )
    np.testing.assert_allclose(scan.model_to_display(in_model), points, atol=1e-9)


@settings(deadline=None)
@given(native=grids, spacing=spacings)
def test_the_nearest_model_voxel_is_inside_the_grid_and_holds_the_point(
    native: Grid, spacing: Spacing
) -> None:
    scan = ScanGrids.build(native, spacing)
    points = all_voxels(scan.display)
    nearest = scan.nearest_model_voxel(points)
    assert (nearest >= 0).all()
    assert (nearest < scan.model.shape).all()
    assert np.abs(nearest - scan.display_to_model(points)).max() <= 0.5 + 1e-9


def test_points_outside_are_clipped_to_the_border() -> None:
    grid = Grid((4, 5, 6), np.eye(4))
    assert grid.nearest_voxel([(-3, 2.5, 9), (3.49, -0.5, 5.5)]).tolist() == [[0, 3, 5], [3, 0, 5]]


def test_a_spacing_that_would_need_too_many_voxels_is_refused() -> None:
    with pytest.raises(InvalidInput, match="check the spacing"):
        model_grid(Grid((512, 512, 512), np.diag([9, 9, 9, 1])), (1, 1, 1))
    assert np.prod(model_grid(Grid((8, 8, 8), np.diag([40, 40, 40, 1])), (1, 1, 1)).shape) < (
        MAX_MODEL_VOXELS
    )


def test_grids_coincide_up_to_a_tenth_of_a_voxel() -> None:
    grid = Grid((40, 30, 20), rotated_affine())
    moved = grid.affine.copy()
    moved[:3, 3] += 0.01
    assert grid.coincides_with(Grid(grid.shape, moved))
    moved[0, 3] += 0.2
    assert not grid.coincides_with(Grid(grid.shape, moved))
    assert not grid.coincides_with(Grid((40, 30, 21), grid.affine))


def test_arrays_of_another_shape_are_refused() -> None:
    display = Grid((6, 5, 4), np.eye(4))
    with pytest.raises(InvalidInput, match="does not fit a scan of size"):
        Reorientation.to_canonical(display).array_to_native(np.zeros((5, 6, 4)))


def test_a_grid_cannot_be_changed_from_outside() -> None:
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 3] = 50
    assert grid.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 3] = 50
