"""Clicks, S_p, strokes, objects and masks agree after whatever the person did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caiseg import Click, InvalidInput, Label
from caiseg.annotation import actions as do
from caiseg.annotation.actions import Action
from caiseg.annotation.brush import Stroke
from caiseg.annotation.packed_mask import PackedMask
from caiseg.annotation.session import AnnotationSession
from tests.caiseg.annotation.made_up_sessions import (
    ERASED,
    FIRST,
    PAINTED,
    SECOND,
    SHAPE,
    SPACING,
    THIRD,
    Network,
    add,
    after,
    mask_of,
    state,
)


def test_the_first_mask_needs_no_click_and_has_no_previous_mask() -> None:
    network = Network()
    session = AnnotationSession(network, SPACING)
    assert network.asked == [((), None)]
    assert session.current.previous_mask is None


def test_each_click_is_a_round_that_is_given_the_mask_before_it() -> None:
    network = Network()
    session = AnnotationSession(network, SPACING)
    for click in (FIRST, SECOND):
        shown = mask_of(session)
        session.apply(add(click), network)
        clicks, previous = network.asked[-1]
        assert clicks == session.current.clicks
        np.testing.assert_array_equal(previous, shown)
    assert session.current.clicks == (FIRST, SECOND)


def test_collected_clicks_are_one_round() -> None:
    network = Network()
    session = AnnotationSession(network, SPACING)
    session.apply(add(FIRST, SECOND, THIRD), network)
    assert [clicks for clicks, _ in network.asked] == [(), (FIRST, SECOND, THIRD)]
    session.apply(do.Undo(), network)
    assert session.current.clicks == ()


def test_undo_and_redo_restore_every_scene_exactly() -> None:
    network = Network()
    session = AnnotationSession(network, SPACING)
    actions = (
        add(FIRST),
        add(SECOND),
        PAINTED,
        do.Move(0, (2, 2, 2)),
        do.Delete(0),
        ERASED,
        do.Accept(),
        add(THIRD),
        do.RenameObject(2, "Node"),
        do.RecolourObject(1, "#112233"),
        do.NewObject(),
        do.DeleteObject(1),
        do.StartFrom(PackedMask.pack(np.ones(SHAPE, bool))),
        add(FIRST),
        do.Reset(),
        add(THIRD),
    )
    states = [state(session)]
    for action in actions:
        session.apply(action, network)
        states.append(state(session))
        assert states[-1] != states[-2], action
    calls = len(network.asked)
    for expected in reversed(states[:-1]):
        session.apply(do.Undo(), network)
        assert state(session) == expected
    assert not session.can_undo
    for expected in states[1:]:
        session.apply(do.Redo(), network)
        assert state(session) == expected
    assert not session.can_redo
    assert len(network.asked) == calls, "undo and redo must not ask the network again"


def test_a_click_after_undo_forgets_what_was_undone() -> None:
    session = after(add(FIRST), add(SECOND), do.Undo(), add(THIRD))
    assert not session.can_redo
    assert state(session) == state(after(add(FIRST), add(THIRD)))


def test_reset_shows_the_first_mask_and_can_be_undone() -> None:
    session = after(add(FIRST), PAINTED, do.Reset())
    assert state(session) == state(after())
    session.apply(do.Undo(), Network())
    assert state(session) == state(after(add(FIRST), PAINTED))


def test_a_click_after_reset_starts_from_the_first_mask() -> None:
    assert state(after(add(FIRST), do.Reset(), add(SECOND))) == state(after(add(SECOND)))


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_deleting_a_click_gives_what_replaying_the_others_gives(index: int, together: bool) -> None:
    clicks = [FIRST, SECOND, THIRD]
    session = after(*rounds(clicks, together), PAINTED, do.Delete(index))
    del clicks[index]
    assert state(session) == state(after(*rounds(clicks, together), PAINTED))


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_moved_click_is_as_if_it_had_been_made_there(index: int, together: bool) -> None:
    clicks = [FIRST, SECOND, THIRD]
    session = after(*rounds(clicks, together), PAINTED, do.Move(index, (3, 3, 3)))
    clicks[index] = replace(clicks[index], voxel=(3, 3, 3))
    assert state(session) == state(after(*rounds(clicks, together), PAINTED))


def rounds(clicks: list[Click], together: bool) -> list[do.Add]:
    return [add(*clicks)] if together else [add(click) for click in clicks]


def test_a_stroke_becomes_part_of_the_next_previous_mask() -> None:
    network = Network()
    session = AnnotationSession(network, SPACING)
    session.apply(PAINTED, network)
    drawn = mask_of(session)
    np.testing.assert_array_equal(drawn, PAINTED.stroke.voxels(SHAPE, SPACING).unpack())
    session.apply(add(FIRST), network)
    np.testing.assert_array_equal(network.asked[-1][1], drawn)


def test_later_clicks_keep_what_was_drawn_by_hand() -> None:
    session = after(PAINTED, ERASED, add(FIRST, SECOND, THIRD), add(FIRST))
    erased = ERASED.stroke.voxels(SHAPE, SPACING).unpack()
    painted = PAINTED.stroke.voxels(SHAPE, SPACING).unpack() & ~erased
    assert painted.any()
    assert mask_of(session)[painted].all()
    assert not mask_of(session)[erased].any()


def test_a_voxel_drawn_twice_stays_as_it_was_drawn_last() -> None:
    session = after(ERASED, PAINTED, add(FIRST))
    assert mask_of(session)[PAINTED.stroke.voxels(SHAPE, SPACING).unpack()].all()


def test_a_mask_to_start_from_is_shown_and_is_the_first_previous_mask() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[1:3, 2:5, 3] = True
    network = Network()
    session = AnnotationSession(network, SPACING)
    session.apply(add(SECOND), network)
    session.apply(do.StartFrom(PackedMask.pack(mask)), network)
    np.testing.assert_array_equal(mask_of(session), mask)
    assert session.current.clicks == ()
    session.apply(add(FIRST), network)
    clicks, previous = network.asked[-1]
    assert clicks == (FIRST,)
    np.testing.assert_array_equal(previous, mask)
    session.apply(do.Reset(), network)
    np.testing.assert_array_equal(mask_of(session), mask)


def test_further_masks_of_a_file_become_objects_of_their_own() -> None:
    masks = [np.zeros(SHAPE, bool) for _ in range(3)]
    for place, mask in enumerate(masks):
        mask[place] = True
    first, *further = map(PackedMask.pack, masks)
    session = after(add(FIRST), do.StartFrom(first, tuple(further)))
    assert [item.round.mask for item in session.scene.objects] == [first, *further]
    assert session.scene.active_id == 1
    session.apply(do.Undo(), Network())
    assert state(session) == state(after(add(FIRST)))


def test_each_object_has_its_own_clicks_and_masks() -> None:
    network = Network()
    session = AnnotationSession(network, SPACING)
    session.apply(add(FIRST), network)
    session.apply(do.NewObject("Node"), network)
    assert not mask_of(session).any(), "a further object starts empty"
    session.apply(add(SECOND), network)
    clicks, previous = network.asked[-1]
    assert clicks == (SECOND,)
    assert previous is not None
    assert not previous.any()
    session.apply(do.SelectObject(1), network)
    assert session.current.clicks == (FIRST,)
    assert [item.name for item in session.scene.objects] == ["Lesion 1", "Node"]


def test_choosing_an_object_is_no_step_to_undo_and_keeps_what_was_undone() -> None:
    session = after(do.NewObject(), add(FIRST), do.Undo(), do.SelectObject(1))
    assert session.scene.active_id == 1
    session.apply(do.Redo(), Network())
    assert session.current.clicks == (FIRST,)
    session.apply(do.Undo(), Network())
    assert session.scene.active_id == 1


def test_nothing_to_undo_redo_or_reset_is_no_step() -> None:
    session = after(do.Undo(), do.Redo(), do.Reset())
    assert state(session) == state(after())
    assert not session.can_undo
    assert not session.can_redo


@pytest.mark.parametrize(
    "action",
    [
        add(Click((5, 0, 0), Label.FOREGROUND)),
        do.Delete(1),
        do.Delete(-1),
        do.Move(1, (0, 0, 0)),
        do.Move(0, (0, 0, 7)),
        do.Draw(Stroke(True, ((0, 6, 0),), 1.0)),
        do.Draw(Stroke(True, ((0, 0, 0), (0, -1, 0)), 1.0)),
        do.StartFrom(PackedMask.empty((5, 6, 8))),
        do.SelectObject(2),
        do.RenameObject(2, "Node"),
        do.RecolourObject(2, "#112233"),
        do.DeleteObject(2),
        do.DeleteObject(1),
    ],
    ids=str,
)
def test_an_impossible_action_is_refused_and_changes_nothing(action: Action) -> None:
    session = after(add(FIRST))
    with pytest.raises(InvalidInput):
        session.apply(action, Network())
    assert state(session) == state(after(add(FIRST)))
    assert not session.can_redo
    assert session.log == (add(FIRST),)


def test_another_checkpoint_answers_everything_again_and_undo_still_works() -> None:
    actions = (add(FIRST), PAINTED, add(SECOND), do.Accept(), add(THIRD), do.Delete(0), do.Undo())
    session = AnnotationSession.from_log(actions, lambda *_: np.zeros(SHAPE, bool), SPACING)
    session.replay(Network())
    assert state(session) == state(after(*actions))
    assert session.can_redo
    for count in range(5, -1, -1):
        assert state(session) == state(after(*actions[:count]))
        session.apply(do.Undo(), Network())
