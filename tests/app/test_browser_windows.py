"""Which intensities are shown as which greys: presets, keys and the right mouse button."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.app.sight import only_the_scan, rgb
from tests.app.stand_in import write_scan
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

# Of the scan `blob`, and voxels inside and outside its bright block.
SHAPE: Voxel = (24, 30, 10)
INSIDE: Voxel = (11, 14, 4)
OUTSIDE: Voxel = (4, 25, 4)


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


@pytest.fixture
def thorax(tmp_path: Path) -> Path:
    """Data in Hounsfield units: air, and a block of 30 HU."""
    data = np.full((16, 16, 8), -1000, np.int16)
    data[3:13, 3:13, 2:6] = 30
    return write_scan(tmp_path / "thorax.nii.gz", data)


def test_ct_has_the_windows_of_a_workstation(person: Person, thorax: Path) -> None:
    person.open_file(thorax)
    only_the_scan(person)
    levels = {
        "Soft tissue": (40, 400),
        "Lung": (-600, 1500),
        "Bone": (400, 1800),
        "Brain": (40, 80),
        "Liver": (60, 160),
    }
    offered = person.role("window").locator("option").all_inner_texts()
    assert offered == [*levels, "Auto"]
    for name, (level, width) in levels.items():
        person.role("window").select_option(name)
        grey = np.clip((30 - (level - width / 2)) / width, 0, 1) * 255
        seen = rgb(person, "axial", (8, 8, 4), (16, 16, 8))
        np.testing.assert_allclose(seen, grey, atol=1.5, err_msg=name)
    person.role("window").select_option("Soft tissue")
    person.page.locator("section[data-plane=axial]").focus()
    person.page.keyboard.press("w")
    expect(person.role("window")).to_have_value("Lung")
    person.page.keyboard.press("Shift+W")
    person.page.keyboard.press("Shift+W")
    expect(person.role("window")).to_have_value("Auto")
    for role in ("mask", "cross", "smooth"):
        person.role(role).click()


def test_the_menu_gives_the_keys_back_to_the_views_but_keeps_who_walks_through_it_by_keyboard(
    person: Person, thorax: Path
) -> None:
    person.open_file(thorax)
    menu = person.role("window")
    menu.focus()
    menu.select_option("Bone")
    expect(person.page.locator("section[data-plane=axial]")).to_be_focused()
    person.page.keyboard.press("b")
    person.expect_root("label", "bg")
    expect(menu).to_have_value("Bone")
    menu.focus()
    for name in ("Brain", "Liver"):
        person.page.keyboard.press("ArrowDown")
        expect(menu).to_have_value(name)
        expect(menu).to_be_focused()


def test_other_scans_get_a_window_from_their_own_intensities(person: Person) -> None:
    assert person.role("window").locator("option").all_inner_texts() == ["Auto"]
    only_the_scan(person)
    person.go_to_slice("axial", INSIDE[2])
    assert rgb(person, "axial", INSIDE, SHAPE).min() > 240
    assert rgb(person, "axial", OUTSIDE, SHAPE).max() < 40
    for role in ("mask", "cross", "smooth"):
        person.role(role).click()


def test_the_window_can_be_changed_by_keys(person: Person) -> None:
    person.page.locator("section[data-plane=axial]").focus()
    before = person.role("window").get_attribute("title") or ""
    low, high = (float(word) for word in before.split() if word.replace(".", "").isdigit())
    person.page.keyboard.press("Shift+ArrowRight")
    expect(person.role("window")).to_have_value("Custom")
    wider = person.role("window").get_attribute("title") or ""
    numbers = [float(word) for word in wider.split() if word.lstrip("-").replace(".", "").isdigit()]
    assert numbers[1] - numbers[0] > high - low
    person.role("window").select_option("Auto")


def test_right_drag_changes_the_window_and_the_menu_brings_it_back(person: Person) -> None:
    before = person.pictures()
    x, y = person.position("axial", INSIDE, SHAPE)
    person.page.mouse.move(x, y)
    person.page.mouse.down(button="right")
    person.page.mouse.move(x - 80, y + 60, steps=4)
    person.page.mouse.up(button="right")
    expect(person.role("window")).to_have_value("Custom")
    assert person.listed_clicks == []
    person.page.mouse.move(5, 5)
    assert person.pictures() != before
    person.role("window").select_option("Auto")
    assert person.pictures() == before
