"""Masks survive the way to the browser and back into the next round."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caiseg import InvalidInput
from caiseg.annotation.packed_mask import PackedMask

MASKS = hnp.arrays(bool, st.tuples(*[st.integers(1, 9)] * 3))


def as_the_viewer_reads_it(document: dict[str, Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """mask.js, line by line."""
    bits = zlib.decompress(base64.b64decode(document["bits"]))
    voxels = np.zeros(int(np.prod(shape)), dtype=bool)
    count = 0
    (i0, j0, k0), (ni, nj, nk) = document["start"], document["size"]
    for k in range(k0, k0 + nk):
        for j in range(j0, j0 + nj):
            for i in range(i0, i0 + ni):
                voxels[i + shape[0] * (j + shape[1] * k)] = bits[count >> 3] >> (count & 7) & 1
                count += 1
    return voxels.reshape(shape, order="F")


@settings(deadline=None)
@given(mask=MASKS)
def test_packing_loses_nothing(mask: npt.NDArray[np.bool_]) -> None:
    packed = PackedMask.pack(mask)
    np.testing.assert_array_equal(packed.unpack(), mask)
    assert packed.voxels == mask.sum()


@settings(deadline=None)
@given(mask=MASKS)
def test_the_viewer_reads_what_was_packed(mask: npt.NDArray[np.bool_]) -> None:
    document = PackedMask.pack(mask).to_json()
    np.testing.assert_array_equal(as_the_viewer_reads_it(document, mask.shape), mask)


@settings(deadline=None)
@given(mask=MASKS)
def test_the_box_is_tight(mask: npt.NDArray[np.bool_]) -> None:
    crop = PackedMask.pack(mask).crop()
    for axis in range(3):
        ends = np.take(crop, [0, -1], axis) if crop.size else crop
        assert ends.any(axis=tuple({0, 1, 2} - {axis})).all()


@pytest.mark.parametrize("filled", [False, True])
def test_a_large_uniform_mask_takes_little_room(filled: bool) -> None:
    mask = np.full((256, 256, 96), filled)
    assert len(PackedMask.pack(mask).payload) < 10_000


@settings(deadline=None)
@given(MASKS, st.data())
def test_a_part_is_what_lies_in_its_box(mask: npt.NDArray[np.bool_], data: st.DataObject) -> None:
    ends = [sorted(data.draw(st.tuples(*[st.integers(0, size)] * 2))) for size in mask.shape]
    (i0, i1), (j0, j1), (k0, k1) = ends
    part = PackedMask.pack(mask).part((i0, j0, k0), (i1, j1, k1))
    np.testing.assert_array_equal(part, mask[i0:i1, j0:j1, k0:k1])


PAIRS = MASKS.flatmap(lambda mask: st.tuples(st.just(mask), hnp.arrays(bool, mask.shape)))


@settings(deadline=None)
@given(PAIRS)
def test_masks_are_joined_and_subtracted_voxel_by_voxel(
    pair: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
) -> None:
    one, other = pair
    packed = PackedMask.pack(one), PackedMask.pack(other)
    assert packed[0].with_voxels(packed[1]) == PackedMask.pack(one | other)
    assert packed[0].without_voxels(packed[1]) == PackedMask.pack(one & ~other)


@settings(deadline=None)
@given(MASKS)
def test_a_mask_is_read_back_from_json(mask: npt.NDArray[np.bool_]) -> None:
    packed = PackedMask.pack(mask)
    assert PackedMask.from_json(json.loads(json.dumps(packed.to_json()))) == packed


@pytest.mark.parametrize(
    "change",
    [
        {"size": [2, 2, 3]},
        {"start": [8, 0, 0]},
        {"start": [-1, 0, 0]},
        {"shape": [1, 9, 9]},
        {"shape": [10**9, 10**9, 10**9], "size": [10**9, 10**9, 10**9]},
        {"size": [1, 1]},
        {"bits": "no base64"},
        {"bits": base64.b64encode(zlib.compress(bytes(10**6))).decode()},
        {"bits": base64.b64encode(b"no stream").decode()},
        {"bits": 7},
    ],
    ids=str,
)
def test_a_damaged_mask_is_refused(change: dict[str, Any]) -> None:
    document = PackedMask.pack(np.ones((9, 9, 9), bool)).to_json()
    with pytest.raises(InvalidInput, match="saved mask"):
        PackedMask.from_json(document | change)
