"""Masks follow the scan's edges: the article's equations, exactly, wherever they are computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from caiseg import Click, Label
from caiseg.boxes import whole_box
from caiseg.guided_filter import GuidedFilter, GuidedFilterConfig

Mask = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

CPU = torch.device("cpu")
SHAPE = (40, 34, 9)
SPACING = (1.0, 1.5, 5.0)
EVERYWHERE = whole_box(SHAPE)
CONFIG = GuidedFilterConfig(radius_mm=4.0, epsilon=0.01, click_mm=3.0)


def lesion_scan(noise: float = 0.1, seed: int = 0) -> tuple[FloatArray, Mask]:
    """A bright ellipsoid on a darker ground, and where it is."""
    places = np.indices(SHAPE).transpose(1, 2, 3, 0) * SPACING
    distance = np.linalg.norm((places - (19, 25, 20)) / (11, 13, 16), axis=-1)
    lesion = distance < 1
    rng = np.random.default_rng(seed)
    return 200 + 100 * (lesion + rng.normal(scale=noise, size=SHAPE)), lesion


def blurred(lesion: Mask, seed: int = 1) -> Mask:
    """A lesion whose border is off by a voxel or two, as a coarse network's is."""
    rng = np.random.default_rng(seed)
    rough = lesion.copy()
    for axis in (0, 1):
        rough |= np.roll(lesion, 2 * int(rng.choice([-1, 1])), axis)
    return rough


def dice(one: Mask, two: Mask) -> float:
    return float(2 * (one & two).sum() / (one.sum() + two.sum()))


def by_the_article(
    data: FloatArray, mask: Mask, radius: tuple[int, int, int], epsilon: float
) -> FloatArray:
    """Eqs. 5, 6 and 8 of He et al., voxel by voxel."""
    bright = data[data > data.mean()]
    guide = np.clip((data - bright.mean()) / bright.std(), -3, 4)
    slope, offset, answer = np.zeros(SHAPE), np.zeros(SHAPE), np.zeros(SHAPE)

    def window(place: tuple[int, ...]) -> tuple[slice, ...]:
        return tuple(slice(max(p - r, 0), p + r + 1) for p, r in zip(place, radius, strict=True))

    for place in np.ndindex(SHAPE):
        i, p = guide[window(place)], mask[window(place)].astype(float)
        slope[place] = ((i * p).mean() - i.mean() * p.mean()) / (i.var() + epsilon)
        offset[place] = p.mean() - slope[place] * i.mean()
    for place in np.ndindex(SHAPE):
        lines = slope[window(place)].mean(), offset[window(place)].mean()
        answer[place] = lines[0] * guide[place] + lines[1]
    return answer


@pytest.mark.parametrize("spacing", [(1.0, 1.5, 5.0), (1.0, 1.0, 1.0), (4.0, 1.0, 2.0)])
def test_it_is_the_filter_of_the_article(spacing: tuple[float, float, float]) -> None:
    data, lesion = lesion_scan(noise=0.5)
    mask = blurred(lesion)
    thick = 0 if spacing[0] == 4.0 else 2
    i, j, k = (0 if axis == thick else round(4.0 / step) for axis, step in enumerate(spacing))
    expected = by_the_article(data, mask, (i, j, k), CONFIG.epsilon)
    clear = np.abs(expected - 0.5) > 1e-4  # beyond what float32 can tell

    filtered = GuidedFilter(data, spacing, CONFIG, CPU).whole(mask)

    assert clear.mean() > 0.99
    np.testing.assert_array_equal(filtered[clear], (expected > 0.5)[clear])


def test_a_border_beside_an_edge_moves_to_it() -> None:
    data, lesion = lesion_scan()
    mask = blurred(lesion)

    filtered = GuidedFilter(data, SPACING, CONFIG, CPU).whole(mask)

    assert dice(mask, lesion) < 0.9
    assert dice(filtered, lesion) > 0.95


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("seed", range(3))
def test_a_changed_part_is_filtered_as_if_all_were(seed: int, dtype: type[np.generic]) -> None:
    data, lesion = lesion_scan(noise=1.0, seed=seed)
    edges = GuidedFilter(data.astype(dtype), SPACING, CONFIG, CPU)
    before = blurred(lesion, seed)
    rng = np.random.default_rng(seed)
    low = rng.integers(0, np.array(SHAPE) - 4)
    i, j, k = (slice(int(start), int(start) + 4) for start in low)
    after = before.copy()
    after[i, j, k] = ~after[i, j, k]
    click = Click((int(low[0]), int(low[1]), int(low[2])), Label.FOREGROUND)

    renewed = edges.whole(before)
    edges.renew(renewed, EVERYWHERE, before, after, [(i, j, k)])
    edges.follow(renewed, EVERYWHERE, after, [click])

    np.testing.assert_array_equal(renewed, edges.whole(after, [click]))
    assert (renewed != edges.whole(before)).any()


