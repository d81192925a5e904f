"""Whatever a person does, in whatever order, can be saved, undone and replayed."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from caiseg import Click, InvalidInput, Label
from caiseg.annotation import actions as do
from caiseg.annotation.actions import Action, action_to_json, parse_action
from caiseg.annotation.brush import Stroke
from caiseg.annotation.packed_mask import PackedMask
from caiseg.annotation.session import AnnotationSession
from tests.caiseg.annotation.made_up_sessions import SHAPE, SPACING, Network, state

VOXELS = st.tuples(*[st.integers(0, size) for size in SHAPE])
CLICKS = st.builds(Click, VOXELS, st.sampled_from(Label))
IDS = st.integers(1, 4)
MASKS = st.lists(
    st.lists(st.integers(0, 209)).map(
        lambda voxels: PackedMask.pack(np.isin(np.arange(210), voxels).reshape(SHAPE))
    ),
    min_size=1,
    max_size=2,
)
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(lambda clicks: do.Add(tuple(clicks)), st.lists(CLICKS, min_size=1, max_size=3)),
    st.builds(do.Move, st.integers(0, 3), VOXELS),
    st.builds(do.Delete, st.integers(0, 3)),
    st.builds(
        lambda paint, path, radius: do.Draw(Stroke(paint, tuple(path), radius)),
        st.booleans(),
        st.lists(VOXELS, min_size=1, max_size=3),
        st.floats(0.1, 4),
    ),
    st.builds(lambda masks: do.StartFrom(masks[0], tuple(masks[1:])), MASKS),
    st.sampled_from([do.Reset(), do.Accept(), do.NewObject(), do.NewObject("Node", "#112233")]),
    st.sampled_from([do.Undo(), do.Redo()]),
    st.builds(do.SelectObject, IDS),
    st.builds(do.RenameObject, IDS, st.sampled_from(["Node", "Läsion"])),
    st.builds(do.RecolourObject, IDS, st.just("#A1B2C3")),
    st.builds(do.DeleteObject, IDS),
)


def attempted(actions: list[Action]) -> AnnotationSession:
    """A session after those of the actions that are possible."""
    network = Network()
    session = AnnotationSession(network, SPACING)
    for action in actions:
        try:
            session.apply(action, network)
        except InvalidInput:
            continue
    return session


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=14))
def test_a_saved_session_replays_to_the_same_masks(actions: list[Action]) -> None:
    session = attempted(actions)
    saved = json.dumps([action_to_json(action) for action in session.log])
    log = [parse_action(entry) for entry in json.loads(saved)]
    again = AnnotationSession.from_log(log, Network(), SPACING)
    assert state(again) == state(session)
    assert (again.can_undo, again.can_redo) == (session.can_undo, session.can_redo)


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=14), st.integers(0, 14))
def test_undoing_and_redoing_as_often_changes_nothing(actions: list[Action], count: int) -> None:
    session = attempted(actions)
    before = state(session)
    undone = 0
    while session.can_undo and undone < count:
        session.apply(do.Undo(), Network())
        undone += 1
    for _ in range(undone):
        session.apply(do.Redo(), Network())
    assert state(session) == before


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=14))
def test_every_mask_is_a_fold_over_the_objects_own_steps(actions: list[Action]) -> None:
    session = attempted(actions)
    for item in session.scene.objects:
        start = item.round.start
        # Beside accepted objects it takes less, see test_neighbours.py.
        if start.mask.voxels == 0 and do.Accept() in session.log:
            continue
        base = [do.StartFrom(start.mask), *item.round.steps]
        alone = AnnotationSession.from_log(base, Network(), SPACING)
        assert alone.current.mask == item.round.mask
        assert alone.current.clicks == item.round.clicks
