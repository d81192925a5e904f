"""Clicks on the page: drawn where they are, numbered, dragged, deleted, collected."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import expect

from app.server import RunningApp
from caiseg.annotation.rounds import Segment
from caiseg.annotation.session import AnnotationSession
from tests.app.conftest import scan_of
from tests.app.stand_in import StandInShelf, folded
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
FIRST: Voxel = (4, 25, 4)
SECOND: Voxel = (19, 5, 4)
EMPTY: Voxel = (19, 25, 4)


@pytest.fixture(scope="module")
def surface() -> bool:
    return False


@pytest.fixture(autouse=True)
def at_once_and_covered(person: Person) -> None:
    """Every test begins with clicks that are answered at once, and everything drawn."""
    for role, wanted in {"collect": "false", "mask": "true", "cross": "true"}.items():
        if person.role(role).get_attribute("aria-pressed") != wanted:
            person.role(role).click()


def around(person: Person, voxel: Voxel, plane: str = "axial") -> npt.NDArray[np.int64]:
    """What is drawn close to a voxel of the slice on screen."""
    x, y = person.position(plane, voxel, SHAPE)
    box = person.canvas(plane).bounding_box()
    assert box is not None
    column, row = int(x - box["x"]), int(y - box["y"])
    colours = person.pixels(plane)[row - 14 : row + 15, column - 14 : column + 15, :3]
    return colours.astype(np.int64)


def bare(person: Person) -> None:
    """Nothing but clicks lies over the scan."""
    for role in ("mask", "cross"):
        if person.role(role).get_attribute("aria-pressed") == "true":
            person.role(role).click()
    person.page.mouse.move(5, 5)


def test_toggle_keys_and_ctrl_choose_the_label(person: Person) -> None:
    person.click_voxel("axial", FIRST, SHAPE)
    person.role("root").locator("button[data-label=bg]").click()
    person.click_voxel("axial", SECOND, SHAPE)
    person.click_voxel("axial", EMPTY, SHAPE, other_label=True)
    person.page.keyboard.press("f")
    person.click_voxel("axial", (11, 14, 4), SHAPE, other_label=True)
    person.expect_clicks(4)
    assert [label for _, label in person.listed_clicks] == ["fg", "bg", "fg", "bg"]


def test_a_click_is_drawn_in_its_plane_and_faint_near_it_and_not_far_away(person: Person) -> None:
    bare(person)
    person.go_to_slice("axial", 4)
    without = around(person, EMPTY)
    person.click_voxel("axial", EMPTY, SHAPE)
    person.expect_clicks(1)
    bare(person)
    contrast = {}
    for slice_number in (4, 5, 6, 7):
        person.go_to_slice("axial", slice_number)
        person.page.mouse.move(5, 5)
        contrast[slice_number] = np.abs(around(person, EMPTY) - without).max()
    assert contrast[4] > 150
    assert 40 < contrast[5] < contrast[4]
    assert 40 < contrast[6] < contrast[4], "6 mm away"
    assert contrast[7] < 10, "9 mm away"


def test_hovering_a_click_shows_its_number(person: Person) -> None:
    for count, voxel in enumerate([FIRST, EMPTY], start=1):
        person.click_voxel("axial", voxel, SHAPE)
        person.expect_clicks(count)
    bare(person)
    plain = person.picture("axial")
    person.page.mouse.move(*person.position("axial", EMPTY, SHAPE))
    person.expect_root("hovered", 2)
    assert person.picture("axial") != plain, "the number stands beside the click"
    expect(person.role("clicks").locator("li.cs-marked")).to_contain_text("19, 25, 4")
    person.page.mouse.move(5, 5)
    person.expect_root("hovered", 0)
    assert person.picture("axial") == plain
    person.role("clicks").locator("li").first.hover()
    person.expect_root("hovered", 1)
    assert person.picture("axial") != plain, "the list finds a click on the view"


def test_a_dragged_click_is_as_if_it_had_been_made_there(
    person: Person, running: RunningApp, shelf: StandInShelf
) -> None:
    for count, voxel in enumerate([FIRST, SECOND], start=1):
        person.click_voxel("axial", voxel, SHAPE)
        person.expect_clicks(count)
    before = scan_of(person, running).session.current.mask
    drag(person, FIRST, EMPTY)
    person.expect_root("applied", 3)
    assert person.listed_clicks == [(EMPTY, "fg"), (SECOND, "fg")]
    scan = scan_of(person, running)
    moved = scan.session.current.mask.unpack().tobytes()
    assert moved == folded([EMPTY, SECOND], scan, shelf)
    person.page.keyboard.press("Control+z")
    person.expect_root("applied", 4)
    assert person.listed_clicks == [(FIRST, "fg"), (SECOND, "fg")]
    assert scan.session.current.mask == before


def drag(person: Person, start: Voxel, end: Voxel) -> None:
    mouse = person.page.mouse
    mouse.move(*person.position("axial", start, SHAPE))
    mouse.down()
    mouse.move(*person.position("axial", end, SHAPE), steps=4)
    mouse.up()


def test_the_click_under_the_pointer_is_deleted_by_a_key_and_undo_brings_it_back(
    person: Person, running: RunningApp
) -> None:
    for count, voxel in enumerate([FIRST, SECOND], start=1):
        person.click_voxel("axial", voxel, SHAPE)
        person.expect_clicks(count)
    before = scan_of(person, running).session.current.mask
    person.page.mouse.move(*person.position("axial", FIRST, SHAPE))
    person.page.keyboard.press("Delete")
    person.expect_clicks(1)
    assert person.listed_clicks == [(SECOND, "fg")]
    assert scan_of(person, running).session.current.mask != before
    person.page.keyboard.press("Control+z")
    person.expect_clicks(2)
    assert person.listed_clicks == [(FIRST, "fg"), (SECOND, "fg")]
    assert scan_of(person, running).session.current.mask == before


def test_collected_clicks_wait_and_are_answered_in_one_round(
    person: Person, running: RunningApp, shelf: StandInShelf
) -> None:
    person.role("collect").click()
    rows = person.role("clicks").locator("li")
    person.click_voxel("axial", FIRST, SHAPE)
    person.click_voxel("axial", EMPTY, SHAPE)
    expect(rows).to_have_count(2)
    person.click_voxel("axial", (11, 25, 4), SHAPE)
    expect(person.role("clicks").locator("[data-collected=true]")).to_have_count(3)
    assert person.state("applied") == "0", "nothing was sent"
    person.page.keyboard.press("Control+z")
    expect(rows).to_have_count(2)
    drag(person, EMPTY, SECOND)
    person.role("send-clicks").click()
    person.expect_clicks(2)
    assert person.state("applied") == "1"
    session = scan_of(person, running).session
    assert [click.voxel for click in session.current.clicks] == [FIRST, SECOND]
    assert session.current.previous is session.current.start, "one round"
    replayed = AnnotationSession.from_log(
        session.log, segment(person, running, shelf), (1.0, 1.2, 3.0)
    )
    assert replayed.current.mask == session.current.mask


def segment(person: Person, running: RunningApp, shelf: StandInShelf) -> Segment:
    resident = scan_of(person, running).resident
    assert resident is not None
    return lambda clicks, previous: shelf.small.segment(resident.encoded, clicks, previous).mask


def test_a_collected_click_is_hollow(person: Person) -> None:
    bare(person)
    person.role("collect").click()
    person.click_voxel("axial", EMPTY, SHAPE)
    person.page.mouse.move(5, 5)
    hollow = around(person, EMPTY)
    person.role("send-clicks").click()
    person.expect_clicks(1)
    person.page.mouse.move(5, 5)
    solid = around(person, EMPTY)
    middle = (slice(13, 16), slice(13, 16))
    assert hollow[middle].mean() < solid[middle].mean() - 60


def test_enter_on_the_last_collected_click_sends_them(person: Person) -> None:
    person.page.keyboard.press("q")
    person.click_voxel("axial", FIRST, SHAPE)
    person.click_voxel("axial", SECOND, SHAPE)
    person.page.keyboard.press("Enter")
    person.expect_clicks(2)
    assert person.state("applied") == "1"


def test_what_is_collected_is_sent_before_anything_else_happens(person: Person) -> None:
    person.page.keyboard.press("q")
    person.click_voxel("axial", FIRST, SHAPE)
    person.page.keyboard.press("n")
    expect(person.role("object-list").locator("li")).to_have_count(2)
    person.role("object-list").locator("[data-object='1'] .cs-choose").click()
    expect(person.role("clicks").locator("li")).to_have_count(1)
    assert person.listed_clicks == [(FIRST, "fg")]
