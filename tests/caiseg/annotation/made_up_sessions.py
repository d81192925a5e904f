"""Sessions of a network whose masks tell everything that it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from caiseg import Click, Label
from caiseg.annotation.actions import Action, Add, Draw
from caiseg.annotation.brush import Stroke
from caiseg.annotation.packed_mask import BoolArray
from caiseg.annotation.session import AnnotationSession

SHAPE = (5, 6, 7)
SPACING = (1.0, 1.5, 2.0)
FIRST = Click((1, 2, 3), Label.FOREGROUND)
SECOND = Click((4, 0, 6), Label.BACKGROUND)
THIRD = Click((0, 5, 0), Label.FOREGROUND)
PAINTED = Draw(Stroke(True, ((2, 3, 3), (4, 3, 3)), 1.6))
ERASED = Draw(Stroke(False, ((2, 3, 3),), 1.0))


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


def add(*clicks: Click) -> Add:
    """Clicks for one round."""
    return Add(clicks)


def after(*actions: Action) -> AnnotationSession:
    return AnnotationSession.from_log(actions, Network(), SPACING)


def state(session: AnnotationSession) -> object:
    """All that a person can see, and the S_p behind it, comparable."""
    scene = session.scene
    objects = [
        (item, scene.masks[item.object_id], item.round.previous_mask) for item in scene.objects
    ]
    return scene.active_id, objects


def mask_of(session: AnnotationSession) -> BoolArray:
    return session.current.mask.unpack()
