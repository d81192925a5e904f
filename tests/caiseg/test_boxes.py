"""Boxes hold, meet and contain each other."""

from __future__ import annotations

import numpy as np
import pytest

from caiseg.boxes import hull, meeting, moved, occupied, relative


def test_boxes_meet_where_both_are() -> None:
    one, other = (slice(0, 5),) * 3, (slice(3, 9), slice(4, 5), slice(0, 2))
    assert meeting(one, other) == (slice(3, 5), slice(4, 5), slice(0, 2))
    assert meeting(one, (slice(5, 9), slice(0, 5), slice(0, 5))) is None


def test_the_hull_is_the_smallest_box_that_holds_all() -> None:
    one, other = (slice(0, 5),) * 3, (slice(3, 9), slice(4, 5), slice(7, 8))
    assert hull((one, other)) == (slice(0, 9), slice(0, 5), slice(0, 8))
    assert hull([one]) == one


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_the_box_of_a_mask_does_not_depend_on_how_it_lies_in_memory(
    order: tuple[int, int, int],
) -> None:
    mask = np.zeros((7, 5, 6), dtype=bool)
    mask[2:4, 1, 5] = mask[6, 3, 2] = True
    laid = np.ascontiguousarray(mask.transpose(order)).transpose(np.argsort(order))
    assert occupied(laid) == (slice(2, 7), slice(1, 4), slice(2, 6))
    assert occupied(laid[..., :2]) is None


def test_a_box_of_a_part_is_the_same_box_of_the_whole() -> None:
    part, box = (slice(2, 9), slice(4, 8), slice(0, 3)), (slice(1, 3), slice(0, 4), slice(2, 3))
    assert moved(box, part) == (slice(3, 5), slice(4, 8), slice(2, 3))
    assert relative(moved(box, part), part) == box
