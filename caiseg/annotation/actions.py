"""What a person can do to an annotation, and how pages and session files say it.

A session is the list of its actions, in time order. Every action is plain JSON, so the list is
also what a session file holds; doing it again gives the same masks (:mod:`.session`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from caiseg.annotation.brush import Stroke
from caiseg.annotation.packed_mask import PackedMask, triple
from caiseg.clicks import Click
from caiseg.errors import InvalidInput
from caiseg.grids import Shape

MAX_NAME = 80
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True, slots=True)
class Add:
    """Add clicks to the active object; the network answers all of them in one round."""

    clicks: tuple[Click, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Move the click at this place in the active object's list, counted from 0."""

    index: int
    voxel: Shape


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the click at this place in the active object's list, counted from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class Draw:
    """Paint or erase voxels of the active object by hand."""

    stroke: Stroke


@dataclass(frozen=True, slots=True)
class StartFrom:
    """Go on from a mask: the active object begins anew, with it for ``S_p``.

    Attributes:
        mask: On the display grid.
        further: More masks of the same file; each becomes an object of its own.
    """

    mask: PackedMask
    further: tuple[PackedMask, ...] = ()


@dataclass(frozen=True, slots=True)
class Reset:
    """Take all clicks and strokes off the active object."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Call the active object finished, and go on with the next that is not."""


@dataclass(frozen=True, slots=True)
class NewObject:
    """Add an empty object below the others and make it the active one.

    Attributes:
        name: Its name; when empty it is numbered.
        colour: ``#RRGGBB``; when empty the next one of the palette.
    """

    name: str = ""
    colour: str = ""


@dataclass(frozen=True, slots=True)
class SelectObject:
    """Make an object the active one."""

    object_id: int


@dataclass(frozen=True, slots=True)
class RenameObject:
    """Give an object another name."""

    object_id: int
    name: str


@dataclass(frozen=True, slots=True)
class RecolourObject:
    """Give an object another colour, ``#RRGGBB``."""

    object_id: int
    colour: str


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """Delete an object with its clicks."""

    object_id: int


@dataclass(frozen=True, slots=True)
class Undo:
    """Go back one step."""


@dataclass(frozen=True, slots=True)
class Redo:
    """Go forward one step."""


Action = (
    Add
    | Move
    | Delete
    | Draw
    | StartFrom
    | Reset
    | Accept
    | NewObject
    | SelectObject
    | RenameObject
    | RecolourObject
    | DeleteObject
    | Undo
    | Redo
)


def action_to_json(action: Action) -> dict[str, Any]:
    """An action as plain JSON types, see :func:`parse_action`."""
    match action:
        case Add((click,)):
            return {"do": "click", **click.to_json()}
        case Add(clicks):
            return {"do": "clicks", "clicks": [click.to_json() for click in clicks]}
        case Move(index, voxel):
            return {"do": "move", "index": index, "voxel": list(voxel)}
        case Delete(index):
            return {"do": "delete", "index": index}
        case Draw(stroke):
            return {"do": "paint" if stroke.paint else "erase", **stroke.to_json()}
        case StartFrom(mask, further):
            return {"do": "start", "masks": [each.to_json() for each in (mask, *further)]}
        case NewObject(name, colour):
            return {"do": "new", "name": name, "colour": colour}
        case SelectObject(object_id):
            return {"do": "select", "object": object_id}
        case RenameObject(object_id, name):
            return {"do": "rename", "object": object_id, "name": name}
        case RecolourObject(object_id, colour):
            return {"do": "recolour", "object": object_id, "colour": colour}
        case DeleteObject(object_id):
            return {"do": "remove", "object": object_id}
        case Reset() | Accept() | Undo() | Redo():
            return {"do": type(action).__name__.lower()}


def parse_action(entry: Any) -> Action:
    """Read one action.

    Each is an object whose ``do`` names it: ``click`` (``voxel`` ``[i, j, k]``, ``label`` ``fg``
    or ``bg``), ``clicks`` (a list of these, for one round), ``move`` (``index``, ``voxel``),
    ``delete`` (``index``), ``paint`` and ``erase`` (``path``, ``radius`` in mm), ``start``
    (``masks``), ``new`` (``name``, ``colour``), ``select`` and ``remove`` (``object``), ``rename``
    (``object``, ``name``), ``recolour`` (``object``, ``colour``), ``reset``, ``accept``, ``undo``
    and ``redo``.

    Raises:
        InvalidInput: It is something else.
    """
    match entry:
        case {"do": "click"}:
            return Add((Click.from_json(entry),))
        case {"do": "clicks", "clicks": [_, *_] as clicks}:
            return Add(tuple(Click.from_json(click) for click in clicks))
        case {"do": "move", "index": int(index), "voxel": voxel}:
            return Move(index, _voxel(voxel))
        case {"do": "delete", "index": int(index)}:
            return Delete(index)
        case {"do": "paint" | "erase" as tool}:
            return Draw(Stroke.from_json(tool == "paint", entry))
        case {"do": "start", "masks": [mask, *further]}:
            return StartFrom(
                PackedMask.from_json(mask), tuple(PackedMask.from_json(each) for each in further)
            )
        case {"do": "reset"}:
            return Reset()
        case {"do": "undo"}:
            return Undo()
        case {"do": "redo"}:
            return Redo()
        case {"do": str()}:
            return _parse_object_action(entry)
    raise InvalidInput(_UNKNOWN)


_UNKNOWN = "Something was asked for that this version does not know; reload the page."


def _parse_object_action(entry: Mapping[str, Any]) -> Action:
    match entry:
        case {"do": "accept"}:
            return Accept()
        case {"do": "new"}:
            name, colour = entry.get("name") or "", entry.get("colour") or ""
            return NewObject(_name(name) if name else "", _colour(colour) if colour else "")
        case {"do": "select", "object": int(object_id)}:
            return SelectObject(object_id)
        case {"do": "rename", "object": int(object_id), "name": name}:
            return RenameObject(object_id, _name(name))
        case {"do": "recolour", "object": int(object_id), "colour": colour}:
            return RecolourObject(object_id, _colour(colour))
        case {"do": "remove", "object": int(object_id)}:
            return DeleteObject(object_id)
    raise InvalidInput(_UNKNOWN)


def _voxel(value: Any) -> Shape:
    try:
        return triple(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"{value!r} is no voxel; write three whole numbers.") from None


def _name(value: Any) -> str:
    name = " ".join(value.split()) if isinstance(value, str) else ""
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput(f"An object's name has 1 to {MAX_NAME} characters; choose another one.")
    return name


def _colour(value: Any) -> str:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise InvalidInput(f"{value!r} is no colour; write it as #RRGGBB, for example #E69F00.")
    return value.upper()
