"""Whose work is whose, where it is kept, and when it is given up."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from app.server import RunningApp
from app.store import SessionKey
from tests.app.conftest import scan_of
from tests.app.stand_in import StandInShelf, write_scan
from tests.browser import Person, Voxel, person_at

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
INSIDE: Voxel = (11, 14, 4)
OUTSIDE: Voxel = (4, 25, 8)
ELSEWHERE: Voxel = (19, 5, 2)


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


def test_two_people_do_not_see_each_others_work(
    browser: Browser, running: RunningApp, person: Person, tmp_path: Path
) -> None:
    data = np.full((12, 12, 12), 10, np.int16)
    data[3:9, 3:9, 3:9] = 300
    with person_at(browser, running.url, surface=False) as other:
        assert other.root.get_attribute("data-scan") is None
        other.open_file(write_scan(tmp_path / "other.nii.gz", data))
        other.click_voxel("axial", (1, 1, 6), (12, 12, 12))
        other.expect_clicks(1)
        person.click_voxel("axial", INSIDE, SHAPE, other_label=True)
        person.expect_clicks(1)
        assert other.listed_clicks == [((1, 1, 6), "fg")]
        assert person.listed_clicks == [(INSIDE, "bg")]
        assert scan_of(other, running).name == "other"
        assert scan_of(person, running).name == "blob"


def test_a_reload_frees_what_the_page_held(
    newcomer: Person, running: RunningApp, blob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer.open_file(blob)
    scan = scan_of(newcomer, running)
    closed = threading.Event()
    drop = running.store.drop

    def drop_and_tell(key: SessionKey) -> None:
        drop(key)
        if not scan.source.folder.exists():
            closed.set()

    monkeypatch.setattr(running.store, "drop", drop_and_tell)
    newcomer.page.reload()
    newcomer.expect_root("live", "true")
    assert closed.wait(timeout=120)
    assert scan not in running.store.open_scans()
    # Gradio complains that its open connections end with the page.
    newcomer.complaints.clear()


def test_only_what_the_person_did_stays_in_the_browser(person: Person, running: RunningApp) -> None:
    person.click_voxel("axial", INSIDE, SHAPE)
    person.expect_clicks(1)
    stored = person.page.evaluate(
        """async () => JSON.stringify([
          {...localStorage}, {...sessionStorage}, (await indexedDB.databases()).map(d => d.name),
        ])"""
    )
    local, session, databases = json.loads(stored)
    assert (session, databases) == ({}, [])
    # See test_browser_files.py for what it holds.
    assert f"caiseg.session.{scan_of(person, running).identity.sha256}" in local
    assert all(key.startswith("caiseg.session.") for key in local)


def test_an_evicted_scan_is_encoded_again_and_keeps_its_clicks(
    person: Person, running: RunningApp, shelf: StandInShelf
) -> None:
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    scan_of(person, running).resident = None
    encoded = len(shelf.small.encoded)
    person.click_voxel("axial", ELSEWHERE, SHAPE)
    person.expect_clicks(2)
    assert len(shelf.small.encoded) == encoded + 1
    assert scan_of(person, running).resident is not None
    person.page.keyboard.press("Control+z")
    person.page.keyboard.press("Control+z")
    person.expect_clicks(0)
