"""Metrics against loops over voxels, and the rules for empty masks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest

from train.evaluation.metrics import (
    Overlap,
    SurfaceAgreement,
    dice_score,
    image_diagonal,
    mean_over_clicks,
    number_of_clicks,
    overlap,
    surface_agreement,
)

Mask = npt.NDArray[np.bool_]

SPACINGS = [(1.0, 1.0, 1.0), (0.7, 1.3, 5.0), (2.5, 0.6, 1.1)]


def random_masks(seed: int, shape: tuple[int, int, int] = (7, 6, 5)) -> tuple[Mask, Mask]:
    """Two overlapping blobs with ragged borders that may touch the border of the image."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape)

    def blob() -> Mask:
        centre = rng.uniform(0.2, 0.8, 3) * shape
        distance = np.sqrt(((grid - centre[:, None, None, None]) ** 2).sum(axis=0))
        mask: Mask = distance + rng.normal(0, 0.5, shape) < rng.uniform(1.5, 3)
        return mask

    return blob(), blob()


def surface_by_hand(mask: Mask, spacing: tuple[float, float, float]) -> list[tuple[float, ...]]:
    """Positions in mm of the voxels that have a face neighbour outside the mask."""
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    found = []
    for voxel in itertools.product(*(range(size) for size in mask.shape)):
        if not mask[voxel]:
            continue
        for step in steps:
            beside = tuple(index + by for index, by in zip(voxel, step, strict=True))
            inside = all(0 <= n < size for n, size in zip(beside, mask.shape, strict=True))
            if not (inside and mask[beside]):
                found.append(tuple(n * s for n, s in zip(voxel, spacing, strict=True)))
                break
    return found


def surface_agreement_by_hand(
    prediction: Mask, lesion: Mask, spacing: tuple[float, float, float], tolerance_mm: float
) -> SurfaceAgreement:
    surfaces = surface_by_hand(prediction, spacing), surface_by_hand(lesion, spacing)
    forth = [min(math.dist(point, other) for other in surfaces[1]) for point in surfaces[0]]
    back = [min(math.dist(point, other) for other in surfaces[0]) for point in surfaces[1]]
    both = forth + back
    return SurfaceAgreement(
        hd95_mm=max(float(np.percentile(forth, 95)), float(np.percentile(back, 95))),
        asd_mm=sum(both) / len(both),
        nsd=sum(distance <= tolerance_mm for distance in both) / len(both),
    )


@pytest.mark.parametrize("seed", range(4))
def test_overlap_counts_voxels(seed: int) -> None:
    prediction, lesion = random_masks(seed)
    pairs = list(zip(prediction.ravel().tolist(), lesion.ravel().tolist(), strict=True))
    hit, wrong, missed = (
        pairs.count(pair) for pair in [(True, True), (True, False), (False, True)]
    )
    measured = overlap(prediction, lesion)
    assert measured.dice == pytest.approx(2 * hit / (2 * hit + wrong + missed))
    assert measured.jaccard == pytest.approx(hit / (hit + wrong + missed))
    assert measured.precision == pytest.approx(hit / (hit + wrong))
    assert measured.recall == pytest.approx(hit / (hit + missed))
    assert dice_score(prediction, lesion) == measured.dice


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(4))
def test_surface_distances_equal_those_between_all_pairs_of_surface_voxels(
    seed: int, spacing: tuple[float, float, float]
) -> None:
    prediction, lesion = random_masks(seed)
    measured = surface_agreement(prediction, lesion, spacing, tolerance_mm=1.5)
    expected = surface_agreement_by_hand(prediction, lesion, spacing, tolerance_mm=1.5)
    assert measured.hd95_mm == pytest.approx(expected.hd95_mm, rel=1e-6)
    assert measured.asd_mm == pytest.approx(expected.asd_mm, rel=1e-6)
    assert measured.nsd == pytest.approx(expected.nsd)


def test_distances_are_in_mm_along_each_axis() -> None:
    spacing = (0.5, 2.0, 7.0)
    for axis, step in enumerate(spacing):
        prediction, lesion = np.zeros((2, 9, 9, 9), dtype=bool)
        prediction[4, 4, 4] = True
        lesion[tuple(np.eye(3, dtype=int)[axis] * 3 + 4)] = True
        measured = surface_agreement(prediction, lesion, spacing)
        assert measured.hd95_mm == pytest.approx(3 * step)
        assert measured.asd_mm == pytest.approx(3 * step)
        assert measured.nsd == float(3 * step <= 2.0)


def test_a_deviation_of_exactly_the_tolerance_counts_as_agreement() -> None:
    prediction, lesion = np.zeros((2, 5, 5, 5), dtype=bool)
    prediction[1, 2, 2] = lesion[3, 2, 2] = True
    assert surface_agreement(prediction, lesion, (1.0, 1.0, 1.0), tolerance_mm=2.0).nsd == 1.0
    assert surface_agreement(prediction, lesion, (1.0, 1.0, 1.0), tolerance_mm=1.9).nsd == 0.0


def test_equal_masks_agree_completely() -> None:
    lesion, _ = random_masks(0)
    assert overlap(lesion, lesion) == Overlap(1.0, 1.0, 1.0, 1.0)
    assert surface_agreement(lesion, lesion, (0.7, 1.3, 5.0)) == SurfaceAgreement(0.0, 0.0, 1.0)


def test_two_empty_masks_agree_completely() -> None:
    empty = np.zeros((4, 5, 6), dtype=bool)
    assert overlap(empty, empty) == Overlap(1.0, 1.0, 1.0, 1.0)
    assert surface_agreement(empty, empty, (1.0, 1.0, 1.0)) == SurfaceAgreement(0.0, 0.0, 1.0)


@pytest.mark.parametrize("empty_one", ["prediction", "lesion"])
def test_one_empty_mask_is_no_agreement_at_the_distance_of_the_image_diagonal(
    empty_one: str,
) -> None:
    empty, full = np.zeros((2, 4, 5, 6), dtype=bool)
    full[1:3, 1:3, 1:3] = True
    prediction, lesion = (empty, full) if empty_one == "prediction" else (full, empty)
    diagonal = math.sqrt((4 * 1.0) ** 2 + (5 * 2.0) ** 2 + (6 * 3.0) ** 2)
    assert image_diagonal((4, 5, 6), (1.0, 2.0, 3.0)) == pytest.approx(diagonal)
    assert overlap(prediction, lesion) == Overlap(0.0, 0.0, 0.0, 0.0)
    measured = surface_agreement(prediction, lesion, (1.0, 2.0, 3.0))
    assert measured.hd95_mm == measured.asd_mm == pytest.approx(diagonal)
    assert measured.nsd == 0


@pytest.mark.parametrize(
    ("curve", "clicks"),
    [
        ([0.9, 0.95], 0),
        ([0.5, 0.7, 0.8, 0.9], 2),
        ([0.5, 0.85, 0.6, 0.9], 1),
        ([0.5, 0.6, 0.79], None),
    ],
)
def test_clicks_are_counted_to_the_first_mask_that_reaches_the_target(
    curve: list[float], clicks: int | None
) -> None:
    assert number_of_clicks(curve, 0.8) == clicks


def test_the_mean_over_clicks_is_the_area_under_the_curve() -> None:
    assert mean_over_clicks([0.2, 0.6, 0.8]) == pytest.approx((0.4 + 0.7) / 2)
    assert mean_over_clicks([0.5]) == 0.5
    assert mean_over_clicks([0.9] * 21) == pytest.approx(0.9)
