"""RECIST diameters against brute force, and against shapes whose size is known."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from app.diameters import Diameters, axial_diameters
from caiseg.annotation.packed_mask import PackedMask
from caiseg.grids import Grid

PLAIN = Grid((40, 44, 9), np.diag([0.7, 1.9, 5.0, 1.0]))
OBLIQUE = Grid(
    (40, 44, 9),
    np.array([[0.6, 0.5, 0.3, 9], [-0.4, 1.2, 0.5, -4], [0.1, 0.2, 4.0, 30], [0, 0, 0, 1.0]]),
)
GRIDS = pytest.mark.parametrize("grid", [PLAIN, OBLIQUE], ids=["anisotropic", "oblique"])


def measured(mask: npt.NDArray[np.bool_], grid: Grid) -> Diameters:
    diameters = axial_diameters(PackedMask.pack(mask), grid)
    assert diameters is not None
    return diameters


def world(points: npt.NDArray[np.float64], k: int, grid: Grid) -> npt.NDArray[np.float64]:
    return grid.voxel_to_world(np.column_stack([points, np.full(len(points), k)]))


def outline_points(region: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Every point halfway between a voxel of the region and a neighbour outside it."""
    padded = np.pad(region, 1)
    found = []
    for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        outside = ~np.roll(padded, (-step[0], -step[1]), axis=(0, 1))
        found.append(np.argwhere(padded & outside) - 1 + np.array(step) / 2)
    return np.concatenate(found)


def brute_force_longest(mask: npt.NDArray[np.bool_], grid: Grid) -> float:
    longest = 0.0
    for k in range(mask.shape[2]):
        regions, count = ndimage.label(mask[:, :, k], structure=np.ones((3, 3)))
        for region in range(1, count + 1):
            points = world(outline_points(regions == region), k, grid)
            apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
            longest = max(longest, float(apart.max()))
    return longest


def random_blob(seed: int, grid: Grid) -> npt.NDArray[np.bool_]:
    noise = np.random.default_rng(seed).normal(size=grid.shape)
    smooth = ndimage.gaussian_filter(noise, (3, 3, 1))
    blob: npt.NDArray[np.bool_] = smooth > np.quantile(smooth, 0.93)
    return blob


@GRIDS
@pytest.mark.parametrize("seed", range(5))
def test_the_longest_diameter_is_that_of_all_pairs_of_outline_points(seed: int, grid: Grid) -> None:
    mask = random_blob(seed, grid)
    assert measured(mask, grid).longest_mm == pytest.approx(brute_force_longest(mask, grid))


@GRIDS
@pytest.mark.parametrize("seed", range(3))
def test_no_chord_at_a_right_angle_is_longer_than_the_perpendicular(seed: int, grid: Grid) -> None:
    mask = random_blob(seed, grid)
    found = measured(mask, grid)
    first, second = world(found.longest_ends, found.slice, grid)
    third, fourth = world(found.perpendicular_ends, found.slice, grid)
    assert np.linalg.norm(second - first) == pytest.approx(found.longest_mm)
    assert np.linalg.norm(fourth - third) == pytest.approx(found.perpendicular_mm)
    assert (second - first) @ (fourth - third) == pytest.approx(0, abs=1e-6)

    along = (second - first) / found.longest_mm
    across = np.cross(np.cross(along, third - first), along)
    across /= np.linalg.norm(across)
    regions, _ = ndimage.label(mask[:, :, found.slice], structure=np.ones((3, 3)))
    centre = np.floor(found.longest_ends[0] + 0.5).astype(int)
    near = regions[max(centre[0] - 1, 0) : centre[0] + 2, max(centre[1] - 1, 0) : centre[1] + 2]
    longest = 0.0
    for region in np.unique(near[near > 0]):
        points = world(outline_points(regions == region), found.slice, grid) - first
        flat = np.column_stack([points @ along, points @ across])
        if np.ptp(flat[:, 0]) == pytest.approx(found.longest_mm):
            longest = max(longest, longest_upright_chord(flat))
    assert found.perpendicular_mm == pytest.approx(longest, rel=2e-3)


def longest_upright_chord(points: npt.NDArray[np.float64]) -> float:
    """Longest chord of the convex hull of 2-D points at a constant first coordinate.

    Its upper side is the highest and its lower side the lowest of all lines between two points.
    """
    places = np.linspace(points[:, 0].min(), points[:, 0].max(), 400)
    columns: dict[float, list[float]] = {}
    for x, y in points:
        columns.setdefault(round(float(x), 9), []).append(float(y))
    corners = [(x, min(ys)) for x, ys in columns.items()] + [
        (x, max(ys)) for x, ys in columns.items()
    ]
    low, high = np.full(places.shape, np.inf), np.full(places.shape, -np.inf)
    for (x0, y0), (x1, y1) in itertools.product(corners, corners):
        if x0 < x1:
            inside = (places >= x0) & (places <= x1)
            heights = y0 + (y1 - y0) * (places[inside] - x0) / (x1 - x0)
            low[inside] = np.minimum(low[inside], heights)
            high[inside] = np.maximum(high[inside], heights)
    return float((high - low).max())


@pytest.mark.parametrize("degrees", [0, 20, 45, 75, 90])
def test_an_ellipse_measures_its_two_axes(degrees: float) -> None:
    grid = Grid((300, 150, 3), np.diag([0.3, 0.6, 5.0, 1.0]))
    i, j = np.meshgrid(np.arange(300) * 0.3 - 45, np.arange(150) * 0.6 - 45, indexing="ij")
    angle = np.deg2rad(degrees)
    along, across = i * np.cos(angle) + j * np.sin(angle), j * np.cos(angle) - i * np.sin(angle)
    mask = np.zeros(grid.shape, bool)
    mask[:, :, 1] = (along / 20.5) ** 2 + (across / 14.0) ** 2 <= 1
    found = measured(mask, grid)
    assert found.slice == 1
    assert found.longest_mm == pytest.approx(41, abs=0.6)
    assert found.perpendicular_mm == pytest.approx(28, abs=0.8)


def test_voxels_in_a_row_measure_their_length_and_width() -> None:
    mask = np.zeros(PLAIN.shape, bool)
    mask[5:25, 7, 3] = True
    found = measured(mask, PLAIN)
    assert found.longest_mm == pytest.approx(20 * 0.7)
    assert found.perpendicular_mm == pytest.approx(1.9)


def test_two_spots_in_one_slice_are_not_measured_as_one() -> None:
    mask = np.zeros(PLAIN.shape, bool)
    mask[2:4, 2:4, 0] = mask[30:34, 30:34, 0] = True
    alone = mask.copy()
    alone[:10] = False
    assert measured(mask, PLAIN).longest_mm == pytest.approx(measured(alone, PLAIN).longest_mm)


def test_the_slice_with_the_longest_diameter_is_named() -> None:
    mask = np.zeros(PLAIN.shape, bool)
    mask[10:14, 10:14, 2:7] = True
    mask[8:20, 10:14, 5] = True
    assert measured(mask, PLAIN).slice == 5


def test_one_voxel_has_diameters_and_no_voxel_has_none() -> None:
    mask = np.zeros(PLAIN.shape, bool)
    assert axial_diameters(PackedMask.pack(mask), PLAIN) is None
    mask[39, 0, 8] = True
    found = measured(mask, PLAIN)
    assert (found.longest_mm, found.perpendicular_mm) == pytest.approx((1.9, 0.7))
