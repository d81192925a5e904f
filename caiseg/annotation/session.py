"""One person's work on one scan: everything they did, and the objects it led to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from caiseg.annotation.actions import (
    Accept,
    Action,
    Add,
    Delete,
    DeleteObject,
    Draw,
    Move,
    NewObject,
    RecolourObject,
    Redo,
    RenameObject,
    Reset,
    SelectObject,
    StartFrom,
    Undo,
)
from caiseg.annotation.objects import Scene
from caiseg.annotation.packed_mask import PackedMask
from caiseg.annotation.rounds import Round, Rules, Segment, start_from
from caiseg.errors import InvalidInput
from caiseg.grids import Spacing


class AnnotationSession:
    """The scenes that a person's actions led to, of which one is on screen.

    Undo and redo move along the scenes, so clicks, ``S_p``, hand edits, masks and objects always
    agree. The first object starts from the network's mask without a click, every further one
    empty. Choosing an object is not a step of its own to undo.

    The session is a function of its :attr:`log` and the network: :meth:`from_log` gives the same
    masks again, step by step.

    Args:
        segment: The network, on this scan; called at once for the first mask.
        spacing: Distance of the display grid's voxels along ``(i, j, k)``, in mm.
    """

    def __init__(self, segment: Segment, spacing: Spacing):
        self._spacing = spacing
        self._scenes = [Scene.of_one(Rules(segment, spacing).first())]
        self._cursor = 0
        self._log: list[Action] = []

    @classmethod
    def from_log(
        cls, log: Iterable[Action], segment: Segment, spacing: Spacing
    ) -> AnnotationSession:
        """Do a list of actions again, from the first mask on.

        Raises:
            InvalidInput: An action cannot be done, so the list belongs to another scan.
        """
        session = cls(segment, spacing)
        for action in log:
            session.apply(action, segment)
        return session

    @property
    def scene(self) -> Scene:
        """The objects on screen."""
        return self._scenes[self._cursor]

    @property
    def current(self) -> Round:
        """The last round of the active object."""
        return self.scene.active.round

    @property
    def log(self) -> tuple[Action, ...]:
        """Everything that was done, in time order, undo and redo included."""
        return tuple(self._log)

    @property
    def can_undo(self) -> bool:
        """Whether there is a scene before the one on screen."""
        return self._cursor > 0

    @property
    def can_redo(self) -> bool:
        """Whether a step was undone and nothing new has been done since."""
        return self._cursor < len(self._scenes) - 1

    def apply(self, action: Action, segment: Segment) -> None:
        """Do one thing that the person asked for.

        Undo, redo and reset with nothing to undo, redo or reset change nothing.

        Args:
            action: What to do.
            segment: The network, on this session's scan.

        Raises:
            InvalidInput: It cannot be done: a click or stroke outside the scan, a click or object
                that does not exist, a mask of another size. Nothing has changed then.
        """
        match action:
            case Undo():
                self._cursor = max(self._cursor - 1, 0)
            case Redo():
                self._cursor = min(self._cursor + 1, len(self._scenes) - 1)
            case SelectObject(object_id):
                self._scenes[self._cursor] = self.scene.with_active(object_id)
            case _:
                rules = Rules(segment, self._spacing, self.scene.accepted_beside_active)
                scene = _changed(self.scene, action, rules)
                if scene is not self.scene:
                    del self._scenes[self._cursor + 1 :]
                    self._scenes.append(scene)
                    self._cursor += 1
        self._log.append(action)

    def replay(self, segment: Segment) -> None:
        """Do everything again with another checkpoint."""
        again = AnnotationSession.from_log(self._log, segment, self._spacing)
        self._scenes, self._cursor = again._scenes, again._cursor


def _changed(scene: Scene, action: Action, rules: Rules) -> Scene:
    match action:
        case RenameObject(object_id, name):
            return scene.with_changed(replace(scene.find(object_id), name=name))
        case RecolourObject(object_id, colour):
            return scene.with_changed(replace(scene.find(object_id), colour=colour))
        case NewObject(name, colour):
            return scene.with_new_empty(name, colour)
        case DeleteObject(object_id):
            return scene.without(object_id)
        case Accept():
            return scene.with_active_accepted()
    present = scene.active.round
    match action:
        case Add() | Draw():
            return scene.with_round(rules.after(present, action))
        case Move(index, voxel):
            return scene.with_round(rules.with_click_moved(present, index, voxel))
        case Delete(index):
            return scene.with_round(rules.without_click(present, index))
        case Reset():
            return scene if present.step is None else scene.with_round(present.start)
        case StartFrom(mask, further):
            started = scene.with_round(_started(mask, present))
            for each in further:
                started = started.with_new("", "", _started(each, present))
            return started.with_active(scene.active_id)
    raise AssertionError(action)


def _started(mask: PackedMask, present: Round) -> Round:
    if mask.shape != present.mask.shape:
        raise InvalidInput(
            f"The mask has {_size(mask)} voxels but the scan {_size(present.mask)}, so it belongs "
            "to another scan; choose the mask of this one."
        )
    return start_from(mask)


def _size(mask: PackedMask) -> str:
    return " × ".join(map(str, mask.shape))
