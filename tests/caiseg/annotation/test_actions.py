"""Actions are read as pages and session files write them; anything else is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from caiseg import Click, InvalidInput, Label
from caiseg.annotation.actions import (
    Add,
    NewObject,
    RenameObject,
    StartFrom,
    action_to_json,
    parse_action,
)
from caiseg.annotation.packed_mask import PackedMask

MASK = PackedMask.pack(np.eye(3, dtype=bool)[..., None])


@pytest.mark.parametrize(
    "document",
    [
        {"do": "click", "voxel": [1, 2, 3], "label": "fg"},
        {
            "do": "clicks",
            "clicks": [
                {"voxel": [1, 2, 3], "label": "fg"},
                {"voxel": [3, 2, 1], "label": "bg"},
            ],
        },
        {"do": "move", "index": 2, "voxel": [1, 2, 3]},
        {"do": "delete", "index": 0},
        {"do": "paint", "path": [[1, 2, 3], [2, 2, 3]], "radius": 2.5},
        {"do": "erase", "path": [[1, 2, 3]], "radius": 0.5},
        {"do": "start", "masks": [MASK.to_json(), MASK.to_json()]},
        {"do": "new", "name": "Node", "colour": "#112233"},
        {"do": "select", "object": 2},
        {"do": "rename", "object": 1, "name": "Läsion links"},
        {"do": "recolour", "object": 1, "colour": "#E69F00"},
        {"do": "remove", "object": 3},
        *({"do": name} for name in ("reset", "accept", "undo", "redo")),
    ],
    ids=lambda document: document["do"],
)
def test_an_action_is_written_as_it_was_read(document: dict[str, Any]) -> None:
    assert action_to_json(parse_action(json.loads(json.dumps(document)))) == document


def test_what_may_be_left_out() -> None:
    assert parse_action({"do": "new"}) == NewObject("", "")
    assert parse_action({"do": "rename", "object": 1, "name": " Node \t 2 "}) == RenameObject(
        1, "Node 2"
    )
    click = Click((1, 2, 3), Label.FOREGROUND)
    assert parse_action({"do": "clicks", "clicks": [click.to_json()]}) == Add((click,))
    assert parse_action({"do": "start", "masks": [MASK.to_json()]}) == StartFrom(MASK)


@pytest.mark.parametrize(
    "document",
    [
        7,
        {},
        {"do": 7},
        {"do": "format"},
        {"do": "click"},
        {"do": "clicks", "clicks": []},
        {"do": "clicks", "clicks": [7]},
        {"do": "move", "index": 0, "voxel": [1, 2]},
        {"do": "move", "index": 0, "voxel": None},
        {"do": "delete", "index": "first"},
        {"do": "paint"},
        {"do": "paint", "path": [], "radius": 1},
        {"do": "paint", "path": [[1, 2]], "radius": 1},
        {"do": "erase", "path": [[1, 2, 3]], "radius": "thick"},
        {"do": "start"},
        {"do": "start", "masks": []},
        {"do": "start", "masks": [{}]},
        {"do": "new", "name": 7},
        {"do": "new", "colour": "orange"},
        {"do": "select"},
        {"do": "rename", "object": 1, "name": "  "},
        {"do": "rename", "object": 1, "name": "x" * 81},
        {"do": "rename", "object": 1, "name": "a\x00b"},
        {"do": "recolour", "object": 1, "colour": "#12345"},
        {"do": "remove", "object": "all"},
    ],
    ids=str,
)
def test_what_is_no_action_gets_a_sentence(document: Any) -> None:
    with pytest.raises(InvalidInput):
        parse_action(document)
