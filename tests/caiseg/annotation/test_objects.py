"""A voxel belongs to one object at most, and which one does not come as a surprise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caiseg import Click, InvalidInput
from caiseg.annotation.actions import (
    Accept,
    Action,
    DeleteObject,
    Draw,
    NewObject,
    SelectObject,
    StartFrom,
    Undo,
)
from caiseg.annotation.brush import Stroke
from caiseg.annotation.objects import MAX_OBJECTS, PALETTE, Scene
from caiseg.annotation.packed_mask import BoolArray, PackedMask
from caiseg.annotation.rounds import start_from
from caiseg.annotation.session import AnnotationSession

SHAPE = (6, 1, 1)


def row(*places: int) -> StartFrom:
    mask = np.zeros(SHAPE, bool)
    mask[list(places)] = True
    return StartFrom(PackedMask.pack(mask))


def nothing(clicks: Sequence[Click], previous: BoolArray | None) -> BoolArray:
    return np.zeros(SHAPE, bool)


def after(*actions: Action) -> AnnotationSession:
    return AnnotationSession.from_log(actions, nothing, (1, 1, 1))


def own(session: AnnotationSession) -> dict[int, list[int]]:
    masks = session.scene.masks.items()
    return {object_id: np.flatnonzero(mask.unpack()).tolist() for object_id, mask in masks}


def test_between_open_objects_the_one_higher_in_the_list_has_the_voxel() -> None:
    session = after(row(1, 2), NewObject(), row(2, 3), NewObject(), row(0, 1, 2, 3, 4))
    assert own(session) == {1: [1, 2], 2: [3], 3: [0, 4]}
    assert session.scene.labels.ravel().tolist() == [3, 1, 1, 2, 3, 0]


def test_an_accepted_object_never_loses_a_voxel() -> None:
    session = after(row(0), NewObject(), row(2, 3), Accept(), row(1, 2, 3))
    assert session.scene.active_id == 1
    assert own(session) == {1: [1], 2: [2, 3]}
    accepted_too = after(row(0), NewObject(), row(2, 3), Accept(), row(1, 2, 3), Accept())
    assert own(accepted_too) == {1: [1], 2: [2, 3], 3: []}


def test_an_object_is_accepted_as_it_is_shown() -> None:
    session = after(row(1, 2), NewObject(), row(2, 3), Accept(), SelectObject(1), row(4))
    assert own(session) == {1: [4], 2: [3]}


def test_accepting_goes_on_with_the_next_open_object_or_a_new_one() -> None:
    session = after(row(1), NewObject(), SelectObject(1), Accept())
    assert session.scene.active_id == 2
    session = after(row(1), Accept())
    assert session.scene.active.name == "Lesion 2"
    assert own(session) == {1: [1], 2: []}


def test_an_empty_object_is_not_accepted() -> None:
    with pytest.raises(InvalidInput, match="Lesion 1 is empty"):
        after(Accept())


def test_a_change_opens_an_accepted_object_again_and_undo_accepts_it_again() -> None:
    dab = Draw(Stroke(True, ((5, 0, 0),), 0.4))
    actions = (row(1, 2), NewObject(), row(2, 3), Accept(), SelectObject(2), dab)
    session = after(*actions)
    assert session.scene.find(2).accepted is None
    assert own(session) == {1: [1, 2], 2: [3, 5]}
    assert after(*actions, Undo()).scene.find(2).accepted is not None


def test_a_deleted_object_leaves_its_voxels_to_the_others() -> None:
    session = after(row(1, 2), NewObject(), row(2, 3), DeleteObject(1))
    assert own(session) == {2: [2, 3]}
    assert session.scene.active_id == 2
    assert session.scene.labels.ravel().tolist() == [0, 0, 1, 1, 0, 0]


def test_names_and_colours_are_given_in_turn_and_ids_never_again() -> None:
    session = after(NewObject(), DeleteObject(2), *[NewObject()] * 7)
    assert [item.object_id for item in session.scene.objects] == [1, *range(3, 10)]
    assert [item.name for item in session.scene.objects][:2] == ["Lesion 1", "Lesion 3"]
    assert session.scene.find(9).colour == PALETTE[1]


def test_there_are_no_more_objects_than_labels() -> None:
    scene = Scene.of_one(start_from(PackedMask.empty(SHAPE)))
    for _ in range(MAX_OBJECTS - 1):
        scene = scene.with_new_empty()
    with pytest.raises(InvalidInput, match="255 objects"):
        scene.with_new_empty()


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1), min_size=1, max_size=5),
    st.lists(st.integers(1, 5), max_size=4),
)
def test_the_labels_are_the_objects_masks_without_overlap(
    drawn: list[list[int]], accepted: list[int]
) -> None:
    actions: list[Action] = [row(*drawn[0])]
    for places in drawn[1:]:
        actions += [NewObject(), row(*places)]
    session = after(*actions)
    for object_id in accepted:
        if object_id <= len(drawn) and session.scene.masks[object_id].voxels:
            session.apply(SelectObject(object_id), nothing)
            session.apply(Accept(), nothing)
    scene = session.scene
    masks: list[BoolArray] = [scene.masks[item.object_id].unpack() for item in scene.objects]
    assert (np.sum(masks, axis=0) <= 1).all()
    for label, mask in enumerate(masks, start=1):
        np.testing.assert_array_equal(scene.labels == label, mask)
    claimed = np.any([item.round.mask.unpack() for item in scene.objects], axis=0)
    np.testing.assert_array_equal(scene.labels > 0, claimed)
