"""The objects that are annotated in one scan, and which of them has a voxel that several claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caiseg.annotation.packed_mask import BoolArray, PackedMask, triple
from caiseg.annotation.rounds import Round, start_from
from caiseg.errors import InvalidInput

PALETTE = ("#E69F00", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#F0E442", "#56B4E9")
"""Colours that people with any kind of colour vision tell apart (Okabe and Ito 2008).

The last two mean something else on the page: uncertain regions, and background clicks.
"""

MAX_OBJECTS = 255
"""As many as a mask file has labels."""


@dataclass(frozen=True, slots=True)
class AnnotatedObject:
    """One lesion, or whatever else is outlined.

    Attributes:
        object_id: Names it in actions; never given to another object of the session.
        name: Its name, for the person and the files.
        colour: ``#RRGGBB``.
        round: Its last round.
        accepted: The mask with which it was accepted; none while it is open.
    """

    object_id: int
    name: str
    colour: str
    round: Round
    accepted: PackedMask | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """All objects of a scan at one moment.

    **Overlaps.** A voxel belongs to one object at most. What is accepted is kept: an accepted
    object never loses a voxel to another one. Between objects that are still open, the one higher
    in the list has it. What the network outlines of an accepted object again, when it answers
    clicks of one that began empty, is dropped (:mod:`.neighbours`).

    Attributes:
        objects: At least one, in the order of the list.
        active_id: The object that clicks and strokes go to.
        next_id: The id of the next object.
    """

    objects: tuple[AnnotatedObject, ...]
    active_id: int
    next_id: int

    @classmethod
    def of_one(cls, start: Round) -> Scene:
        """A scene with one object."""
        return cls((), 0, 1).with_new("", "", start)

    @property
    def active(self) -> AnnotatedObject:
        """The object that clicks and strokes go to."""
        return self.find(self.active_id)

    @property
    def accepted_beside_active(self) -> tuple[PackedMask, ...]:
        """The masks of the accepted objects that are not the active one."""
        others = (item.accepted for item in self.objects if item.object_id != self.active_id)
        return tuple(mask for mask in others if mask is not None)

    @cached_property
    def masks(self) -> Mapping[int, PackedMask]:
        """Each object's own voxels, by its id: no voxel is in two of them."""
        ranked = sorted(self.objects, key=lambda item: item.accepted is None)
        claims = [(item.object_id, item.accepted or item.round.mask) for item in ranked]
        return _without_overlaps(claims)

    @property
    def labels(self) -> NDArray[np.uint8]:
        """One array ``(I, J, K)``: 1 for the first object of the list, and so on, 0 for none."""
        labels = np.zeros(self.objects[0].round.mask.shape, dtype=np.uint8)
        for label, item in enumerate(self.objects, start=1):
            own = self.masks[item.object_id]
            labels[own.box][own.crop()] = label
        return labels

    def find(self, object_id: int) -> AnnotatedObject:
        """The object of an id.

        Raises:
            InvalidInput: There is none.
        """
        for item in self.objects:
            if item.object_id == object_id:
                return item
        raise InvalidInput("This object does not exist any more; choose one from the list.")

    def with_active(self, object_id: int) -> Scene:
        """Another active object."""
        return replace(self, active_id=self.find(object_id).object_id)

    def with_round(self, new: Round) -> Scene:
        """The active object after another round; one that was accepted is open again."""
        return self.with_changed(replace(self.active, round=new, accepted=None))

    def with_changed(self, changed: AnnotatedObject) -> Scene:
        """One object changed, in its place."""
        objects = tuple(
            changed if item.object_id == changed.object_id else item for item in self.objects
        )
        return replace(self, objects=objects)

    def with_new(self, name: str, colour: str, start: Round) -> Scene:
        """A further object at the end of the list, active.

        Raises:
            InvalidInput: There are as many as a mask file has labels.
        """
        if len(self.objects) == MAX_OBJECTS:
            raise InvalidInput(
                f"A mask file has room for {MAX_OBJECTS} objects; save these and start another."
            )
        new = AnnotatedObject(
            self.next_id,
            name or f"Lesion {self.next_id}",
            colour or PALETTE[(self.next_id - 1) % len(PALETTE)],
            start,
        )
        return Scene((*self.objects, new), new.object_id, self.next_id + 1)

    def with_new_empty(self, name: str = "", colour: str = "") -> Scene:
        """A further object without a voxel, active."""
        shape = self.objects[0].round.mask.shape
        return self.with_new(name, colour, start_from(PackedMask.empty(shape)))

    def without(self, object_id: int) -> Scene:
        """One object less; its neighbour becomes active in its place.

        Raises:
            InvalidInput: It does not exist, or is the only one.
        """
        gone = self.objects.index(self.find(object_id))
        rest = (*self.objects[:gone], *self.objects[gone + 1 :])
        if not rest:
            raise InvalidInput("This is the only object; reset it instead of deleting it.")
        heir = rest[min(gone, len(rest) - 1)].object_id
        return replace(
            self, objects=rest, active_id=heir if self.active_id == object_id else self.active_id
        )

    def with_active_accepted(self) -> Scene:
        """The active object accepted as it is shown, and the next open one active.

        Where no object is open any more, a new one is added.

        Raises:
            InvalidInput: The active object has no voxel.
        """
        own = self.masks[self.active_id]
        if own.voxels == 0:
            raise InvalidInput(
                f"{self.active.name} is empty, so there is nothing to accept; click on it first."
            )
        accepted = self.with_changed(replace(self.active, accepted=own))
        still_open = [item.object_id for item in accepted.objects if item.accepted is None]
        return accepted.with_active(still_open[0]) if still_open else accepted.with_new_empty()


def _without_overlaps(claims: list[tuple[int, PackedMask]]) -> dict[int, PackedMask]:
    """Give each voxel to the first that claims it."""
    filled = [mask for _, mask in claims if mask.voxels]
    if len(filled) < 2:
        return dict(claims)
    start = np.min([mask.start for mask in filled], axis=0)
    stop = np.max([np.add(mask.start, mask.size) for mask in filled], axis=0)
    taken: BoolArray = np.zeros(tuple(stop - start), dtype=bool)
    owned = {}
    for object_id, mask in claims:
        box = tuple(
            slice(s - o, s - o + n) for s, n, o in zip(mask.start, mask.size, start, strict=True)
        )
        crop = mask.crop()
        free = crop & ~taken[box] if mask.voxels else crop
        lost = np.count_nonzero(free) < mask.voxels
        owned[object_id] = (
            PackedMask.pack_crop(free, triple(mask.start), mask.shape) if lost else mask
        )
        if mask.voxels:
            taken[box] |= crop
    return owned
