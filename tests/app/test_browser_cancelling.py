"""Long work says what it does and can be cancelled; what was open before stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from caiseg import Volume
from tests.app.stand_in import StandInShelf
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
INSIDE: Voxel = (11, 14, 4)
OUTSIDE: Voxel = (4, 25, 4)


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


def hold_encoding(
    shelf: StandInShelf, monkeypatch: pytest.MonkeyPatch
) -> tuple[threading.Event, threading.Event]:
    """The network reports half of its work again and again, until the second event is set.

    The first event says that it has begun.
    """
    encode, begun, go_on = shelf.small.encode, threading.Event(), threading.Event()

    def slowly(volume: Volume, progress: Callable[[float], None], **settings: Any) -> Any:
        progress(0.5)
        begun.set()
        while not go_on.wait(timeout=0.05):
            progress(0.5)
        return encode(volume, progress, **settings)

    monkeypatch.setattr(shelf.small, "encode", slowly)
    return begun, go_on


def test_long_work_says_what_it_does_and_can_be_cancelled(
    person: Person, shelf: StandInShelf, blob: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    person.page.mouse.move(5, 5)
    scan, before = person.state("scan"), person.pictures()
    begun, go_on = hold_encoding(shelf, monkeypatch)
    other = tmp_path / "other.nii.gz"
    other.write_bytes(blob.read_bytes())
    try:
        person.role("file").set_input_files(other)
        assert begun.wait(timeout=120)
        expect(person.role("work-text")).to_contain_text("Encoding")
        expect(person.role("work-progress")).to_have_attribute("value", "0.5")
        expect(person.role("scan-name")).to_contain_text("other")
        person.role("cancel").click()
        person.expect_root("state", "cancelled")
        expect(person.role("work")).to_be_hidden()
        person.expect_root("scan", scan)
    finally:
        go_on.set()
    assert not person.role("refusal").is_visible()
    expect(person.role("scan-name")).to_contain_text("blob")
    person.expect_clicks(1)
    person.go_to_slice("axial", OUTSIDE[2])
    assert person.listed_clicks == [(OUTSIDE, "fg")]
    person.click_voxel("axial", INSIDE, SHAPE, other_label=True)
    person.expect_clicks(2)
    person.page.keyboard.press("Control+z")
    person.expect_clicks(1)
    for plane, voxel in zip(("axial", "coronal", "sagittal"), (4, 25, 4), strict=True):
        person.go_to_slice(plane, voxel)
    person.page.mouse.move(5, 5)
    assert person.pictures() == before


def test_what_is_cancelled_before_it_is_on_screen_is_not_missed(
    person: Person, shelf: StandInShelf, blob: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = hold_encoding(shelf, monkeypatch)
    held: list[Route] = []
    person.page.route("**/voxels.gz", lambda route: held.append(route))
    other = tmp_path / "other.nii.gz"
    other.write_bytes(blob.read_bytes())
    try:
        with person.page.expect_request("**/voxels.gz"):
            person.role("file").set_input_files(other)
        assert begun.wait(timeout=120)
        person.role("cancel").click()
        person.expect_root("state", "cancelled")
        with person.page.expect_response("**/voxels.gz"):
            held[0].fulfill(body="deleted together with the scan")
    finally:
        go_on.set()
    # That takes longer than finding out that these are no voxels.
    person.download_mask(tmp_path)
    person.page.unroute("**/voxels.gz")
    assert not person.role("refusal").is_visible()
    person.expect_root("ready", "true")
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)


def test_the_first_scan_can_be_cancelled_too(
    newcomer: Person, shelf: StandInShelf, blob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = hold_encoding(shelf, monkeypatch)
    try:
        newcomer.role("file").set_input_files(blob)
        assert begun.wait(timeout=120)
        expect(newcomer.role("scan-name")).to_contain_text("blob")
        newcomer.role("cancel").click()
        newcomer.expect_root("state", "cancelled")
    finally:
        go_on.set()
    expect(newcomer.role("welcome")).to_be_visible()