@pytest.mark.parametrize("seed", range(6))
def test_a_part_of_the_scan_is_enough_to_filter_a_change(seed: int) -> None:
    data, lesion = lesion_scan(noise=1.0, seed=seed)
    edges = GuidedFilter(data, SPACING, GuidedFilterConfig(radius_mm=1.5), CPU)
    before = blurred(lesion, seed)
    rng = np.random.default_rng(seed)
    i, j, k = rng.integers(0, np.array(SHAPE) - 4).tolist()
    box = (slice(i, i + 3), slice(j, j + 3), slice(k, k + 2))
    after = before.copy()
    after[box] = ~after[box]
    clicks = [Click((i, j, k), Label.FOREGROUND), Click((i + 5, j, k), Label.BACKGROUND)]
    clicks = [click for click in clicks if click.voxel[0] < SHAPE[0]]
    first, expected = edges.whole(before), edges.whole(after, clicks)

    part = edges.needed([box], clicks)
    renewed = first.copy()
    edges.renew(renewed[part], part, before[part], after[part].copy(), [box])
    edges.follow(renewed[part], part, after[part], clicks)

    assert renewed[part].size < renewed.size / 2
    np.testing.assert_array_equal(renewed, expected)


def test_changes_near_and_far_from_each_other_are_all_filtered_anew() -> None:
    data, lesion = lesion_scan()
    edges = GuidedFilter(data, SPACING, CONFIG, CPU)
    boxes = [
        (slice(start, start + 4), slice(first, first + 4), slice(1, 7))
        for start, first in ((0, 0), (12, 12), (16, 12), (20, 14), (30, 26))
    ]
    after = lesion.copy()
    for box in boxes:
        after[box] = ~after[box]

    renewed = edges.whole(lesion)
    edges.renew(renewed, EVERYWHERE, lesion, after, boxes)

    np.testing.assert_array_equal(renewed, edges.whole(after))
    assert (renewed != edges.whole(lesion)).any()


def test_every_mask_may_become_every_other() -> None:
    """A lesion that vanishes leaves nothing behind, and one out of nothing is whole."""
    data, lesion = lesion_scan()
    edges = GuidedFilter(data, SPACING, CONFIG, CPU)
    nothing = np.zeros_like(lesion)
    full = edges.whole(lesion)

    assert full.any()
    shrunk, grown = full.copy(), edges.whole(nothing)
    edges.renew(shrunk, EVERYWHERE, lesion, nothing, [EVERYWHERE])
    assert not shrunk.any()
    edges.renew(grown, EVERYWHERE, nothing, lesion, [EVERYWHERE])
    np.testing.assert_array_equal(grown, full)


def test_what_the_network_did_for_a_click_is_not_smoothed_away() -> None:
    """Specks so small that the filter takes them for noise, one in the mask and one hole in it."""
    data, lesion = lesion_scan()
    edges = GuidedFilter(data, SPACING, CONFIG, CPU)
    given = lesion.copy()
    given[5:7, 5, 4] = True
    given[19, 16, 4] = False
    added = Click((5, 5, 4), Label.FOREGROUND)
    removed = Click((19, 16, 4), Label.BACKGROUND)

    without = edges.whole(given)
    assert not without[added.voxel]
    assert without[removed.voxel]

    followed = edges.whole(given, [removed, added])
    assert followed[added.voxel]
    assert not followed[removed.voxel]
    np.testing.assert_array_equal(followed, edges.whole(given, [added, removed]))
    changed = np.argwhere(followed != without) * SPACING
    nearest = np.min(
        [np.linalg.norm(changed - np.multiply(click.voxel, SPACING), axis=1)
         for click in (added, removed)], axis=0,
    )  # fmt: skip
    assert (nearest <= CONFIG.click_mm).all()


def test_a_clicked_voxel_takes_its_label_whatever_network_and_filter_say() -> None:
    data, lesion = lesion_scan()
    edges = GuidedFilter(data, SPACING, CONFIG, CPU)
    clicks = [Click((2, 2, 1), Label.FOREGROUND), Click((19, 16, 4), Label.BACKGROUND)]

    answer = edges.whole(lesion, clicks)

    assert answer[2, 2, 1]
    assert not answer[19, 16, 4]
    assert (answer != edges.whole(lesion)).sum() == 2


def test_on_a_voxel_with_both_labels_the_network_decides() -> None:
    data, lesion = lesion_scan()
    edges = GuidedFilter(data, SPACING, CONFIG, CPU)
    both = [Click((19, 16, 4), Label.BACKGROUND), Click((19, 16, 4), Label.FOREGROUND)]

    assert edges.whole(lesion, both)[19, 16, 4]
    assert not edges.whole(np.zeros_like(lesion), both)[19, 16, 4]


def test_between_clicks_of_both_labels_the_network_decides() -> None:
    data, lesion = lesion_scan()
    edges = GuidedFilter(data, SPACING, CONFIG, CPU)
    given = np.zeros_like(lesion)
    given[5, 5, 4] = True
    clicks = [Click((5, 5, 4), Label.FOREGROUND), Click((6, 5, 4), Label.BACKGROUND)]

    for order in (clicks, clicks[::-1]):
        answer = edges.whole(given, order)
        assert answer[5, 5, 4]
        assert not answer[6, 5, 4]


def test_a_scan_without_contrast_has_no_edges_to_follow() -> None:
    flat = np.full(SHAPE, 7.0)
    block = np.zeros(SHAPE, dtype=bool)
    block[8:28, 6:26] = True

    filtered = GuidedFilter(flat, SPACING, CONFIG, CPU).whole(block)

    # Means over windows round the corners off and leave the sides.
    np.testing.assert_array_equal(filtered[:, 16], block[:, 16])
    np.testing.assert_array_equal(filtered[18], block[18])
