"""Collected clicks: nothing that a person does next leaves them behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import expect

from app.server import RunningApp
from tests.app.conftest import scan_of
from tests.app.stand_in import StandInShelf, write_scan
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
FIRST: Voxel = (4, 25, 4)
SECOND: Voxel = (19, 5, 4)


@pytest.fixture(scope="module")
def surface() -> bool:
    return False


@pytest.fixture
def collector(newcomer: Person, blob: Path) -> Person:
    """Somebody with one collected click."""
    newcomer.open_file(blob)
    collect(newcomer, FIRST)
    return newcomer


def collect(person: Person, voxel: Voxel) -> None:
    if person.role("collect").get_attribute("aria-pressed") == "false":
        person.page.keyboard.press("q")
    person.click_voxel("axial", voxel, SHAPE)
    expect(person.role("clicks").locator("[data-collected=true]")).to_have_count(1)


def kept(person: Person) -> list[list[dict[str, Any]]]:
    """What the browser's own storage has of the only scan in it."""
    stored = person.page.evaluate("() => Object.values(localStorage)")
    return [json.loads(entry)["session"]["actions"] for entry in stored]


def test_a_downloaded_mask_is_the_answer_to_them(
    collector: Person, running: RunningApp, shelf: StandInShelf, tmp_path: Path
) -> None:
    shelf.small.gate.clear()
    with collector.page.expect_download() as download:
        collector.role("save").click()
        # The server is still at work on them.
        expect(collector.role("clicks").locator("[data-pending=true]")).to_have_count(1)
        shelf.small.gate.set()
    path = tmp_path / "mask.nii.gz"
    download.value.save_as(path)
    scan = scan_of(collector, running)
    assert [click.voxel for click in scan.session.current.clicks] == [FIRST]
    saved = np.asarray(nib.load(path).dataobj)
    np.testing.assert_array_equal(saved > 0, scan.session.current.mask.unpack())


def test_another_model_answers_them_too(collector: Person) -> None:
    collector.role("model").select_option("large")
    expect(collector.role("model")).to_have_value("large")
    collector.expect_clicks(1)
    # The first mask, the answer to the click, and both again with the other model.
    collector.expect_root("seq", 3)
    assert collector.listed_clicks == [(FIRST, "fg")]
    expect(collector.role("model")).to_have_value("large")


def test_in_a_worklist_they_are_there_when_the_person_comes_back(
    newcomer: Person, tmp_path: Path
) -> None:
    person = newcomer
    names = ["case-1", "case-2"]
    person.role("file").set_input_files(
        [
            write_scan(tmp_path / f"{name}.nii.gz", np.full(SHAPE, number, np.int16))
            for number, name in enumerate(names)
        ]
    )
    for voxel, key, name in ((FIRST, "k", names[1]), (SECOND, "j", names[0])):
        person.expect_root("ready", "true")
        collect(person, voxel)
        person.page.keyboard.press(key)
        expect(person.role("scan-name")).to_contain_text(name)
    person.expect_clicks(1)
    assert person.listed_clicks == [(FIRST, "fg")]
    person.role("next-scan").click()
    expect(person.role("scan-name")).to_contain_text(names[1])
    person.expect_clicks(1)
    assert person.listed_clicks == [(SECOND, "fg")]


@pytest.mark.parametrize("way", ["demo", "file"])
def test_another_scan_is_opened_after_they_are_answered(
    collector: Person, running: RunningApp, tmp_path: Path, way: str
) -> None:
    left = scan_of(collector, running)
    if way == "demo":
        collector.page.locator("header [data-role=demo]").click()
        collector.page.wait_for_function(
            "before => document.querySelector('[data-role=root]').dataset.scan !== before",
            arg=left.scan_id,
        )
        collector.expect_root("ready", "true")
    else:
        collector.open_file(write_scan(tmp_path / "other.nii.gz", np.ones(SHAPE, np.int16)))
    assert [click.voxel for click in left.session.current.clicks] == [FIRST]


def test_the_browser_keeps_them_until_they_are_taken_back(collector: Person, blob: Path) -> None:
    round_of_one = {"do": "clicks", "clicks": [{"voxel": list(FIRST), "label": "fg"}]}
    assert kept(collector) == [[round_of_one]]
    collector.page.keyboard.press("Control+z")
    expect(collector.role("clicks").locator("li")).to_have_count(0)
    assert kept(collector) == []
    collect(collector, SECOND)
    collector.page.reload()
    collector.expect_root("live", "true")
    collector.complaints.clear()
    collector.open_file(blob)
    collector.role("offer-continue").click()
    collector.expect_clicks(1)
    assert collector.listed_clicks == [(SECOND, "fg")]
    # Collected on top of what is kept, and taken back, a click changes nothing of that.
    before = kept(collector)
    collector.page.reload()
    collector.expect_root("live", "true")
    collector.complaints.clear()
    collector.open_file(blob)
    collect(collector, FIRST)
    collector.page.keyboard.press("Control+z")
    expect(collector.role("clicks").locator("li")).to_have_count(0)
    assert kept(collector) == before
