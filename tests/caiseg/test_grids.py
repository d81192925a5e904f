"""Voxels keep their place in the world on every grid, and find their way back."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caiseg.errors import InvalidInput
from caiseg.grids import (
    MAX_MODEL_VOXELS,
    Grid,
    Reorientation,
    ScanGrids,
    Spacing,
    map_voxels,
    model_grid,
    resample_to_display,
    resample_to_model,
)
from tests.caiseg.scan_files import OBLIQUE, FloatArray, affines, rotated_affine, shapes, voxels

grids = st.builds(Grid, shapes(), affines())
spacings = st.tuples(*[st.floats(0.5, 6)] * 3)


def all_voxels(grid: Grid) -> FloatArray:
    return np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1).astype(float)


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


def ramp(
    shape: tuple[int, int, int], axis: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    line = np.arange(shape[axis], dtype=np.float32)
    return np.broadcast_to(line.reshape([-1 if a == axis else 1 for a in range(3)]), shape).copy()


@pytest.mark.parametrize("affine", [rotated_affine(), OBLIQUE], ids=["rotated", "sheared"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_resampling_reads_values_where_the_coordinates_say(affine: FloatArray, axis: int) -> None:
    display = Grid((9, 8, 7), affine)
    step = np.array(display.spacing)
    model = model_grid(display, (step[0] / 1.6, step[1] / 2.3, step[2] / 1.2))
    values = resample_to_model(ramp(display.shape, axis), display, model)
    coordinates = map_voxels(all_voxels(model), model.shape, display.shape)[..., axis]
    expected = np.clip(coordinates, 0, display.shape[axis] - 1)
    np.testing.assert_allclose(values.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_way_back_reads_values_where_the_coordinates_say(axis: int) -> None:
    display = Grid((18, 17, 21), rotated_affine())
    step = np.array(display.spacing)
    model = model_grid(display, (step[0] * 1.6, step[1] * 2.3, step[2] * 1.2))
    values = torch.from_numpy(ramp(model.shape, axis))[None, None]
    returned = resample_to_display(values, display.shape)
    coordinates = map_voxels(all_voxels(display), display.shape, model.shape)[..., axis]
    expected = np.clip(coordinates, 0, model.shape[axis] - 1)
    np.testing.assert_allclose(returned[0, 0].numpy(), expected, atol=1e-4)


def test_detail_finer_than_the_model_grid_is_averaged_not_aliased() -> None:
    display = Grid((48, 48, 6), np.diag([0.5, 0.5, 3, 1]))
    stripes = np.indices(display.shape)[0] % 3 == 0
    averaged = resample_to_model(stripes, display, model_grid(display, (1.5, 1.5, 3)))
    np.testing.assert_allclose(averaged[2:-2].numpy(), 1 / 3, atol=0.1)


def test_labels_stay_labels_with_nearest_neighbours() -> None:
    display = Grid((20, 20, 10), rotated_affine())
    labels = (voxels(display.shape) % 5).astype(np.uint8)
    resampled = resample_to_model(labels, display, model_grid(display, (1.9, 1.9, 1.9)), "nearest")
    assert set(resampled.unique().tolist()) <= {0, 1, 2, 3, 4}


def test_a_grid_of_the_same_shape_keeps_every_value() -> None:
    display = Grid((6, 5, 4), rotated_affine())
    model = model_grid(display, display.spacing)
    data = voxels()
    np.testing.assert_array_equal(resample_to_model(data, display, model).numpy(), data)


@pytest.mark.parametrize("factor", [0.7, 1, 1.6])
def test_resampling_leaves_the_scan_as_it_is(factor: float) -> None:
    display = Grid((6, 5, 4), rotated_affine())
    i, j, k = display.spacing
    data = voxels(dtype=np.float32)
    resample_to_model(data, display, model_grid(display, (i * factor, j, k))).zero_()
    np.testing.assert_array_equal(data, voxels())


@pytest.mark.parametrize("shape", [(1, 1, 1), (40, 30, 1), (1, 30, 2)])
def test_thin_scans_are_resampled_too(shape: tuple[int, int, int]) -> None:
    display = Grid(shape, rotated_affine())
    model = model_grid(display, (2, 2, 2))
    assert tuple(resample_to_model(np.ones(shape), display, model).shape) == model.shape
    np.testing.assert_allclose(resample_to_model(np.ones(shape), display, model).numpy(), 1)


def test_arrays_of_another_shape_are_refused() -> None:
    display = Grid((6, 5, 4), np.eye(4))
    with pytest.raises(InvalidInput, match="does not fit a scan of size"):
        resample_to_model(np.zeros((6, 5, 5)), display, model_grid(display, (2, 2, 2)))
    with pytest.raises(InvalidInput, match="does not fit a scan of size"):
        Reorientation.to_canonical(display).array_to_native(np.zeros((5, 6, 4)))


def test_a_grid_cannot_be_changed_from_outside() -> None:
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 3] = 50
    assert grid.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 3] = 50
