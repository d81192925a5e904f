"""Four views, one large and three small ones, or one alone; on every size of window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from app.server import RunningApp
from tests.app.stand_in import write_scan
from tests.browser import PLANES, Person, Voxel, person_at

pytestmark = pytest.mark.browser

# Of the scan `blob`, a voxel inside its bright block, and one outside it.
SHAPE: Voxel = (24, 30, 10)
INSIDE: Voxel = (11, 14, 4)
ELSEWHERE: Voxel = (19, 5, 2)
VIEWS = [*PLANES, "surface"]


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


def area(person: Person, view: str) -> float:
    box = person.page.locator(f"section[data-plane={view}]").bounding_box()
    return 0.0 if box is None else box["width"] * box["height"]


def choose_layout(person: Person, layout: str) -> None:
    person.page.locator(f"button[data-layout={layout}]").click()


def test_the_layout_chooser_shows_four_views_or_one_large_one_or_only_one(person: Person) -> None:
    choose_layout(person, "grid")
    assert len({round(area(person, view), -3) for view in VIEWS}) == 1
    person.page.locator("section[data-plane=coronal]").focus()
    choose_layout(person, "focus")
    small = [area(person, view) for view in VIEWS if view != "coronal"]
    assert min(small) > 0
    assert area(person, "coronal") > 4 * max(small)
    person.page.locator("[data-enlarge=sagittal]").click()
    assert area(person, "sagittal") > 4 * max(area(person, "axial"), area(person, "coronal"))
    choose_layout(person, "single")
    assert sum(area(person, view) > 0 for view in VIEWS) == 1
    choose_layout(person, "grid")


def test_a_key_goes_through_the_layouts(person: Person) -> None:
    for layout in ("focus", "single", "grid"):
        person.page.keyboard.press("l")
        expect(person.role("views")).to_have_attribute("data-layout", layout)
        button = person.page.locator(f"button[data-layout={layout}]")
        expect(button).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("plane", PLANES)
def test_a_double_click_shows_a_view_alone_and_back_and_is_no_click(
    person: Person, plane: str
) -> None:
    person.go_to_slice(plane, INSIDE[PLANES[plane][0]])
    before = person.pictures()
    for times, layout in ((4, "single"), (8, "grid")):
        person.page.mouse.dblclick(*person.position(plane, INSIDE, SHAPE))
        expect(person.role("views")).to_have_attribute("data-layout", layout)
        person.expect_root("applied", times)
        person.expect_clicks(0)
    person.page.mouse.move(5, 5)
    person.go_to_slice(plane, INSIDE[PLANES[plane][0]])
    after = person.pictures()
    assert after[list(PLANES).index(plane)] == before[list(PLANES).index(plane)]


def test_a_double_click_shows_the_surface_alone_and_back(person: Person) -> None:
    person.expect_root("details", 1)
    for layout in ("single", "grid"):
        person.role("plot").dblclick()
        expect(person.role("views")).to_have_attribute("data-layout", layout)


def test_one_view_can_fill_the_place_of_all_four(person: Person) -> None:
    views = [*PLANES, "surface"]
    boxes = {name: person.page.locator(f"section[data-plane={name}]") for name in views}
    whole = person.role("views").bounding_box()
    assert whole is not None
    for key, name in enumerate(views, start=1):
        person.page.keyboard.press(str(key))
        for other in views:
            expect(boxes[other]).to_be_visible(visible=other == name)
        assert boxes[name].bounding_box() == whole
        boxes[name].locator("[data-enlarge]").click()
        for other in views:
            expect(boxes[other]).to_be_visible()


def test_a_click_in_an_enlarged_view_hits_its_voxel(person: Person) -> None:
    person.page.keyboard.press("3")
    person.click_voxel("sagittal", ELSEWHERE, SHAPE)
    person.expect_clicks(1)
    assert person.listed_clicks == [(ELSEWHERE, "fg")]
    person.page.keyboard.press("3")


@pytest.mark.parametrize("size", [(1400, 900), (1024, 700), (390, 844)], ids=str)
def test_the_page_fits_its_window(
    browser: Browser, running: RunningApp, blob: Path, size: tuple[int, int]
) -> None:
    with person_at(browser, running.url, size=size, surface=False) as person:
        person.open_file(blob)
        overflow = person.page.evaluate(
            """() => [document.documentElement.scrollWidth - innerWidth,
                      document.documentElement.scrollHeight - innerHeight]"""
        )
        assert overflow == [0, 0]
        for role in ("undo", "help", "open"):
            box = person.role(role).first.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= size[0]
            assert box["y"] + box["height"] <= size[1]


SIZES = [(1400, 900), (1024, 700), (820, 1180), (390, 844)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_no_sheet_of_the_panel_is_cut_off(
    browser: Browser, running: RunningApp, blob: Path, size: tuple[int, int]
) -> None:
    with person_at(
        browser, running.url, size=size, touch=size[0] < 1000, surface=False
    ) as somebody:
        somebody.open_file(blob)
        somebody.click_voxel("axial", ELSEWHERE, SHAPE)
        somebody.expect_clicks(1)
        expect(somebody.role("history").locator("svg")).to_be_visible()
        for tab in ("maps", "files", "measure"):
            somebody.page.locator(f"[data-tab={tab}]").click()
            cut_off = somebody.page.locator(f"[data-tab-panel={tab}]").evaluate(
                """sheet => {
                  const whole = sheet.getBoundingClientRect();
                  return [...sheet.querySelectorAll("*")]
                    .filter((el) => el.checkVisibility({ visibilityProperty: true }))
                    .filter((el) => {
                      const box = el.getBoundingClientRect();
                      return box.bottom > whole.bottom + 0.5 || box.right > whole.right + 0.5
                        || (getComputedStyle(el).overflowY !== "visible"
                            && el.scrollHeight > el.clientHeight);
                    }).map((el) => el.outerHTML.slice(0, 90));
                }"""
            )
            assert cut_off == []
            below = somebody.page.locator(f"[data-tab-panel={tab}]").evaluate(
                "sheet => sheet.scrollHeight - sheet.clientHeight"
            )
            assert below == 0
        apart = somebody.page.evaluate(
            """() => {
              const words = (el) => {
                const range = document.createRange();
                range.selectNodeContents(el);
                return range.getBoundingClientRect();
              };
              const terms = [...document.querySelectorAll(".cs-figures :is(dt, dd)")].map(words);
              return terms.every((one) => terms.every((other) => one === other
                || one.right + 4 <= other.left || other.right + 4 <= one.left
                || one.bottom <= other.top + 2 || other.bottom <= one.top + 2));
            }"""
        )
        assert apart, "figures touch each other"


@pytest.mark.parametrize("size", SIZES[:3], ids=str)
def test_a_worklist_several_objects_and_a_warning_need_no_scrolling(
    browser: Browser, running: RunningApp, tmp_path: Path, size: tuple[int, int]
) -> None:
    data = np.full(SHAPE, -1000, np.int16)
    data[4:20, 4:26] = 40
    data[8:14, 10:18, 3:6] = 300
    scans = [
        write_scan(tmp_path / f"case-{number}-of-a-ward-with-long-names.nii.gz", data + number)
        for number in range(6)
    ]
    with person_at(browser, running.url, size=size, surface=False) as somebody:
        somebody.role("file").set_input_files(scans)
        somebody.expect_root("ready", "true")
        expect(somebody.role("notices-card")).to_be_visible()
        for applied in range(1, 4):
            somebody.page.keyboard.press("n")
            somebody.expect_root("applied", applied)
        somebody.click_voxel("axial", ELSEWHERE, SHAPE)
        somebody.expect_clicks(1)
        panel = somebody.page.locator(".cs-panel")
        assert panel.evaluate("el => el.scrollHeight - el.clientHeight") == 0
        for card in somebody.page.locator(".cs-panel-part > *:not([hidden])").all():
            expect(card).to_be_in_viewport(ratio=1)
        spilled = panel.evaluate(
            """el => [...el.querySelectorAll(".cs-panel-part > *")]
              .filter((card) => card.scrollHeight > card.clientHeight + 1)
              .map((card) => card.outerHTML.slice(0, 90))"""
        )
        assert spilled == []
        for role in ("worklist-items", "object-list"):
            hidden = somebody.role(role).evaluate("el => el.scrollHeight - el.clientHeight")
            assert hidden > 0, "the lists scroll by themselves"
        expect(somebody.role("notices")).to_be_hidden()
        somebody.page.locator(".cs-notices summary").click()
        expect(somebody.role("notices")).to_be_visible()


def test_a_phone_shows_the_scans_name_and_letters_apart_from_the_views_names(
    browser: Browser, running: RunningApp, tmp_path: Path
) -> None:
    scan = write_scan(tmp_path / "patient_0042_flair.nii.gz", np.zeros(SHAPE, np.int16))
    with person_at(browser, running.url, size=(390, 844), touch=True, surface=False) as somebody:
        somebody.open_file(scan)
        name = somebody.role("scan-name").locator("strong")
        expect(name).to_have_text("patient_0042_flair")
        assert name.evaluate("el => el.scrollWidth - el.clientWidth") == 0
        for plane in ("coronal", "sagittal"):
            view = somebody.page.locator(f"section[data-plane={plane}]")
            words = view.locator(".cs-view-name").bounding_box()
            letter = view.locator("[data-edge=top]").bounding_box()
            assert words is not None
            assert letter is not None
            assert words["x"] + words["width"] + 6 <= letter["x"]
