"""Clicks: what a person tells the network about one voxel."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caiseg.errors import InvalidInput


class Label(enum.IntEnum):
    """What a click says about the voxel under it."""

    BACKGROUND = 0
    FOREGROUND = 1

    @property
    def short(self) -> str:
        """The form used on command lines and in session files: ``fg`` or ``bg``."""
        return "fg" if self is Label.FOREGROUND else "bg"

    @classmethod
    def parse(cls, text: str) -> Label:
        """Read ``fg``/``bg`` (or the full names, in any case).

        Raises:
            InvalidInput: The text names no label.
        """
        names = {"fg": cls.FOREGROUND, "bg": cls.BACKGROUND}
        names |= {"foreground": cls.FOREGROUND, "background": cls.BACKGROUND}
        try:
            return names[text.strip().lower()]
        except KeyError:
            raise InvalidInput(
                f"'{text}' is not a click label; write fg for foreground or bg for background."
            ) from None


@dataclass(frozen=True, slots=True)
class Click:
    """One click of a person.

    Attributes:
        voxel: Index ``(i, j, k)`` on the display grid (closest canonical, RAS+).
        label: What the person says about that voxel.
    """

    voxel: tuple[int, int, int]
    label: Label

    def __post_init__(self) -> None:
        if len(self.voxel) != 3:
            raise InvalidInput(f"A click needs three voxel indices (i, j, k), not {self.voxel}.")
        object.__setattr__(self, "voxel", tuple(int(index) for index in self.voxel))
        object.__setattr__(self, "label", Label(self.label))

    def to_json(self) -> dict[str, Any]:
        """This click as plain JSON types."""
        return {"voxel": list(self.voxel), "label": self.label.short}

    @classmethod
    def from_json(cls, document: Any) -> Click:
        """The inverse of :meth:`to_json`.

        Raises:
            InvalidInput: The document is not a click.
        """
        try:
            i, j, k = document["voxel"]
            return cls((int(i), int(j), int(k)), Label.parse(str(document["label"])))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"{document!r} is not a click: {error}") from error


def check_inside(clicks: Sequence[Click], shape: tuple[int, int, int]) -> None:
    """Refuse clicks outside a grid.

    Raises:
        InvalidInput: A click's voxel is not an index of ``shape``.
    """
    for click in clicks:
        if not all(0 <= index < size for index, size in zip(click.voxel, shape, strict=True)):
            raise InvalidInput(
                f"The click at voxel {click.voxel} lies outside the scan, whose size is {shape}; "
                "place it inside the scan."
            )
