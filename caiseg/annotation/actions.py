"""What a person can ask of an annotation session, and how the browser says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caiseg import Click
from caiseg.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Add:
    """Add a click at the end of the list."""

    click: Click


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the click at this place in the list, counted from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Start over without clicks."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Go back one round."""


@dataclass(frozen=True, slots=True)
class Redo:
    """Go forward one round."""


Action = Add | Delete | Reset | Undo | Redo


def parse_actions(document: Any) -> list[Action]:
    """Read a list of actions as the browser sends it.

    Each is ``{"do": "click", "voxel": [i, j, k], "label": "fg"}``, ``{"do": "delete", "index": 2}``
    or ``{"do": "reset" | "undo" | "redo"}``.

    Raises:
        InvalidInput: The document is something else.
    """
    if not isinstance(document, list):
        raise InvalidInput("The clicks did not arrive as a list; reload the page.")
    return [_parse_action(entry) for entry in document]


def _parse_action(entry: Any) -> Action:
    match entry:
        case {"do": "click"}:
            return Add(Click.from_json(entry))
        case {"do": "delete", "index": int(index)}:
            return Delete(index)
        case {"do": "reset"}:
            return Reset()
        case {"do": "undo"}:
            return Undo()
        case {"do": "redo"}:
            return Redo()
    raise InvalidInput("The page asked for something that this server does not know; reload it.")
