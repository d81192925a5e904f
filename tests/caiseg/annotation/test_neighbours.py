"""A further object does not outline those again that are accepted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from caiseg import Click, Label
from caiseg.annotation.actions import (
    Accept,
    Action,
    Add,
    Delete,
    Draw,
    Move,
    NewObject,
    Redo,
    SelectObject,
    StartFrom,
    Undo,
    action_to_json,
    parse_action,
)
from caiseg.annotation.brush import Stroke
from caiseg.annotation.packed_mask import BoolArray, PackedMask
from caiseg.annotation.session import AnnotationSession

SHAPE = (24, 12, 12)
SPACING = (1.0, 1.0, 1.0)
LESION = (5, 6, 6)
OTHER = (17, 6, 6)
RIM: Click = Click((1, 6, 6), Label.FOREGROUND)


def ball(centre: tuple[int, int, int], radius: float) -> BoolArray:
    offsets = np.indices(SHAPE).T - np.array(centre)
    inside: BoolArray = (np.linalg.norm(offsets, axis=-1) <= radius).T
    return inside


def network(clicks: Sequence[Click], previous: BoolArray | None) -> BoolArray:
    """Finds both lesions, the first one a voxel larger when it was clicked than without a click."""
    return ball(LESION, 4 if clicks else 3) | (ball(OTHER, 3) if clicks else False)


def clicked(*voxels: tuple[int, int, int]) -> Add:
    return Add(tuple(Click(voxel, Label.FOREGROUND) for voxel in voxels))


def after(*actions: Action) -> AnnotationSession:
    return AnnotationSession.from_log(actions, network, SPACING)


def mask(session: AnnotationSession, object_id: int) -> BoolArray:
    return session.scene.masks[object_id].unpack()


def test_a_click_for_the_next_lesion_puts_no_rim_round_the_one_before() -> None:
    session = after(Accept(), clicked(OTHER))
    np.testing.assert_array_equal(mask(session, 1), ball(LESION, 3))
    np.testing.assert_array_equal(mask(session, 2), ball(OTHER, 3))
    # The next previous mask is what is on screen.
    np.testing.assert_array_equal(session.current.mask.unpack(), ball(OTHER, 3))


def test_what_lies_apart_from_accepted_objects_needs_no_click_of_its_own() -> None:
    session = after(Accept(), clicked((23, 0, 0)))
    np.testing.assert_array_equal(mask(session, 2), ball(OTHER, 3))


@pytest.mark.parametrize(
    "own",
    [Add((RIM,)), Draw(Stroke(True, (RIM.voxel,), 0.4))],
    ids=["a click", "a stroke"],
)
def test_what_touches_an_accepted_object_is_kept_where_the_person_pointed(own: Action) -> None:
    session = after(Accept(), own, clicked(OTHER))
    expected = (ball(LESION, 4) & ~ball(LESION, 3)) | ball(OTHER, 3)
    np.testing.assert_array_equal(mask(session, 2), expected)


def test_a_background_click_keeps_nothing() -> None:
    against = Click(RIM.voxel, Label.BACKGROUND)
    session = after(Accept(), clicked(OTHER), Add((against,)))
    np.testing.assert_array_equal(mask(session, 2), ball(OTHER, 3))


def test_lesions_that_touch_are_parted_by_what_is_accepted() -> None:
    def grown(clicks: Sequence[Click], previous: BoolArray | None) -> BoolArray:
        return ball(LESION, 9) if clicks else ball(LESION, 4)

    wall = np.zeros(SHAPE, bool)
    wall[8:11] = True
    actions = (StartFrom(PackedMask.pack(wall)), Accept(), clicked((13, 6, 6)))
    session = AnnotationSession.from_log(actions, grown, SPACING)
    expected = ball(LESION, 9)
    expected[:11] = False
    np.testing.assert_array_equal(mask(session, 2), expected)


def test_objects_that_are_open_are_no_reason_to_drop_anything() -> None:
    session = after(NewObject(), clicked(OTHER))
    rim = ball(LESION, 4) & ~ball(LESION, 3)
    np.testing.assert_array_equal(mask(session, 2), rim | ball(OTHER, 3))


def test_the_first_object_and_one_from_a_mask_take_what_the_network_says() -> None:
    start = StartFrom(PackedMask.pack(ball(OTHER, 2)))
    session = after(Accept(), start, clicked(OTHER))
    assert mask(session, 2)[RIM.voxel]
    first = after(NewObject(), clicked(OTHER), Accept(), SelectObject(1), clicked(LESION))
    assert first.scene.active_id == 1
    assert first.current.mask.unpack()[RIM.voxel]


def test_a_moved_or_deleted_click_follows_the_same_rule() -> None:
    moved = after(Accept(), clicked(RIM.voxel), clicked(OTHER), Move(0, (23, 0, 0)))
    np.testing.assert_array_equal(mask(moved, 2), ball(OTHER, 3))
    deleted = after(Accept(), clicked(RIM.voxel), clicked(OTHER), Delete(0))
    np.testing.assert_array_equal(mask(deleted, 2), ball(OTHER, 3))


def test_a_saved_session_with_accepted_objects_replays_to_the_same_masks_at_each_step() -> None:
    actions: list[Action] = [
        Accept(), clicked(OTHER), clicked(RIM.voxel), Undo(), Accept(), clicked((23, 0, 0)), Undo(),
        Redo(), SelectObject(1), clicked(LESION), Undo(), Undo(), Redo(),
    ]  # fmt: skip
    for count in range(len(actions) + 1):
        session = after(*actions[:count])
        log = [parse_action(action_to_json(action)) for action in session.log]
        again = AnnotationSession.from_log(log, network, SPACING)
        np.testing.assert_array_equal(again.scene.labels, session.scene.labels)
        assert (again.can_undo, again.can_redo) == (session.can_undo, session.can_redo)
