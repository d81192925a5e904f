"""Painting and erasing by hand: what is drawn shows at once, and stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from app.server import RunningApp
from caiseg.annotation.actions import Draw
from caiseg.annotation.packed_mask import BoolArray
from tests.app.conftest import scan_of
from tests.app.stand_in import StandInShelf
from tests.browser import PLANES, Person, Voxel, person_at

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
SPACING = (1.0, 1.2, 3.0)
START: Voxel = (4, 25, 4)
END: Voxel = (14, 23, 4)


@pytest.fixture(scope="module")
def surface() -> bool:
    return False


def mask_of(person: Person, running: RunningApp) -> BoolArray:
    return scan_of(person, running).session.current.mask.unpack()


def last_stroke(person: Person, running: RunningApp) -> Draw:
    step = scan_of(person, running).session.log[-1]
    assert isinstance(step, Draw)
    return step


def draw(person: Person, start: Voxel, end: Voxel, *, release: bool = True) -> None:
    person.go_to_slice("axial", start[2])
    person.page.mouse.move(*person.position("axial", start, SHAPE))
    person.page.mouse.down()
    person.page.mouse.move(*person.position("axial", end, SHAPE), steps=10)
    if release:
        person.page.mouse.up()


@pytest.fixture(autouse=True)
def clicks_again(person: Person) -> None:
    """Every test begins with the click tool."""
    person.page.keyboard.press("f")
    person.expect_root("tool", "click")


def test_a_stroke_paints_a_ball_along_its_line(person: Person, running: RunningApp) -> None:
    before = mask_of(person, running)
    person.page.keyboard.press("p")
    draw(person, START, END)
    person.expect_root("applied", 1)
    after = mask_of(person, running)
    stroke = last_stroke(person, running).stroke
    assert stroke.path[0] == START
    assert stroke.path[-1] == END
    assert stroke.radius_mm == 4.0
    np.testing.assert_array_equal(after, before | stroke.voxels(SHAPE, SPACING).unpack())
    assert after[START[0], START[1], 3], "the ball reaches into other slices"
    assert person.listed_clicks == []


def test_erasing_takes_voxels_away_and_undo_brings_them_back(
    person: Person, running: RunningApp
) -> None:
    before = mask_of(person, running)
    person.role("root").locator("button[data-tool=erase]").click()
    draw(person, (9, 12, 4), (12, 16, 4))
    person.expect_root("applied", 1)
    erased = last_stroke(person, running).stroke.voxels(SHAPE, SPACING).unpack()
    np.testing.assert_array_equal(mask_of(person, running), before & ~erased)
    assert (before & erased).any()
    person.page.keyboard.press("Control+z")
    person.expect_root("applied", 2)
    np.testing.assert_array_equal(mask_of(person, running), before)
    person.page.keyboard.press("Control+Shift+z")
    person.expect_root("applied", 3)
    np.testing.assert_array_equal(mask_of(person, running), before & ~erased)


def test_what_is_drawn_shows_at_once_on_all_views_and_is_what_the_server_confirms(
    person: Person, shelf: StandInShelf
) -> None:
    """The answer to a click is held back, so the stroke after it has only the page to draw it."""
    person.role("cross").click()
    person.click_voxel("axial", (19, 5, 4), SHAPE)
    person.expect_clicks(1)
    person.page.keyboard.press("Control+z")
    person.expect_root("applied", 2)
    person.go_to_slice("axial", START[2])
    shelf.small.gate.clear()
    try:
        person.page.mouse.click(*person.position("axial", (19, 5, 4), SHAPE))
        for plane, (normal, _, _) in PLANES.items():
            person.go_to_slice(plane, END[normal])
        person.page.mouse.move(5, 5)
        before = person.pictures()
        person.page.keyboard.press("p")
        draw(person, START, END)
        person.page.mouse.move(5, 5)
        drawn = person.pixels("axial")
        for plane, old in zip(PLANES, before, strict=True):
            assert person.picture(plane) != old, plane
        assert person.state("applied") == "2", "the server has not answered yet"
    finally:
        shelf.small.gate.set()
    person.expect_root("applied", 4)
    person.page.mouse.move(5, 5)
    confirmed = person.pixels("axial")
    left = person.canvas("axial").evaluate("canvas => canvas.width") // 2
    # The scan's right lies on the left: the click changed this half, the stroke the other.
    np.testing.assert_array_equal(confirmed[:, left + 20 :], drawn[:, left + 20 :])
    person.role("cross").click()


def test_later_clicks_keep_what_was_painted(person: Person, running: RunningApp) -> None:
    person.page.keyboard.press("p")
    draw(person, START, END)
    person.expect_root("applied", 1)
    painted = last_stroke(person, running).stroke.voxels(SHAPE, SPACING).unpack()
    person.page.keyboard.press("f")
    person.click_voxel("axial", START, SHAPE, other_label=True)
    person.expect_clicks(1)
    assert mask_of(person, running)[painted].all()
    person.role("reset").click()
    person.expect_root("applied", 3)
    assert not mask_of(person, running)[START]


def test_the_brush_has_a_size_in_millimetres(person: Person, running: RunningApp) -> None:
    size = person.role("brush-size")
    expect(size).to_have_text("4 mm")
    person.page.keyboard.press(",")
    expect(size).to_have_text("3.5 mm")
    person.role("brush").fill("7")
    expect(size).to_have_text("7 mm")
    person.page.keyboard.press(".")
    expect(size).to_have_text("8 mm")
    person.page.keyboard.press("p")
    draw(person, START, START)
    person.expect_root("applied", 1)
    assert last_stroke(person, running).stroke.radius_mm == 8.0
    person.role("brush").fill("4")


def test_a_finger_paints_while_the_brush_is_chosen(
    browser: Browser, running: RunningApp, blob: Path
) -> None:
    with person_at(browser, running.url, touch=True, surface=False) as person:
        person.open_file(blob)
        person.go_to_slice("axial", 4)
        person.role("root").locator("button[data-tool=paint]").tap()
        person.page.touchscreen.tap(*person.position("axial", START, SHAPE))
        person.expect_root("applied", 1)
        assert last_stroke(person, running).stroke.path == (START,)
