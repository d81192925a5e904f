"""Clicks: labels, JSON, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from caiseg.clicks import Click, Label, check_inside
from caiseg.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("fg", Label.FOREGROUND),
        ("bg", Label.BACKGROUND),
        (" Foreground ", Label.FOREGROUND),
        ("BACKGROUND", Label.BACKGROUND),
    ],
)
def test_labels_are_read_in_any_case(text: str, label: Label) -> None:
    assert Label.parse(text) is label


@pytest.mark.parametrize("label", Label)
def test_the_short_form_of_a_label_reads_back(label: Label) -> None:
    assert Label.parse(label.short) is label


@pytest.mark.parametrize("text", ["", "lesion", "1"])
def test_another_label_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(InvalidInput, match="write fg for foreground or bg"):
        Label.parse(text)


def test_numpy_indices_become_plain_integers() -> None:
    voxel: Any = tuple(np.array([1, 2, 3]))
    click = Click(voxel, Label.FOREGROUND)
    assert click.voxel == (1, 2, 3)
    assert all(type(index) is int for index in click.voxel)


def test_a_plain_number_becomes_a_label() -> None:
    number: Any = 1
    assert Click((0, 0, 0), number).label is Label.FOREGROUND


def test_a_click_cannot_be_changed() -> None:
    click = Click((0, 0, 0), Label.FOREGROUND)
    with pytest.raises(dataclasses.FrozenInstanceError):
        click.voxel = (1, 1, 1)  # type: ignore[misc]


def test_a_click_needs_three_indices() -> None:
    flat: Any = (1, 2)
    with pytest.raises(InvalidInput, match="three voxel indices"):
        Click(flat, Label.FOREGROUND)


@pytest.mark.parametrize("label", Label)
def test_a_click_survives_json(label: Label) -> None:
    click = Click((4, 5, 6), label)
    assert Click.from_json(json.loads(json.dumps(click.to_json()))) == click


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        "click",
        {},
        {"voxel": [1, 2], "label": "fg"},
        {"voxel": [1, 2, 3, 4], "label": "fg"},
        {"voxel": [1, 2, "x"], "label": "fg"},
        {"voxel": [1, 2, None], "label": "fg"},
        {"voxel": [1, 2, float("inf")], "label": "fg"},
        {"voxel": [1, 2, 3]},
        {"voxel": [1, 2, 3], "label": "lesion"},
        {"voxel": [1, 2, 3], "label": None},
    ],
)
def test_a_document_that_is_no_click_is_refused(document: Any) -> None:
    with pytest.raises(InvalidInput):
        Click.from_json(document)


def test_clicks_inside_a_grid_pass() -> None:
    check_inside(
        [Click((0, 0, 0), Label.FOREGROUND), Click((3, 4, 5), Label.BACKGROUND)], (4, 5, 6)
    )


@pytest.mark.parametrize("voxel", [(-1, 0, 0), (4, 0, 0), (0, 5, 0), (0, 0, 6)])
def test_a_click_outside_the_grid_is_named(voxel: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_inside(
            [Click((0, 0, 0), Label.FOREGROUND), Click(voxel, Label.BACKGROUND)], (4, 5, 6)
        )
    assert str(voxel) in str(caught.value)
    assert "(4, 5, 6)" in str(caught.value)
