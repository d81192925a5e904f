"""Several scans, one after the other, each with its own clicks."""

from __future__ import annotations

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
    newcomer: Person, scans: list[Path], tmp_path: Path
) -> None:
    person = newcomer
    person.open_file(scans[0])
    expect(person.role("worklist")).to_be_hidden()
    person.role("file").set_input_files(scans[1:])
    on_screen(person, "case-2")
    wrong = tmp_path / "letter.nii.gz"
    wrong.write_text("Dear colleague,")
    person.role("file").set_input_files(wrong)
    assert "not a NIfTI" in person.refusal() or "damaged" in person.refusal()
    expect(person.role("worklist-items").locator("li")).to_have_count(3)
    on_screen(person, "case-2")
    expect(person.role("worklist-items").locator("li").nth(0)).to_have_attribute(
        "aria-current", "true"
    )
    person.role("next-scan").click()
    on_screen(person, "case-3")
