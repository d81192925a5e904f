"""Clicks bring in only pieces that somebody asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from caiseg import CAISegPredictor, Click, Label, load_volume
from caiseg.clicked_pieces import keep_clicked_pieces
from tests.networks import write_scan, write_small_checkpoint

Mask = npt.NDArray[np.bool_]

SHAPE = (24, 20, 12)


def blobs(rng: np.random.Generator, share: float) -> Mask:
    """A mask of many pieces."""
    noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.2)
    mask: Mask = noise > np.quantile(noise, 1 - share)
    return mask


def asked_for(mask: Mask, clicks: list[Click], before: Mask) -> Mask:
    """The rule, piece by piece of the whole mask."""
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    kept = np.zeros_like(mask)
    for number in range(1, count + 1):
        piece = pieces == number
        clicked = any(piece[click.voxel] and click.label is Label.FOREGROUND for click in clicks)
        if clicked or (piece & before).any():
            kept |= piece
    return kept


@pytest.mark.parametrize("seed", range(60))
def test_pieces_stand_that_are_clicked_or_touch_the_mask_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = blobs(rng, float(rng.uniform(0.02, 0.4)))
    before = blobs(rng, float(rng.uniform(0, 0.1)))
    places = rng.integers(0, SHAPE, size=(4, 3)).tolist()
    clicks = [Click((i, j, k), Label(int(rng.integers(2)))) for i, j, k in places]
    expected = asked_for(mask, clicks, before)
    keep_clicked_pieces(mask, clicks, before)
    np.testing.assert_array_equal(mask, expected)


def test_of_two_pieces_the_clicked_one_stays_and_then_both() -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:6, 2:6, 2:6] = mask[12:16, 2:6, 2:6] = True
    both = mask.copy()
    first, second = Click((3, 3, 3), Label.FOREGROUND), Click((13, 3, 3), Label.FOREGROUND)
    keep_clicked_pieces(mask, [first], None)
    assert mask[first.voxel]
    assert not mask[second.voxel]
    again = both.copy()
    keep_clicked_pieces(again, [first, second], mask)
    np.testing.assert_array_equal(again, both)


def test_a_mask_that_a_background_click_cuts_in_two_keeps_both_parts() -> None:
    before = np.zeros(SHAPE, dtype=bool)
    before[2:20, 5:9, 5:9] = True
    cut = before.copy()
    cut[10:12] = False
    expected = cut.copy()
    keep_clicked_pieces(cut, [Click((11, 6, 6), Label.BACKGROUND)], before)
    np.testing.assert_array_equal(cut, expected)


@pytest.mark.parametrize("kept", [True, False])
def test_a_predictor_does_so_where_its_checkpoint_asks_for_it(tmp_path: Path, kept: bool) -> None:
    path = write_small_checkpoint(tmp_path / "small.safetensors", clicked_pieces=kept)
    predictor = CAISegPredictor.from_checkpoint(path)
    scan = predictor.encode(load_volume(write_scan(tmp_path / "scan.nii.gz", (60, 50, 20))))
    plain = CAISegPredictor(predictor.network, predictor.preprocessing, reach_mm=predictor.reach_mm)
    rng, differing = np.random.default_rng(3), 0
    clicks: list[Click] = []
    mask: Mask = np.zeros(scan.shape, dtype=bool)
    for place in rng.integers(0, scan.shape, size=(6, 3)).tolist():
        clicks.append(Click((place[0], place[1], place[2]), Label.FOREGROUND))
        expected = plain.segment(scan, clicks, mask).mask.copy()
        whole = int(expected.sum())
        if kept:
            expected = asked_for(expected, clicks, mask)
        differing += whole - int(expected.sum())
        mask = predictor.segment(scan, clicks, mask).mask
        np.testing.assert_array_equal(mask, expected)
    assert (differing > 0) == kept
