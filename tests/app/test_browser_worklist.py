"""Several scans, one after the other, each with its own clicks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.app.stand_in import write_scan
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
OUTSIDE: Voxel = (4, 25, 8)
INSIDE: Voxel = (11, 14, 4)


@pytest.fixture
def scans(tmp_path: Path) -> list[Path]:
    paths = []
    for number in (1, 2, 3):
        data = np.zeros(SHAPE, np.int16)
        data[8 : 12 + number, 10:18, 3:6] = 200
        paths.append(write_scan(tmp_path / f"case-{number}.nii.gz", data, (1.0, 1.2, 3.0)))
    return paths


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "letter.nii.gz"
    path.write_text("Dear colleague,")
    return path


def on_screen(person: Person, name: str) -> None:
    expect(person.role("scan-name")).to_contain_text(name)
    person.expect_root("ready", "true")


def test_scans_are_annotated_in_turn_and_keep_their_sessions(
    newcomer: Person, scans: list[Path]
) -> None:
    person = newcomer
    person.role("file").set_input_files(scans)
    on_screen(person, "case-1")
    rows = person.role("worklist-items").locator("li")
    expect(rows).to_have_count(3)
    expect(person.role("previous-scan")).to_be_disabled()
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    volume = person.role("volume").inner_text()
    rows.nth(0).get_by_title("Mark as done").click()
    expect(person.role("worklist-count")).to_have_text("1 of 3 done")

    person.role("next-scan").click()
    on_screen(person, "case-2")
    expect(rows.nth(1)).to_have_attribute("aria-current", "true")
    person.expect_clicks(0)
    person.click_voxel("axial", INSIDE, SHAPE, other_label=True)
    person.expect_clicks(1)
    person.page.keyboard.press("k")
    on_screen(person, "case-3")
    expect(person.role("next-scan")).to_be_disabled()
    person.page.keyboard.press("j")
    on_screen(person, "case-2")
    person.expect_clicks(1)
    assert person.listed_clicks == [(INSIDE, "bg")]

    rows.nth(0).get_by_title("Open case-1").click()
    on_screen(person, "case-1")
    person.expect_clicks(1)
    assert person.listed_clicks == [(OUTSIDE, "fg")]
    expect(person.role("volume")).to_have_text(volume)
    expect(person.role("worklist-count")).to_have_text("1 of 3 done")
    person.page.keyboard.press("y")
    expect(person.role("worklist-count")).to_have_text("0 of 3 done")


def test_a_further_scan_joins_the_list_and_one_alone_needs_none(
    newcomer: Person, scans: list[Path], broken: Path
) -> None:
    person = newcomer
    person.open_file(scans[0])
    expect(person.role("worklist")).to_be_hidden()
    person.role("file").set_input_files(scans[1:])
    on_screen(person, "case-2")
    person.role("file").set_input_files(broken)
    assert "letter.nii.gz" in person.refusal()
    assert "not a NIfTI" in person.refusal() or "damaged" in person.refusal()
    expect(person.role("worklist-items").locator("li")).to_have_count(3)
    on_screen(person, "case-2")
    expect(person.role("worklist-items").locator("li").nth(0)).to_have_attribute(
        "aria-current", "true"
    )
    person.role("next-scan").click()
    on_screen(person, "case-3")


def test_a_broken_scan_is_named_marked_and_passed_over(
    newcomer: Person, scans: list[Path], broken: Path
) -> None:
    person = newcomer
    person.role("file").set_input_files([scans[0], broken, scans[1]])
    on_screen(person, "case-1")
    person.page.keyboard.press("k")
    on_screen(person, "case-2")
    assert "letter.nii.gz" in person.refusal()
    rows = person.role("worklist-items").locator("li")
    expect(rows.nth(2)).to_have_attribute("aria-current", "true")
    expect(rows.nth(1)).to_have_attribute("data-refused", "true")
    expect(rows.nth(1)).to_contain_text("⚠")
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    assert "letter.nii.gz" in person.refusal(), "it stays until it has been read"
    person.page.keyboard.press("Escape")
    expect(person.role("refusal")).to_be_hidden()
    with person.page.expect_response("**/voxels.gz"):
        person.page.keyboard.press("j")
    on_screen(person, "case-1")
    expect(person.role("refusal")).to_be_hidden()
    # Asked for by name it is tried again, and what is on screen stays.
    rows.nth(1).locator(".cs-jump").click()
    assert "letter.nii.gz" in person.refusal()
    on_screen(person, "case-1")
    expect(person.role("next-scan")).to_be_enabled()


def test_broken_scans_before_the_first_good_one_hide_nothing(
    newcomer: Person, scans: list[Path], broken: Path
) -> None:
    person = newcomer
    person.role("file").set_input_files([broken, scans[0], broken])
    on_screen(person, "case-1")
    assert "letter.nii.gz" in person.refusal()
    expect(person.role("worklist-items").locator("li")).to_have_count(3)
    expect(person.role("previous-scan")).to_be_disabled()


def test_a_list_of_broken_scans_is_there_to_be_seen(newcomer: Person, broken: Path) -> None:
    newcomer.role("file").set_input_files([broken, broken])
    rows = newcomer.role("worklist-items").locator("li[data-refused=true]")
    expect(rows).to_have_count(2)
    expect(rows.first).to_be_visible()
    expect(newcomer.role("welcome")).to_be_visible()


def test_what_is_done_is_known_after_a_reload_without_any_name(
    newcomer: Person, scans: list[Path]
) -> None:
    person = newcomer
    person.role("file").set_input_files(scans)
    on_screen(person, "case-1")
    for key in ("y", "k"):
        person.page.keyboard.press(key)
    on_screen(person, "case-2")
    for key in ("y", "y"):
        person.page.keyboard.press(key)
    expect(person.role("worklist-count")).to_have_text("1 of 3 done")
    kept = person.page.evaluate("() => localStorage.getItem('caiseg.done')")
    assert len(json.loads(kept)) == 1
    assert "case" not in kept
    person.page.reload()
    person.expect_root("live", "true")
    person.complaints.clear()
    person.role("file").set_input_files(list(reversed(scans)))
    expect(person.role("worklist-count")).to_have_text("1 of 3 done")
    rows = person.role("worklist-items").locator("li")
    expect(rows.nth(2).get_by_title("Not done yet")).to_be_visible()
    on_screen(person, "case-3")
