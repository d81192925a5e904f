"""Windows lie round their clicks, and few boxes cover them."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caiseg.click_windows import ClickWindows

GRID = (90, 40, 20)
cells = st.tuples(*[st.integers(0, size - 1) for size in GRID])


@given(clicked=st.lists(cells, min_size=1, max_size=12), size=st.tuples(*[st.integers(8, 50)] * 3))
@settings(deadline=None, max_examples=200)
def test_boxes_cover_all_windows_once_and_name_the_clicks_that_meet_them(
    clicked: list[tuple[int, int, int]], size: tuple[int, int, int]
) -> None:
    windows = ClickWindows.around(torch.tensor(clicked), GRID, size)
    wanted = torch.zeros((len(clicked), *GRID), dtype=torch.bool)
    for click, voxel in enumerate(clicked):
        box = windows.of_clicks[click]
        wanted[click][box] = True
        for part, place, wide, length in zip(box, voxel, size, GRID, strict=True):
            assert 0 <= part.start <= place < part.stop <= length
            assert part.stop - part.start == min(wide, length)
            if wide < length:
                off = place - (part.start + wide // 2)
                at_end = part.start == 0 if off < 0 else part.stop == length
                assert off == 0 or at_end, "nearest to the click"
    covered = torch.zeros(GRID, dtype=torch.long)
    for box, near in windows.boxes:
        covered[box] += 1
        meets = [n for n in range(len(clicked)) if bool(wanted[n][box].any())]
        assert near == meets
    assert int(covered.max()) == 1
    assert bool((covered > 0)[wanted.any(0)].all())


def test_clicks_far_apart_are_not_covered_by_all_that_lies_between() -> None:
    size = (16, 16, 16)
    far = torch.tensor([[8, 8, 8], [192, 192, 192]])
    windows = ClickWindows.around(far, (200, 200, 200), size)
    boxes = windows.boxes
    assert len(boxes) == 2
    for box, _ in boxes:
        assert math.prod(part.stop - part.start for part in box) <= 1.5 * math.prod(size)
