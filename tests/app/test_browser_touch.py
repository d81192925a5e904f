"""The app by touch: taps, gestures of one finger and of two, and a phone's screen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, CDPSession, expect

from app.server import RunningApp
from tests.app.conftest import check_behaviour
from tests.app.stand_in import write_scan
from tests.browser import Person, Voxel, person_at

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
INSIDE: Voxel = (11, 14, 4)
OUTSIDE: Voxel = (4, 25, 4)
AWAY: Voxel = (18, 5, 4)

Way = tuple[tuple[float, float], tuple[float, float]]


class Fingers:
    """Fingers on somebody's screen; they take the time that they say, however slow the computer.

    Args:
        person: Whose screen it is.
        rests: Whether a finger that is put down may count as resting there.
    """

    def __init__(self, person: Person, *, rests: bool = False):
        self.session: CDPSession = person.page.context.new_cdp_session(person.page)
        self.person = person
        self.now = time.time()
        if not rests:
            person.page.evaluate(
                """() => {
                  const later = window.setTimeout.bind(window);
                  window.setTimeout = (run, wait, ...rest) =>
                    wait === 450 ? 0 : later(run, wait, ...rest);
                }"""
            )

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": place} for place, (x, y) in enumerate(points)]
        self.now += 0.02
        self.session.send(
            "Input.dispatchTouchEvent",
            {"type": f"touch{kind}", "touchPoints": touches, "timestamp": self.now},
        )

    def tap(self, point: tuple[float, float]) -> None:
        self.touch("Start", point)
        self.touch("End")

    def drag(self, *ways: Way) -> None:
        """Move each finger from one point to another, all at once."""
        self.touch("Start", ways[0][0])
        if len(ways) > 1:
            self.touch("Start", *[start for start, _ in ways])
        for step in range(1, 5):
            self.touch(
                "Move",
                *[
                    (x0 + (x1 - x0) * step / 4, y0 + (y1 - y0) * step / 4)
                    for (x0, y0), (x1, y1) in ways
                ],
            )
        self.touch("End")
        self.person.next_frame()


@pytest.fixture
def tablet(browser: Browser, running: RunningApp, blob: Path) -> Iterator[Person]:
    with person_at(browser, running.url, size=(820, 1180), touch=True, surface=False) as somebody:
        somebody.open_file(blob)
        somebody.go_to_slice("axial", INSIDE[2])
        yield somebody
        check_behaviour(somebody)


def test_a_tap_is_a_click(tablet: Person) -> None:
    Fingers(tablet).tap(tablet.position("axial", OUTSIDE, SHAPE))
    tablet.expect_clicks(1)
    assert tablet.listed_clicks == [(OUTSIDE, "fg")]


def test_a_finger_drags_through_the_slices_without_a_click(tablet: Person) -> None:
    x, y = tablet.position("axial", INSIDE, SHAPE)
    Fingers(tablet).drag(((x, y), (x, y - 100)))
    assert int(tablet.canvas("axial").get_attribute("data-slice") or 0) > INSIDE[2]
    Fingers(tablet).drag(((x, y), (x, y + 150)))
    assert int(tablet.canvas("axial").get_attribute("data-slice") or 0) < INSIDE[2]
    assert tablet.listed_clicks == []


def frame_of(person: Person) -> list[float]:
    words = person.canvas("axial").get_attribute("data-frame") or ""
    return [float(word) for word in words.split()]


def test_two_fingers_zoom_and_pan(tablet: Person) -> None:
    before = frame_of(tablet)
    x, y = tablet.position("axial", INSIDE, SHAPE)
    Fingers(tablet).drag(((x - 30, y), (x - 60, y)), ((x + 30, y), (x + 60, y)))
    zoomed = frame_of(tablet)
    assert zoomed[2] / before[2] == pytest.approx(2, rel=0.02)
    assert tablet.position("axial", INSIDE, SHAPE) == pytest.approx((x, y), abs=2)
    Fingers(tablet).drag(((x - 30, y), (x + 10, y + 20)), ((x + 30, y), (x + 70, y + 20)))
    panned = frame_of(tablet)
    assert panned[2] == pytest.approx(zoomed[2], rel=0.02)
    assert (panned[0] - zoomed[0], panned[1] - zoomed[1]) == pytest.approx((40, 20), abs=2)
    assert tablet.listed_clicks == []


def test_a_finger_that_rests_takes_the_crosshair_along(tablet: Person) -> None:
    fingers = Fingers(tablet, rests=True)
    # Not where the crosshair is already: that it comes shows that the finger counts as resting.
    fingers.touch("Start", tablet.position("axial", AWAY, SHAPE))
    tablet.expect_root("pos", ",".join(map(str, AWAY)))
    fingers.touch("Move", tablet.position("axial", OUTSIDE, SHAPE))
    tablet.expect_root("pos", ",".join(map(str, OUTSIDE)))
    fingers.touch("End")
    assert tablet.listed_clicks == []


def test_a_finger_that_rests_on_a_click_takes_it_along(tablet: Person) -> None:
    tablet.click_voxel("axial", OUTSIDE, SHAPE)
    tablet.expect_clicks(1)
    fingers = Fingers(tablet, rests=True)
    x, y = tablet.position("axial", OUTSIDE, SHAPE)
    # A finger is broader than a click.
    fingers.touch("Start", (x + 14, y))
    tablet.expect_root("hovered", 1)
    for _ in range(2):
        fingers.touch("Move", tablet.position("axial", AWAY, SHAPE))
    fingers.touch("End")
    tablet.expect_root("applied", 2)
    assert tablet.listed_clicks == [(AWAY, "fg")]


def test_a_finger_paints_and_a_second_one_means_that_it_should_not_have(tablet: Person) -> None:
    fingers = Fingers(tablet)
    box = tablet.page.locator("button[data-tool=paint]").bounding_box()
    assert box is not None
    fingers.tap((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    tablet.expect_root("tool", "paint")
    before, width = tablet.picture("coronal"), frame_of(tablet)[2]
    x, y = tablet.position("axial", INSIDE, SHAPE)
    cross = tablet.state("pos")
    fingers.touch("Start", (x - 40, y))
    fingers.touch("Move", (x - 30, y))
    assert tablet.state("pos") != cross, "the stroke takes the crosshair along"
    fingers.touch("Start", (x - 30, y), (x + 30, y))
    fingers.touch("Move", (x - 60, y), (x + 60, y))
    fingers.touch("End")
    tablet.next_frame()
    assert frame_of(tablet)[2] / width == pytest.approx(2, rel=0.02)
    tablet.go_to_slice("sagittal", int(cross.split(",")[0]))
    tablet.go_to_slice("coronal", int(cross.split(",")[1]))
    assert tablet.picture("coronal") == before, "nothing is left of the stroke"
    fingers.drag(((x - 40, y), (x - 20, y)))
    tablet.expect_root("applied", 1)
    tablet.role("undo").click()
    expect(tablet.role("undo")).to_be_disabled()


def test_three_fingers_change_the_window(tablet: Person) -> None:
    before, frame, picture = tablet.state("pos"), frame_of(tablet), tablet.picture("axial")
    levels = tablet.role("window").get_attribute("title")
    x, y = tablet.position("axial", INSIDE, SHAPE)
    Fingers(tablet).drag(*[((x + apart, y), (x + apart + 60, y + 20)) for apart in (-60, 0, 60)])
    assert tablet.role("window").get_attribute("title") != levels
    assert tablet.picture("axial") != picture
    assert (tablet.state("pos"), frame_of(tablet)) == (before, frame)
    assert tablet.listed_clicks == []


def test_a_double_tap_shows_a_view_alone(tablet: Person) -> None:
    fingers = Fingers(tablet)
    for layout in ("single", "grid"):
        point = tablet.position("axial", INSIDE, SHAPE)
        fingers.tap(point)
        fingers.tap(point)
        expect(tablet.role("views")).to_have_attribute("data-layout", layout)
    tablet.expect_clicks(0)


def test_a_mask_is_made_on_a_tablet_from_the_first_tap_to_the_download(
    tablet: Person, tmp_path: Path
) -> None:
    fingers = Fingers(tablet)
    box = tablet.page.locator("button[data-label=bg]").bounding_box()
    assert box is not None
    fingers.tap((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    tablet.expect_root("label", "bg")
    fingers.tap(tablet.position("axial", INSIDE, SHAPE))
    tablet.expect_clicks(1)
    assert tablet.listed_clicks == [(INSIDE, "bg")]
    assert tablet.download_mask(tmp_path).stat().st_size > 0


def test_a_phone_begins_with_one_large_view(
    browser: Browser, running: RunningApp, tmp_path: Path
) -> None:
    scan = write_scan(tmp_path / "scan.nii.gz", np.full((20, 20, 20), 9, np.int16))
    with person_at(browser, running.url, size=(390, 844), touch=True, surface=False) as phone:
        phone.open_file(scan)
        expect(phone.role("views")).to_have_attribute("data-layout", "focus")
        box = phone.canvas("axial").bounding_box()
        assert box is not None
        assert box["width"] == pytest.approx(390, abs=2)
        for view in ("coronal", "sagittal", "surface"):
            expect(phone.page.locator(f"section[data-plane={view}]")).to_be_in_viewport()
        check_behaviour(phone)
