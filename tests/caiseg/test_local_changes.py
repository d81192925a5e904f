"""A click changes the mask near itself, the farther the deeper it lies in what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from caiseg import CAISegPredictor, Click, Label, load_volume
from caiseg.boxes import Box, whole_box
from caiseg.local_changes import MARGIN_MM, TIMES_DEPTH, keep_changes_local
from tests.networks import write_scan, write_small_checkpoint

Mask = npt.NDArray[np.bool_]

SHAPE = (40, 36, 14)
SPACING = (1.0, 1.5, 3.0)
WHOLE = whole_box(SHAPE)


def blobs(rng: np.random.Generator, share: float) -> Mask:
    noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2.0)
    mask: Mask = noise > np.quantile(noise, 1 - share)
    return mask


def allowed(clicks: list[Click], before: Mask, spacing: tuple[float, float, float]) -> Mask:
    """Where a mask may change, by distances to everything."""
    disobeyed = [c for c in clicks if before[c.voxel] != (c.label is Label.FOREGROUND)]
    if not disobeyed:
        return np.ones(before.shape, dtype=bool)
    near = np.zeros(before.shape, dtype=bool)
    for click in disobeyed:
        side = before == before[click.voxel]
        if side.all():
            return np.ones(before.shape, dtype=bool)
        depth = ndimage.distance_transform_edt(side, sampling=spacing)[click.voxel]
        point = np.ones(before.shape, dtype=bool)
        point[click.voxel] = False
        away = ndimage.distance_transform_edt(point, sampling=spacing)
        near |= away <= TIMES_DEPTH * depth + MARGIN_MM
    return near


@pytest.mark.parametrize("seed", range(60))
def test_a_mask_changes_near_the_clicks_that_the_one_before_disobeys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = blobs(rng, float(rng.uniform(0.0, 0.5)))
    mask = blobs(rng, float(rng.uniform(0.1, 0.6)))
    places = rng.integers(0, SHAPE, size=(int(rng.integers(1, 4)), 3)).tolist()
    clicks = [Click((i, j, k), Label(int(rng.integers(2)))) for i, j, k in places]
    expected = np.where(allowed(clicks, before, SPACING), mask, before)
    keep_changes_local(mask, clicks, before, SPACING, WHOLE)
    np.testing.assert_array_equal(mask, expected)


def test_nothing_is_taken_back_beyond_the_part_that_clicks_change() -> None:
    before = np.zeros(SHAPE, dtype=bool)
    before[18:22, 16:20, 6:8] = True
    mask = ~before
    part: Box = (slice(10, 30), slice(10, 30), slice(2, 12))
    keep_changes_local(mask, [Click((23, 17, 7), Label.FOREGROUND)], before, SPACING, part)
    inside = np.zeros(SHAPE, dtype=bool)
    inside[part] = True
    assert (mask == ~before)[~inside].all()
    assert (mask == before)[inside].any()


def test_an_old_click_gives_no_leave_to_change_what_lies_round_it() -> None:
    before = np.zeros(SHAPE, dtype=bool)
    before[4:25, 4:12, 4:8] = True
    mask = np.zeros(SHAPE, dtype=bool)
    mask[24:28, 4:12, 4:8] = True
    old, new = Click((7, 8, 5), Label.FOREGROUND), Click((25, 8, 6), Label.FOREGROUND)
    expected = np.where(allowed([new], before, SPACING), mask, before)
    for clicks in ([old, new], [new, old]):
        again = mask.copy()
        keep_changes_local(again, clicks, before, SPACING, WHOLE)
        np.testing.assert_array_equal(again, expected)
    assert expected[old.voxel], "its place stays as it was"
    assert expected[new.voxel]


@pytest.mark.parametrize("local", [True, False])
def test_a_predictor_does_so_where_its_checkpoint_asks_for_it(tmp_path: Path, local: bool) -> None:
    path = write_small_checkpoint(tmp_path / "small.safetensors", local_changes=local)
    predictor = CAISegPredictor.from_checkpoint(path)
    scan = predictor.encode(load_volume(write_scan(tmp_path / "scan.nii.gz", (60, 50, 20))))
    plain = CAISegPredictor(predictor.network, predictor.preprocessing, reach_mm=predictor.reach_mm)
    spacing = scan.grids.display.spacing
    rng, taken_back = np.random.default_rng(3), 0
    clicks: list[Click] = []
    mask = predictor.segment(scan, []).mask
    for place in rng.integers(0, scan.shape, size=(6, 3)).tolist():
        voxel = (place[0], place[1], place[2])
        clicks.append(Click(voxel, Label(int(not mask[voxel]))))
        answer = plain.segment(scan, clicks, mask).mask
        expected = np.where(allowed(clicks, mask, spacing), answer, mask) if local else answer
        taken_back += int((expected != answer).sum())
        mask = predictor.segment(scan, clicks, mask).mask
        np.testing.assert_array_equal(mask, expected)
    assert (taken_back > 0) == local
