"""Trilinear interpolation of single boxes: torch's own values, and no more work than is needed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from caiseg.boxes import whole_box
from caiseg.interpolation import (
    interpolate_box,
    mask_to_model,
    reached,
    redrawn,
    write_mask,
)

Size = tuple[int, int, int]
Box = tuple[slice, slice, slice]
sizes = st.tuples(*[st.integers(1, 24)] * 3)
some_examples = settings(deadline=None, max_examples=50)


def noise(shape: Size) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def reference(source: Tensor, target: Size) -> Tensor:
    return torch.nn.functional.interpolate(source[None, None], size=target, mode="trilinear")[0, 0]


@st.composite
def boxes(draw: st.DrawFn, shape: Size) -> Box:
    starts = [draw(st.integers(0, size - 1)) for size in shape]
    stops = [draw(st.integers(low + 1, size)) for low, size in zip(starts, shape, strict=True)]
    i, j, k = (slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    return i, j, k


@st.composite
def changes(draw: st.DrawFn) -> tuple[Tensor, Tensor, Box]:
    """Values before and after, and the box in which each of them changed its sign."""
    shape = draw(sizes)
    before, box = noise(shape), draw(boxes(shape))
    after = before.clone()
    after[box] = -after[box]
    return before, after, box


@given(source=sizes, target=sizes)
@some_examples
def test_the_whole_equals_torch(source: Size, target: Size) -> None:
    values = noise(source)
    found = interpolate_box(values, whole_box(target), source, target)
    torch.testing.assert_close(found, reference(values, target), rtol=1e-4, atol=1e-5)


@given(source=sizes, target=sizes, data=st.data())
@some_examples
def test_a_part_is_the_very_values_of_the_whole(
    source: Size, target: Size, data: st.DataObject
) -> None:
    values, box = noise(source), data.draw(boxes(target))
    whole = interpolate_box(values, whole_box(target), source, target)
    assert torch.equal(interpolate_box(values, box, source, target), whole[box])


@given(change=changes(), target=sizes)
@some_examples
def test_a_change_reaches_no_farther_than_it_is_said_to(
    change: tuple[Tensor, Tensor, Box], target: Size
) -> None:
    before, after, box = change
    source = (before.shape[0], before.shape[1], before.shape[2])
    first, second = (interpolate_box(v, whole_box(target), source, target) for v in (before, after))
    changed = first != second
    changed[reached(box, source, target)] = False
    assert not changed.any()


def written(logits: Tensor, target: Size) -> npt.NDArray[np.bool_]:
    mask = np.zeros(target, dtype=bool)
    write_mask(mask, logits, whole_box(target), whole_box(target), target)
    return mask


@given(change=changes(), target=sizes)
@some_examples
def test_a_mask_renewed_in_a_box_is_the_mask_of_the_new_logits(
    change: tuple[Tensor, Tensor, Box], target: Size
) -> None:
    before, after, box = change
    mask, expected = written(before, target), written(after, target)
    part = reached(box, before.shape, target)
    inside = mask[part].copy()
    write_mask(inside, after, part, part, target)
    mask[part] = inside
    np.testing.assert_array_equal(mask, expected)


@given(display=sizes, model=sizes, data=st.data())
@some_examples
def test_a_mask_comes_to_the_model_grid_as_the_half_that_is_inside(
    display: Size, model: Size, data: st.DataObject
) -> None:
    mask, box = np.zeros(display, dtype=bool), data.draw(boxes(display))
    mask[box] = (noise(display) > 0).numpy()[box]
    share = reference(torch.from_numpy(mask).float(), model)
    found = mask_to_model(mask, model)
    clear = (share - 0.5).abs() > 1e-4
    assert found.dtype is torch.bool
    assert torch.equal(found[clear], (share >= 0.5)[clear])


@given(display=sizes, model=sizes, data=st.data())
@some_examples
def test_where_a_mask_is_wanted_it_comes_as_the_whole_does(
    display: Size, model: Size, data: st.DataObject
) -> None:
    mask, wanted = (noise(display) > 0.5).numpy(), data.draw(boxes(model))
    expected = torch.zeros(model, dtype=torch.bool)
    expected[wanted] = mask_to_model(mask, model)[wanted]
    assert torch.equal(mask_to_model(mask, model, wanted), expected)


@pytest.mark.parametrize("model", [(4, 4, 4), (9, 2, 30)])
def test_an_empty_mask_stays_empty(model: Size) -> None:
    found = mask_to_model(np.zeros((8, 8, 8), dtype=bool), model)
    assert found.shape == model
    assert not found.any()


@given(changed=changes(), target=sizes, offset=st.sampled_from([0.0, 1.0, 2.5, 9.0]))
@settings(deadline=None, max_examples=200)
def test_renewing_only_what_is_next_to_foreground_gives_the_whole_mask(
    changed: tuple[Tensor, Tensor, Box], target: Size, offset: float
) -> None:
    before, after, box = changed
    before, after = before - offset, after - offset
    mask, expected = written(before, target), written(after, target)
    part = redrawn(after, before, box)
    if part is not None:
        write_mask(mask, after, reached(part, after.shape, target), whole_box(target), target)
        for within, whole in zip(part, box, strict=True):
            assert whole.start <= within.start < within.stop <= whole.stop
    np.testing.assert_array_equal(mask, expected)


def test_far_from_any_foreground_nothing_is_renewed() -> None:
    before = torch.full((20, 12, 12), -5.0)
    before[2, 2, 2] = 5
    box = (slice(0, 20), slice(0, 12), slice(0, 12))
    assert redrawn(before - 1, before, box) == (slice(1, 4), slice(1, 4), slice(1, 4))
    assert redrawn(before - 1, before, (slice(8, 20), slice(0, 12), slice(0, 12))) is None
