"""The mask's surface in 3-D follows the mask, and is looked at from where the person turned it."""

from __future__ import annotations

import pytest

from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
OUTSIDE: Voxel = (4, 25, 8)

Eye = list[float]

_EYE = "Object.values(document.querySelector('[data-role=plot]')._fullLayout.scene._scene"
_EYE += ".getCamera().eye)"


def eye(person: Person) -> Eye:
    """Where the surface is looked at from."""
    return list(person.page.evaluate(f"() => {_EYE}"))


def corners(person: Person) -> int:
    """How many corners the surface that is drawn has."""
    return int(person.role("plot").evaluate("plot => plot.data[0].x.length"))


def middle(person: Person) -> tuple[float, float]:
    box = person.role("plot").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag_on(person: Person, x: float, y: float) -> Eye:
    """Move the mouse with its button down, and wait until the surface has turned."""
    before = eye(person)
    person.page.mouse.move(x, y, steps=4)
    person.page.wait_for_function(
        f"before => {_EYE}.some((value, axis) => Math.abs(value - before[axis]) > 0.05)",
        arg=before,
    )
    return eye(person)


def test_the_surface_follows_the_mask_and_keeps_the_camera(person: Person) -> None:
    person.expect_root("details", 1)
    x, y = middle(person)
    person.page.mouse.move(x, y)
    person.page.mouse.down()
    # Off the surface, where the button is released unseen by Plotly.
    drag_on(person, x + 90, y - 400)
    person.page.mouse.up()
    turned = eye(person)
    before = corners(person)
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_root("details", 2)
    assert corners(person) != before
    assert eye(person) == pytest.approx(turned)


def test_an_answer_does_not_interrupt_a_turn_of_the_surface(person: Person) -> None:
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_root("details", 2)
    before = corners(person)
    x, y = middle(person)
    person.page.mouse.move(x, y)
    person.page.mouse.down()
    turned = drag_on(person, x + 60, y)
    person.page.keyboard.press("x")
    person.expect_root("details", 3)
    assert corners(person) != before
    assert eye(person) == pytest.approx(turned)
    drag_on(person, x - 60, y)
    person.page.mouse.up()


def test_resetting_the_views_turns_the_surface_back(person: Person) -> None:
    person.expect_root("details", 1)
    straight_on = eye(person)
    x, y = middle(person)
    person.page.mouse.move(x, y)
    person.page.mouse.down()
    drag_on(person, x + 60, y + 25)
    person.page.mouse.up()
    person.page.keyboard.press("0")
    person.page.wait_for_function(
        f"first => {_EYE}.every((value, axis) => Math.abs(value - first[axis]) < 1e-6)",
        arg=straight_on,
    )


def test_arrow_keys_turn_the_surface_that_has_the_focus_and_nothing_else(person: Person) -> None:
    person.expect_root("details", 1)
    person.page.locator("section[data-plane=surface]").focus()
    before, place = eye(person), person.state("pos")
    distance = sum(value * value for value in before) ** 0.5

    def press(key: str) -> Eye:
        held = eye(person)
        person.page.keyboard.press(key)
        person.page.wait_for_function(
            f"held => {_EYE}.some((value, axis) => Math.abs(value - held[axis]) > 0.05)", arg=held
        )
        assert sum(value * value for value in eye(person)) ** 0.5 == pytest.approx(distance)
        return eye(person)

    aside = press("ArrowRight")
    assert aside[2] == pytest.approx(before[2])
    assert press("ArrowUp")[2] > before[2] + 0.05
    press("ArrowDown")
    assert press("ArrowLeft") == pytest.approx(before)
    person.page.keyboard.press("Enter")
    assert person.state("pos") == place
    assert person.listed_clicks == []
    person.page.keyboard.press("0")
