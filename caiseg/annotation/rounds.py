"""The rounds of one object: each is one step of the person and the mask that it led to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from caiseg.annotation.actions import Add, Draw
from caiseg.annotation.neighbours import without_known_lesions
from caiseg.annotation.packed_mask import BoolArray, PackedMask
from caiseg.clicks import Click, check_inside
from caiseg.errors import InvalidInput
from caiseg.grids import Shape, Spacing

Segment = Callable[[Sequence[Click], BoolArray | None], BoolArray]
"""Answers ``(clicks, previous mask S_p)`` with a mask ``(I, J, K)`` on the display grid."""

Step = Add | Draw
"""What a round is made of: clicks that the network answers, or a stroke of the brush."""


@dataclass(frozen=True, slots=True)
class Round:
    """One step, and the mask after it.

    Every mask is a fold over the steps before it: clicks are answered by the network, which is
    given the mask of the round before as ``S_p``; a stroke changes that mask directly, and so
    becomes part of the next ``S_p``. A voxel that was painted or erased by hand stays as it was
    set, whatever the network says to later clicks, until it is drawn over or the object is reset.
    An object that began empty takes nothing of what the network outlines of accepted objects again
    (:mod:`.neighbours`): of those that are accepted when it answers.

    Attributes:
        step: What the person did; none for the mask that the object started from.
        clicks: All clicks so far, in the order in which they were made.
        painted: Voxels painted by hand and not erased since.
        erased: Voxels erased by hand and not painted since.
        mask: The mask after this step.
        previous: The round before.
    """

    step: Step | None
    clicks: tuple[Click, ...]
    painted: PackedMask
    erased: PackedMask
    mask: PackedMask
    previous: Round | None = field(default=None, repr=False)

    @property
    def previous_mask(self) -> PackedMask | None:
        """``S_p``: the mask that this step started from; none at the start."""
        return self.previous.mask if self.previous else None

    @property
    def start(self) -> Round:
        """The round that the object started from."""
        *_, start = self._backwards()
        return start

    @property
    def history(self) -> list[Round]:
        """All rounds of the object up to this one, in time order."""
        return list(self._backwards())[::-1]

    @property
    def steps(self) -> list[Step]:
        """All steps so far, in time order."""
        return [done.step for done in self._backwards() if done.step][::-1]

    def _backwards(self) -> Iterator[Round]:
        earlier: Round | None = self
        while earlier is not None:
            yield earlier
            earlier = earlier.previous


@dataclass(frozen=True, slots=True)
class Rules:
    """How rounds follow each other on one scan.

    Args:
        segment: The network, on this scan.
        spacing: Distance of the display grid's voxels along ``(i, j, k)``, in mm.
        accepted: The masks of the other objects that are accepted.
    """

    segment: Segment
    spacing: Spacing
    accepted: tuple[PackedMask, ...] = ()

    def first(self) -> Round:
        """The network's mask without a click."""
        return start_from(PackedMask.pack(self.segment((), None)))

    def after(self, previous: Round, step: Step) -> Round:
        """The round that a step leads to.

        Raises:
            InvalidInput: A click or stroke lies outside the scan.
        """
        match step:
            case Add(clicks):
                return self._answered(previous, step, clicks)
            case Draw(stroke):
                voxels = stroke.voxels(previous.mask.shape, self.spacing)
                kept, lost = previous.painted, previous.erased
                if stroke.paint:
                    kept, lost = kept.with_voxels(voxels), lost.without_voxels(voxels)
                    mask = previous.mask.with_voxels(voxels)
                else:
                    kept, lost = kept.without_voxels(voxels), lost.with_voxels(voxels)
                    mask = previous.mask.without_voxels(voxels)
                return Round(step, previous.clicks, kept, lost, mask, previous)

    def without_click(self, present: Round, index: int) -> Round:
        """The fold over all steps but one click.

        Raises:
            InvalidInput: There is no such click.
        """
        _check_listed(present, index)
        return self._with_click(present, index, None)

    def with_click_moved(self, present: Round, index: int, voxel: Shape) -> Round:
        """The fold over all steps with one click at another voxel.

        Raises:
            InvalidInput: There is no such click, or the voxel lies outside the scan.
        """
        _check_listed(present, index)
        moved = replace(present.clicks[index], voxel=voxel)
        check_inside([moved], present.mask.shape)
        return self._with_click(present, index, moved)

    def again(self, start: Round, steps: Sequence[Step]) -> Round:
        """Fold steps over a start."""
        for step in steps:
            start = self.after(start, step)
        return start

    def _answered(self, previous: Round, step: Add, new: tuple[Click, ...]) -> Round:
        check_inside(new, previous.mask.shape)
        clicks = (*previous.clicks, *new)
        answer = PackedMask.pack(self.segment(clicks, previous.mask.unpack()))
        if previous.start.mask.voxels == 0:
            answer = without_known_lesions(answer, self.accepted, clicks, previous.painted)
        mask = answer.with_voxels(previous.painted).without_voxels(previous.erased)
        return Round(step, clicks, previous.painted, previous.erased, mask, previous)

    def _with_click(self, present: Round, index: int, changed: Click | None) -> Round:
        """Fold anew from the round that brought a click; what came before it stays."""
        later: list[Step] = []
        before = present
        while before.previous is not None and len(before.clicks) > index:
            assert before.step is not None
            later.append(before.step)
            before = before.previous
        step = later.pop()
        assert isinstance(step, Add)
        place = index - len(before.clicks)
        rest = (*step.clicks[:place], *([changed] if changed else []), *step.clicks[place + 1 :])
        again: list[Step] = [Add(rest)] if rest else []
        return self.again(before, [*again, *reversed(later)])


def start_from(mask: PackedMask) -> Round:
    """The round of an object that starts from a mask."""
    nothing = PackedMask.empty(mask.shape)
    return Round(None, (), nothing, nothing, mask)


def _check_listed(present: Round, index: int) -> None:
    if not 0 <= index < len(present.clicks):
        raise InvalidInput(f"There is no click {index + 1}; choose one from the list.")
