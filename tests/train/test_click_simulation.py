"""Simulated clicks obey the rules of section III-F and of the evaluation protocol."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from caiseg.clicks import Click, Label
from train.click_simulation import (
    Mask,
    error_components,
    first_round,
    innermost_voxel,
    later_round,
    next_click,
    next_random_click,
)
from train.config import ClickConfig

SHAPE = (24, 24, 10)
SPACING = (1.0, 1.5, 4.0)
ISOTROPIC = (1.0, 1.0, 1.0)
SEEDS = range(20)


def box(*parts: tuple[int, int]) -> Mask:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(slice(*part) for part in parts)] = True
    return mask


LESION = box((6, 18), (6, 18), (2, 8))
NOTHING = np.zeros(SHAPE, dtype=bool)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def voxels(clicks: Iterable[Click], label: Label) -> list[tuple[int, int, int]]:
    return [click.voxel for click in clicks if click.label is label]


def distance_mm(voxel: tuple[int, int, int], mask: Mask) -> float:
    """Distance in mm to the nearest voxel of a mask, the slow way."""
    gaps = (np.argwhere(mask) - voxel) * SPACING
    return float(np.sqrt((gaps**2).sum(axis=1)).min())


def test_first_round_gives_1_to_10_foreground_and_0_to_20_background_clicks() -> None:
    counts = [first_round(LESION, SPACING, ClickConfig(), rng(seed)) for seed in range(200)]
    foreground = {len(voxels(clicks, Label.FOREGROUND)) for clicks in counts}
    background = {len(voxels(clicks, Label.BACKGROUND)) for clicks in counts}
    assert foreground == set(range(1, 11))
    assert background == set(range(21))


def test_first_round_never_clicks_a_voxel_twice() -> None:
    for seed in SEEDS:
        clicks = first_round(LESION, SPACING, ClickConfig(), rng(seed))
        assert len({click.voxel for click in clicks}) == len(clicks)


def test_first_foreground_clicks_lie_deeper_than_the_erosion_in_mm() -> None:
    config = ClickConfig(foreground=(10, 10), erosion_mm=3.0)
    found = set()
    for seed in SEEDS:
        for voxel in voxels(first_round(LESION, SPACING, config, rng(seed)), Label.FOREGROUND):
            assert LESION[voxel]
            assert distance_mm(voxel, ~LESION) > 3.0
            found.add(voxel)
    reachable = np.argwhere(ndimage.distance_transform_edt(LESION, sampling=SPACING) > 3.0)
    assert len(found) > 0.3 * len(reachable), "clicks keep to a part of the eroded lesion"


def test_erosion_in_mm_spares_thick_slices_and_not_thin_ones() -> None:
    config = ClickConfig(foreground=(10, 10), background=(0, 0), erosion_mm=3.0)
    clicks = [c for seed in SEEDS for c in first_round(LESION, SPACING, config, rng(seed))]
    assert {click.voxel[2] for click in clicks} == set(range(2, 8)), "a slice is 4 mm thick"
    assert min(click.voxel[0] for click in clicks) == 9


def test_a_lesion_thinner_than_the_erosion_is_still_clicked() -> None:
    lesion = box((10, 13), (10, 11), (4, 5))
    for seed in SEEDS:
        clicks = first_round(lesion, SPACING, ClickConfig(erosion_mm=50.0), rng(seed))
        inside = voxels(clicks, Label.FOREGROUND)
        assert inside
        assert all(lesion[voxel] for voxel in inside)


def test_a_lesion_at_the_border_of_the_scan_is_eroded_there_too() -> None:
    lesion = box((0, 12), (6, 18), (2, 8))
    config = ClickConfig(foreground=(10, 10), background=(0, 0), erosion_mm=3.0)
    clicks = [c for seed in SEEDS for c in first_round(lesion, SPACING, config, rng(seed))]
    assert min(click.voxel[0] for click in clicks) == 3


def test_first_background_clicks_lie_in_a_band_of_mm_around_the_lesion() -> None:
    lesion = box((10, 14), (10, 14), (4, 6))
    config = ClickConfig(background=(20, 20), band_mm=6.0)
    distances, slices = [], set()
    for seed in SEEDS:
        for voxel in voxels(first_round(lesion, SPACING, config, rng(seed)), Label.BACKGROUND):
            assert not lesion[voxel]
            distances.append(distance_mm(voxel, lesion))
            slices.add(voxel[2])
    assert max(distances) <= 6.0
    assert max(distances) > 5.0
    assert min(distances) == 1.0
    assert slices == {3, 4, 5, 6}, "6 mm are one slice of 4 mm, not six slices"


def test_the_band_lies_around_every_lesion() -> None:
    lesion = box((2, 4), (2, 4), (4, 6)) | box((20, 22), (20, 22), (4, 6))
    config = ClickConfig(background=(20, 20), band_mm=4.0)
    clicks = [c for seed in SEEDS for c in first_round(lesion, SPACING, config, rng(seed))]
    sides = {voxel[0] < 12 for voxel in voxels(clicks, Label.BACKGROUND)}
    assert sides == {True, False}


def test_without_a_lesion_only_background_is_clicked_anywhere() -> None:
    config = ClickConfig(background=(20, 20))
    clicks = [c for seed in SEEDS for c in first_round(NOTHING, SPACING, config, rng(seed))]
    assert not voxels(clicks, Label.FOREGROUND)
    assert len(clicks) == 20 * len(SEEDS)
    assert {click.voxel[0] for click in clicks} == set(range(24))


def test_a_scan_full_of_lesion_gets_no_background_click() -> None:
    clicks = first_round(~NOTHING, SPACING, ClickConfig(background=(20, 20)), rng())
    assert clicks
    assert not voxels(clicks, Label.BACKGROUND)


def test_the_same_seed_gives_the_same_clicks() -> None:
    first, second = (first_round(LESION, SPACING, ClickConfig(), rng(7)) for _ in range(2))
    assert first == second
    assert first != first_round(LESION, SPACING, ClickConfig(), rng(8))


def test_later_rounds_click_once_in_every_error_component() -> None:
    missed, extra = box((6, 9), (6, 18), (2, 8)), box((20, 24), (6, 18), (2, 8))
    prediction = (LESION & ~missed) | extra
    for seed in SEEDS:
        clicks = later_round(prediction, LESION, SPACING, ClickConfig(), rng(seed))
        assert len(clicks) == 2
        assert [missed[v] for v in voxels(clicks, Label.FOREGROUND)] == [True]
        assert [extra[v] for v in voxels(clicks, Label.BACKGROUND)] == [True]


def test_missed_and_wrongly_outlined_voxels_that_touch_are_two_components() -> None:
    prediction = np.roll(LESION, 2, axis=0)
    clicks = later_round(prediction, LESION, SPACING, ClickConfig(), rng())
    assert {click.label for click in clicks} == set(Label)


@pytest.mark.parametrize(("size", "clicked"), [(10, False), (11, True)])
def test_a_component_is_clicked_when_larger_than_a_tenth_of_the_lesion(
    size: int, clicked: bool
) -> None:
    lesion = box((0, 10), (0, 10), (0, 1))
    prediction = lesion.copy()
    prediction[12 : 12 + size, 20, 5] = True
    clicks = later_round(prediction, lesion, SPACING, ClickConfig(component_share=0.1), rng())
    assert len(clicks) == clicked


def test_voxels_that_touch_at_a_corner_are_one_component() -> None:
    prediction = LESION.copy()
    for step in range(4):
        prediction[step, step, step] = True
    clicks = later_round(prediction, LESION, SPACING, ClickConfig(component_share=0), rng())
    assert len(clicks) == 1


def test_later_clicks_are_random_in_their_component() -> None:
    missed = box((6, 9), (6, 18), (2, 8))
    places = {
        later_round(LESION & ~missed, LESION, SPACING, ClickConfig(), rng(seed))[0].voxel
        for seed in range(60)
    }
    assert len(places) > 40
    assert all(missed[place] for place in places)


def test_a_share_of_later_clicks_lies_at_component_centres() -> None:
    missed = box((6, 11), (6, 11), (2, 7))
    config = ClickConfig(centre_share=0.5, component_share=0)
    centred = [
        later_round(LESION & ~missed, LESION, ISOTROPIC, config, rng(seed))[0].voxel == (8, 8, 4)
        for seed in range(200)
    ]
    assert 0.4 < np.mean(centred) < 0.6


def test_largest_only_clicks_one_component_whatever_its_size() -> None:
    prediction = LESION.copy()
    prediction[0, 0, 0] = prediction[22, 22, :2] = True
    assert not later_round(prediction, LESION, SPACING, ClickConfig(), rng())
    clicks = later_round(prediction, LESION, SPACING, ClickConfig(), rng(), largest_only=True)
    assert [click.voxel[:2] for click in clicks] == [(22, 22)]


def test_a_perfect_prediction_is_not_clicked() -> None:
    assert later_round(LESION, LESION, SPACING, ClickConfig(), rng()) == []
    assert later_round(LESION, LESION, SPACING, ClickConfig(), rng(), largest_only=True) == []
    assert next_click(LESION, LESION, SPACING) is None
    assert next_random_click(LESION, LESION, rng()) is None


def test_error_components_come_largest_first_and_add_up_to_the_error() -> None:
    generator = rng(3)
    prediction: Mask = generator.random(SHAPE) < 0.02
    lesion: Mask = generator.random(SHAPE) < 0.02
    sizes, together = [], np.zeros(SHAPE, dtype=int)
    for component, place in error_components(prediction, lesion):
        sizes.append(int(component.sum()))
        together[place] += component
    assert sizes == sorted(sizes, reverse=True)
    np.testing.assert_array_equal(together, prediction ^ lesion)


def slow_innermost(component: Mask) -> npt.NDArray[np.float64]:
    """Depth in mm of every voxel, everything beyond the array being outside."""
    padded = np.pad(component, 1)
    outside = np.argwhere(~padded)
    depths = np.zeros(component.shape)
    for voxel in np.argwhere(component):
        gaps = (outside - voxel - 1) * SPACING
        depths[tuple(voxel)] = np.sqrt((gaps**2).sum(axis=1)).min()
    return depths


def test_the_innermost_voxel_is_the_deepest_in_mm() -> None:
    component: Mask = ndimage.binary_dilation(rng(5).random((9, 8, 5)) < 0.03, iterations=2)
    depths = slow_innermost(component)
    assert depths[innermost_voxel(component, SPACING)] == pytest.approx(depths.max())


def test_the_next_click_is_the_centre_of_the_largest_error() -> None:
    missed, extra = box((6, 11), (6, 11), (2, 7)), box((20, 22), (0, 4), (0, 4))
    click = next_click((LESION & ~missed) | extra, LESION, ISOTROPIC)
    assert click == Click((8, 8, 4), Label.FOREGROUND)
    extra = box((19, 24), (0, 9), (0, 9))
    click = next_click((LESION & ~missed) | extra, LESION, SPACING)
    assert click is not None
    assert click.label is Label.BACKGROUND
    assert extra[click.voxel]


def test_ties_of_the_next_click_are_broken_by_kind_then_memory_order() -> None:
    lesion = box((2, 5), (2, 5), (2, 5)) | box((15, 18), (2, 5), (2, 5))
    assert next_click(NOTHING, lesion, ISOTROPIC) == Click((3, 3, 3), Label.FOREGROUND)
    extra = box((2, 5), (15, 18), (2, 5))
    lesion = box((15, 18), (2, 5), (2, 5))
    assert next_click(extra, lesion, ISOTROPIC) == Click((16, 3, 3), Label.FOREGROUND)
    row = box((4, 10), (4, 5), (4, 5))
    assert next_click(NOTHING, row, SPACING) == Click((5, 4, 4), Label.FOREGROUND)


def test_the_next_click_is_the_same_each_time() -> None:
    generator = rng(1)
    prediction: Mask = ndimage.binary_dilation(generator.random(SHAPE) < 0.01)
    clicks = {next_click(prediction, LESION, SPACING) for _ in range(3)}
    assert len(clicks) == 1


def test_the_random_click_lies_anywhere_in_the_largest_error() -> None:
    missed = box((6, 9), (6, 18), (2, 8))
    prediction = LESION & ~missed
    prediction[0, 0, 0] = True
    clicks = [next_random_click(prediction, LESION, rng(seed)) for seed in range(60)]
    places = {click.voxel for click in clicks if click is not None}
    assert len(places) > 40
    assert all(missed[place] for place in places)
    assert next_random_click(prediction, LESION, rng(1)) == clicks[1]
