"""The mask of an answer is the same whatever was answered before it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from caiseg import CAISegPredictor, Click, EncodedScan, Label, Volume, load_volume
from caiseg.boxes import Box, whole_box
from caiseg.click_answer import ClickAnswer
from caiseg.display_masks import DisplayMasks
from caiseg.guided_filter import GuidedFilter, GuidedFilterConfig
from tests.networks import write_scan, write_small_checkpoint

Mask = npt.NDArray[np.bool_]

SHAPE = (90, 60, 20)


@pytest.fixture(params=[None, GuidedFilterConfig(radius_mm=4.0)], ids=["plain", "filtered"])
def predictor(request: pytest.FixtureRequest, tmp_path: Path) -> CAISegPredictor:
    path = write_small_checkpoint(tmp_path / "small.safetensors", guided_filter=request.param)
    predictor = CAISegPredictor.from_checkpoint(path)
    predictor.reach_mm = 24.0
    return predictor


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return load_volume(write_scan(tmp_path / "scan.nii.gz", SHAPE))


def random_clicks(rng: np.random.Generator, count: int) -> list[Click]:
    places = rng.integers(0, SHAPE, size=(count, 3)).tolist()
    return [Click((i, j, k), Label(int(rng.integers(2)))) for i, j, k in places]


def random_box(rng: np.random.Generator, shape: Sequence[int], largest: int) -> Box:
    starts = [int(rng.integers(size)) for size in shape]
    i, j, k = (
        slice(start, min(start + int(rng.integers(1, largest)), size))
        for start, size in zip(starts, shape, strict=True)
    )
    return i, j, k


def random_answer(rng: np.random.Generator, answer: ClickAnswer, base: Tensor) -> ClickAnswer:
    """An answer with other logits in a few boxes, or in some voxels of them."""
    logits = base.clone()
    changed = [random_box(rng, base.shape, 12) for _ in range(int(rng.integers(4)))]
    for box in changed:
        few = logits[box][random_box(rng, logits[box].shape, 4)]
        few.copy_(torch.from_numpy(rng.normal(scale=3, size=tuple(few.shape))))
    return replace(answer, logits=logits, part=whole_box(base.shape), changed=changed)


@pytest.mark.parametrize("seed", range(4))
def test_any_answer_after_any_other_gives_what_it_gives_alone(
    predictor: CAISegPredictor, volume: Volume, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scan = predictor.encode(volume)
    features, edges = scan.features, scan.masks.edges
    real = features.answer(
        torch.tensor([[5, 5, 5]]), torch.tensor([1]), torch.zeros(features.shape)
    )
    for _ in range(40):
        answer = random_answer(rng, real, features.base_logits)
        clicks = random_clicks(rng, 1)
        alone = DisplayMasks(features, edges, scan.shape).of(answer, clicks)
        np.testing.assert_array_equal(scan.masks.of(answer, clicks), alone)


@pytest.mark.parametrize("seed", range(4))
def test_clicks_undo_and_other_clicks_give_what_they_give_alone(
    predictor: CAISegPredictor, volume: Volume, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scan = predictor.encode(volume)
    clicks = random_clicks(rng, 5)
    asked = [clicks[:n] for n in (1, 2, 3, 4, 5, 4, 2)] + [random_clicks(rng, 2), clicks, clicks]
    before, masks = scan.masks.first, []
    for given in asked:
        mask = predictor.segment(scan, given, before).mask
        expected = predictor.segment(predictor.encode(volume), given, before).mask
        np.testing.assert_array_equal(mask, expected)
        masks.append(mask)
        before = mask.copy()

    assert all((mask != scan.masks.first).any() for mask in masks)
    assert any((one != two).any() for one, two in pairwise(masks))


def test_whoever_gets_a_mask_may_write_to_it(predictor: CAISegPredictor, volume: Volume) -> None:
    scan = predictor.encode(volume)
    clicks = [Click((40, 30, 10), Label.FOREGROUND), Click((50, 20, 8), Label.BACKGROUND)]
    expected = [predictor.segment(scan, clicks[:n]).mask.copy() for n in (0, 1, 2)]

    for n in (0, 1, 2, 1, 0):
        mask = predictor.segment(scan, clicks[:n]).mask
        np.testing.assert_array_equal(mask, expected[n])
        mask[:] = ~mask


def test_what_is_kept_of_an_answer_is_counted_and_is_little(
    predictor: CAISegPredictor, volume: Volume
) -> None:
    scan = predictor.encode(volume)
    first = scan.nbytes
    clicks = [Click((40, 30, 10), Label.FOREGROUND), Click((50, 20, 8), Label.BACKGROUND)]
    results = [predictor.segment(scan, clicks[:n]) for n in (1, 2)]
    answers = [weakref.ref(result._answer) for result in results if result._answer is not None]
    for result in results:
        assert result.mask.any()
    kept = scan.nbytes - first
    del result, results

    assert 0 < kept < first / 2
    assert [answer() for answer in answers] == [None, None]


def test_only_what_differs_from_the_answer_before_is_filtered(
    volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = GuidedFilterConfig(radius_mm=4.0)
    path = write_small_checkpoint(tmp_path / "filtered.safetensors", guided_filter=config)
    predictor = CAISegPredictor.from_checkpoint(path)
    predictor.reach_mm = 24.0
    scan = predictor.encode(volume)
    clicks = [Click((15, 15, 6), Label.FOREGROUND), Click((75, 45, 14), Label.FOREGROUND)]
    filtered: list[int] = []
    work = GuidedFilter._filtered

    def counted(edges: GuidedFilter, network_mask: Mask, box: Box) -> Mask:
        filtered.append(math.prod(part.stop - part.start for part in box))
        return work(edges, network_mask, box)

    def voxels_filtered(scan: EncodedScan, clicks: list[Click]) -> int:
        filtered.clear()
        predictor.segment(scan, clicks).mask.any()
        return sum(filtered)

    scan, forgetful = predictor.encode(volume), predictor.encode(volume)
    monkeypatch.setattr(GuidedFilter, "_filtered", counted)

    assert voxels_filtered(scan, clicks[:1]) > 0
    later = voxels_filtered(scan, clicks)
    assert 0 < later < 0.6 * voxels_filtered(forgetful, clicks)
    assert voxels_filtered(scan, clicks) == 0
