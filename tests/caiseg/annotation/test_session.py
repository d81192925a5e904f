"""Clicks, S_p and mask agree after whatever the person did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from caiseg import Click, InvalidInput, Label
from caiseg.annotation.actions import Action, Add, Delete, Redo, Reset, Undo
from caiseg.annotation.packed_mask import BoolArray
from caiseg.annotation.session import AnnotationSession

SHAPE = (5, 6, 7)
FIRST = Click((1, 2, 3), Label.FOREGROUND)
SECOND = Click((4, 0, 6), Label.BACKGROUND)
THIRD = Click((0, 5, 0), Label.FOREGROUND)


@dataclass
class Network:
    """Its mask depends on every click, on their order, and on every mask before it."""

    asked: list[tuple[tuple[Click, ...], BoolArray | None]] = field(default_factory=list)

    def __call__(self, clicks: Sequence[Click], previous: BoolArray | None) -> BoolArray:
        self.asked.append((tuple(clicks), previous))
        mask = np.zeros(SHAPE, bool) if previous is None else np.roll(previous, 1, axis=2)
        for click in clicks:
            mask[click.voxel] ^= True
        return mask


def after(*actions: Action) -> AnnotationSession:
    network = Network()
    session = AnnotationSession(network)
    for action in actions:
        session.apply(action, network)
    return session


def state(session: AnnotationSession) -> tuple[tuple[Click, ...], bytes, bytes | None]:
    """Clicks, mask and S_p, comparable."""
    shown = session.current
    previous = shown.previous.mask.unpack().tobytes() if shown.previous else None
    return shown.clicks, shown.mask.unpack().tobytes(), previous


def test_the_first_mask_needs_no_click_and_has_no_previous_mask() -> None:
    network = Network()
    AnnotationSession(network)
    assert network.asked == [((), None)]


def test_each_click_is_a_round_that_is_given_the_mask_before_it() -> None:
    network = Network()
    session = AnnotationSession(network)
    for click in (FIRST, SECOND):
        shown = session.current.mask.unpack()
        session.apply(Add(click), network)
        clicks, previous = network.asked[-1]
        assert clicks == session.current.clicks
        np.testing.assert_array_equal(previous, shown)
    assert session.current.clicks == (FIRST, SECOND)


def test_undo_and_redo_restore_every_round_exactly() -> None:
    network = Network()
    session = AnnotationSession(network)
    actions = (Add(FIRST), Add(SECOND), Delete(0), Reset(), Add(THIRD))
    states = [state(session)]
    for action in actions:
        session.apply(action, network)
        states.append(state(session))
    calls = len(network.asked)
    for expected in reversed(states[:-1]):
        session.apply(Undo(), network)
        assert state(session) == expected
    assert not session.can_undo
    for expected in states[1:]:
        session.apply(Redo(), network)
        assert state(session) == expected
    assert not session.can_redo
    assert len(network.asked) == calls, "undo and redo must not ask the network again"


def test_a_click_after_undo_forgets_what_was_undone() -> None:
    session = after(Add(FIRST), Add(SECOND), Undo(), Add(THIRD))
    assert not session.can_redo
    assert state(session) == state(after(Add(FIRST), Add(THIRD)))


def test_reset_shows_the_first_mask_and_can_be_undone() -> None:
    session = after(Add(FIRST), Add(SECOND), Reset())
    assert state(session) == state(after())
    session.apply(Undo(), Network())
    assert state(session) == state(after(Add(FIRST), Add(SECOND)))


def test_a_click_after_reset_starts_from_the_first_mask() -> None:
    assert state(after(Add(FIRST), Reset(), Add(SECOND))) == state(after(Add(SECOND)))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_deleting_a_click_gives_what_replaying_the_others_gives(index: int) -> None:
    clicks = [FIRST, SECOND, THIRD]
    session = after(*map(Add, clicks), Delete(index))
    del clicks[index]
    assert state(session) == state(after(*map(Add, clicks)))


def test_nothing_to_undo_redo_or_reset_is_no_round() -> None:
    session = after(Undo(), Redo(), Reset())
    assert state(session) == state(after())
    assert not session.can_undo
    assert not session.can_redo


@pytest.mark.parametrize(
    "action", [Add(Click((5, 0, 0), Label.FOREGROUND)), Delete(1), Delete(-1)], ids=str
)
def test_an_impossible_action_is_refused_and_changes_nothing(action: Action) -> None:
    session = after(Add(FIRST))
    with pytest.raises(InvalidInput):
        session.apply(action, Network())
    assert state(session) == state(after(Add(FIRST)))
    assert not session.can_redo


def test_another_checkpoint_answers_the_same_clicks_round_by_round() -> None:
    session = after(Add(FIRST), Add(SECOND), Add(THIRD), Delete(1))
    session.replay(Network())
    assert state(session) == state(after(Add(FIRST), Add(THIRD)))
    session.apply(Undo(), Network())
    assert state(session) == state(after(Add(FIRST)))
