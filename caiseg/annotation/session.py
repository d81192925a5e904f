"""One person's work on one scan: clicks, and the rounds that they led to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from caiseg import Click, InvalidInput
from caiseg.annotation.actions import Action, Add, Delete, Redo, Reset, Undo
from caiseg.annotation.packed_mask import BoolArray, PackedMask
from caiseg.clicks import check_inside

Segment = Callable[[Sequence[Click], BoolArray | None], BoolArray]
"""Answers ``(clicks, previous mask S_p)`` with a mask ``(I, J, K)`` on the display grid."""


@dataclass(frozen=True, slots=True)
class Round:
    """One answer of the network, and what it was computed from.

    Attributes:
        clicks: All clicks that the network saw, in the order in which they were made.
        mask: What it answered.
        previous: The round whose mask was given as ``S_p``, none for the first mask. Its clicks
            are this round's but the last, so every mask is a fold over its own clicks, and
            replaying them gives the same mask.
    """

    clicks: tuple[Click, ...]
    mask: PackedMask
    previous: Round | None = field(default=None, repr=False)


class AnnotationSession:
    """The rounds of one scan, of which one is on screen; undo and redo move along them.

    Args:
        segment: The network, on this scan; called at once for the first mask, without a click.
    """

    def __init__(self, segment: Segment):
        self._rounds = [_first_round(segment)]
        self._cursor = 0

    @property
    def current(self) -> Round:
        """The round on screen."""
        return self._rounds[self._cursor]

    @property
    def can_undo(self) -> bool:
        """Whether there is a round before the one on screen."""
        return self._cursor > 0

    @property
    def can_redo(self) -> bool:
        """Whether a round was undone and nothing new has been done since."""
        return self._cursor < len(self._rounds) - 1

    def apply(self, action: Action, segment: Segment) -> None:
        """Do one thing that the person asked for.

        Undo, redo and reset with nothing to undo, redo or reset change nothing.

        Args:
            action: What to do.
            segment: The network, on this session's scan.

        Raises:
            InvalidInput: A click outside the scan, or a click to delete that does not exist.
        """
        match action:
            case Add(click):
                check_inside([click], self.current.mask.shape)
                self._push(_next_round(self.current, click, segment))
            case Delete(index):
                self._push(_without_click(self.current, index, segment))
            case Reset():
                if self.current.clicks:
                    self._push(self._rounds[0])
            case Undo():
                self._cursor = max(self._cursor - 1, 0)
            case Redo():
                self._cursor = min(self._cursor + 1, len(self._rounds) - 1)

    def replay(self, segment: Segment) -> None:
        """Answer the clicks on screen again, one round each, for another checkpoint."""
        rounds = [_first_round(segment)]
        for click in self.current.clicks:
            rounds.append(_next_round(rounds[-1], click, segment))
        self._rounds = rounds
        self._cursor = len(rounds) - 1

    def _push(self, new: Round) -> None:
        del self._rounds[self._cursor + 1 :]
        self._rounds.append(new)
        self._cursor += 1


def _first_round(segment: Segment) -> Round:
    return Round((), PackedMask.pack(segment((), None)))


def _next_round(previous: Round, click: Click, segment: Segment) -> Round:
    clicks = (*previous.clicks, click)
    return Round(clicks, PackedMask.pack(segment(clicks, previous.mask.unpack())), previous)


def _without_click(current: Round, index: int, segment: Segment) -> Round:
    """The fold over the clicks of ``current`` but one: only what comes after it is new."""
    if not 0 <= index < len(current.clicks):
        raise InvalidInput(f"There is no click {index + 1} to delete; choose one from the list.")
    predecessors = [current]
    while (earlier := predecessors[-1].previous) is not None:
        predecessors.append(earlier)
    fold = predecessors[len(current.clicks) - index]
    for click in current.clicks[index + 1 :]:
        fold = _next_round(fold, click, segment)
    return fold
