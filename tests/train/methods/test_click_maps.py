"""Clicks as images: reaches in mm, a channel for each label."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caiseg import Click, Label
from train.methods.click_maps import ClickPoints, disk_maps, gaussian_maps

SHAPE = (21, 17, 9)
SPACING = torch.tensor([[1.0, 1.5, 4.0]])
CLICKS = [Click((10, 8, 4), Label.FOREGROUND), Click((2, 3, 1), Label.BACKGROUND)]
POINTS = [ClickPoints.of(CLICKS, torch.device("cpu"))]


def distances_mm(voxel: tuple[int, int, int]) -> np.ndarray:
    grid = np.indices(SHAPE).transpose(1, 2, 3, 0)
    return np.linalg.norm((grid - voxel) * SPACING[0].numpy(), axis=-1)


def test_disks_are_balls_in_mm_and_labels_have_a_channel_each() -> None:
    maps = disk_maps(POINTS, SHAPE, SPACING, radius_mm=5.0)[0].numpy()
    assert np.array_equal(maps[1] == 1, distances_mm((10, 8, 4)) <= 5)
    assert np.array_equal(maps[0] == 1, distances_mm((2, 3, 1)) <= 5)
    assert set(np.unique(maps)) == {0.0, 1.0}


def test_a_disk_covers_its_voxel_however_large_voxels_are() -> None:
    maps = disk_maps(POINTS, SHAPE, torch.tensor([[9.0, 9.0, 9.0]]), radius_mm=5.0)
    assert maps.sum() == 2
    assert maps[0, 1, 10, 8, 4] == maps[0, 0, 2, 3, 1] == 1


def test_gaussians_fall_with_the_distance_in_mm() -> None:
    maps = gaussian_maps(POINTS, SHAPE, SPACING, sigma_mm=3.0)[0, 1].numpy()
    assert maps == pytest.approx(np.exp(-(distances_mm((10, 8, 4)) ** 2) / 18), abs=1e-6)


@pytest.mark.parametrize("draw", [disk_maps, gaussian_maps])
def test_a_label_without_click_has_an_empty_map(draw) -> None:  # type: ignore[no-untyped-def]
    points = [
        ClickPoints.of(CLICKS[:1], torch.device("cpu")),
        ClickPoints.none(torch.device("cpu")),
    ]
    maps = draw(points, SHAPE, SPACING.repeat(2, 1), 5.0)
    assert maps[0, 1].any()
    assert not maps[0, 0].any()
    assert not maps[1].any()
