"""Values keep their place in the world from grid to grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchio as tio

from caiseg import resampling
from caiseg.errors import InvalidInput
from caiseg.grids import Grid, map_voxels, model_grid
from caiseg.resampling import resample_to_display, resample_to_model
from tests.caiseg.scan_files import OBLIQUE, FloatArray, all_voxels, rotated_affine, voxels


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


@pytest.mark.parametrize("shape", [(61, 14, 9), (9, 20, 5), (1, 16, 3)])
def test_the_number_of_threads_changes_no_value(
    shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    display = Grid(shape, np.diag([0.8, 0.5, 1, 1]))
    model = model_grid(display, (2, 2, 3))
    monkeypatch.setattr(resampling, "_FEW_VOXELS", 0)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(resample_to_model(voxels(shape), display, model))
    assert float(found[0].std()) > 0
    assert all(torch.equal(values, found[0]) for values in found)


@pytest.mark.parametrize("spacing", [(2.0, 1.9, 5.0), (0.5, 1.9, 3.0), (2.0, 0.3, 0.9)])
def test_values_are_those_of_torchio_in_one_go(spacing: tuple[float, float, float]) -> None:
    display = Grid((33, 28, 12), np.diag([0.8, 0.5, 3, 1]))
    model = model_grid(display, spacing)
    data = np.random.default_rng(0).normal(100, 20, display.shape)
    steps, wanted = np.array(display.spacing), np.array(model.spacing)
    std = np.sqrt(np.maximum(wanted**2 - steps**2, 0) / (8 * np.log(2)))
    aligned = np.diag([*wanted, 1.0])
    aligned[:3, 3] = (wanted - steps) / 2
    image = tio.ScalarImage(tensor=data[None].astype(np.float32), affine=np.diag([*steps, 1.0]))
    expected = tio.Resample((model.shape, aligned))(tio.Blur(tuple(std))(image)).data[0]
    values = resample_to_model(data, display, model)
    torch.testing.assert_close(values, expected, rtol=1e-6, atol=1e-4)


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
