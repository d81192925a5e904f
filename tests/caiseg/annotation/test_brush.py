"""A stroke is a ball drawn along a line, round in millimetres."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caiseg import InvalidInput
from caiseg.annotation.brush import MAX_POINTS, MAX_RADIUS_MM, Stroke

SHAPE = (13, 11, 9)
VOXELS = st.tuples(*[st.integers(0, size - 1) for size in SHAPE])
SPACINGS = st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 3.0])] * 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(VOXELS, min_size=1, max_size=4), st.floats(0.1, 9), SPACINGS)
def test_a_voxel_is_drawn_when_its_centre_is_near_the_line(
    path: list[tuple[int, int, int]], radius: float, spacing: tuple[float, float, float]
) -> None:
    """Distances to densely sampled lines bound the exact ones from above."""
    points = np.array(path, float)
    if len(path) > 1:
        lines = [np.linspace(a, b, 80) for a, b in itertools.pairwise(points)]
        points = np.concatenate(lines)
    grid = np.moveaxis(np.indices(SHAPE), 0, -1).astype(float)
    nearest = np.full(SHAPE, np.inf)
    for point in points:
        away = np.linalg.norm((grid - point) * spacing, axis=-1)
        nearest = np.minimum(nearest, away)
    drawn = Stroke(True, tuple(path), radius).voxels(SHAPE, spacing).unpack()
    assert drawn[nearest <= radius - 1e-9].all()
    assert not drawn[nearest > radius + 0.3].any()


def test_a_dab_is_a_ball_in_millimetres() -> None:
    dab = Stroke(True, ((6, 5, 4),), 3.0).voxels(SHAPE, (1.0, 1.5, 3.0)).unpack()
    extents = [np.ptp(np.nonzero(dab)[axis]) for axis in range(3)]
    assert extents == [6, 4, 2]


def test_the_ball_is_cut_off_at_the_edge_of_the_scan() -> None:
    dab = Stroke(True, ((0, 10, 8),), 2.0).voxels(SHAPE, (1.0, 1.0, 1.0)).unpack()
    assert dab[0, 10, 8]
    assert dab.sum() == 11, "an eighth of a ball, with its faces"


@pytest.mark.parametrize(
    ("path", "radius"),
    [
        ((), 1.0),
        (((0, 0, 0),) * (MAX_POINTS + 1), 1.0),
        (((0, 0, 0),), 0.0),
        (((0, 0, 0),), MAX_RADIUS_MM + 1),
        (((0, 0, 0),), float("nan")),
    ],
    ids=["no point", "too long", "no size", "too thick", "not a number"],
)
def test_a_stroke_out_of_range_is_refused(
    path: tuple[tuple[int, int, int], ...], radius: float
) -> None:
    with pytest.raises(InvalidInput):
        Stroke(True, path, radius)
