"""From the empty page to a scan on screen, and what happens to files that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Route, expect

from app.server import RunningApp
from caiseg import InvalidInput, load_volume
from tests.app.conftest import scan_of
from tests.app.stand_in import StandInShelf, write_scan
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
OUTSIDE: Voxel = (4, 25, 8)


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


def test_the_empty_page_says_what_to_do_first(newcomer: Person) -> None:
    expect(newcomer.role("welcome")).to_contain_text("Open a scan to begin")
    expect(newcomer.role("save")).to_be_hidden()


def test_the_demo_scan_opens_with_one_click(newcomer: Person) -> None:
    newcomer.open_demo()
    expect(newcomer.role("scan-name")).to_contain_text("demo")
    expect(newcomer.role("welcome")).to_be_hidden()


def test_a_scan_can_be_dropped_on_the_page(newcomer: Person, blob: Path) -> None:
    data = newcomer.page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.nii.gz"));
          return transfer;
        }""",
        list(blob.read_bytes()),
    )
    newcomer.page.dispatch_event("body", "dragover", {"dataTransfer": data})
    expect(newcomer.role("drop")).to_be_visible()
    newcomer.page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(newcomer.role("drop")).to_be_hidden()
    newcomer.expect_root("ready", "true")
    expect(newcomer.role("scan-name")).to_contain_text("dropped")


def test_a_file_that_is_no_scan_gets_one_sentence_and_changes_nothing(
    person: Person, running: RunningApp, tmp_path: Path
) -> None:
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    person.page.mouse.move(5, 5)
    before = person.pictures()
    wrong = tmp_path / "letter.nii.gz"
    wrong.write_text("Dear colleague,")
    with pytest.raises(InvalidInput) as error:
        load_volume(wrong)
    person.role("file").set_input_files(wrong)
    assert person.refusal() == str(error.value)
    assert person.pictures() == before
    person.page.keyboard.press("Control+z")
    person.expect_clicks(0)
    assert scan_of(person, running).name == "blob"
    expect(person.role("refusal")).to_be_hidden()


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    newcomer: Person, tmp_path: Path
) -> None:
    large = tmp_path / "large.nii"
    with large.open("wb") as file:
        file.truncate(65 * 2**20)
    requests = len(newcomer.requests)
    newcomer.role("file").set_input_files(large)
    assert "64 MB" in newcomer.refusal()
    assert len(newcomer.requests) == requests


def test_notices_about_a_scan_are_shown(person: Person, tmp_path: Path) -> None:
    data = np.zeros((8, 9, 10), np.float32)
    data[2, 2, 2] = np.nan
    data[4:6, 4:6, 4:6] = 200
    path = write_scan(tmp_path / "holes.nii.gz", data)
    person.open_file(path)
    (notice,) = load_volume(path).notices
    expect(person.role("notices")).to_contain_text(notice)


def test_an_upload_can_be_cancelled(
    newcomer: Person, shelf: StandInShelf, blob: Path, tmp_path: Path
) -> None:
    held: list[Route] = []
    newcomer.page.route("**/upload*", lambda route: held.append(route))
    with newcomer.page.expect_request("**/upload*"):
        newcomer.role("file").set_input_files(blob)
    expect(newcomer.role("work-text")).to_contain_text("Uploading blob")
    newcomer.role("cancel").click()
    expect(newcomer.role("work")).to_be_hidden()
    expect(newcomer.role("welcome")).to_be_visible()
    encoded = list(shelf.small.encoded)
    with newcomer.page.expect_response("**/upload*"):
        held[0].continue_()
    newcomer.page.unroute("**/upload*")
    newcomer.open_file(write_scan(tmp_path / "other.nii.gz", np.ones(SHAPE, np.int16)))
    assert shelf.small.encoded == [*encoded, "other.nii.gz"], (
        "what was cancelled is not opened later"
    )


def watch_for_shifts(person: Person) -> None:
    """Note from now on what moves on the page without having been moved by the person."""
    person.page.evaluate(
        """() => {
          window.shifts = [];
          const note = (entries) => {
            for (const { sources } of entries) {
              window.shifts.push(...sources.map(({ node }) => node?.outerHTML?.slice(0, 120)));
            }
          };
          const observer = new PerformanceObserver((list) => note(list.getEntries()));
          observer.observe({ type: "layout-shift" });
          window.endOfShifts = () => { note(observer.takeRecords()); return window.shifts; };
        }"""
    )


def test_nothing_moves_while_scans_are_opened_and_worked_on(
    newcomer: Person, blob: Path, tmp_path: Path
) -> None:
    watch_for_shifts(newcomer)
    newcomer.open_file(blob)
    newcomer.click_voxel("axial", OUTSIDE, SHAPE)
    newcomer.expect_clicks(1)
    # Of other spacing than the model's scans: that is said beside the views, too.
    newcomer.open_file(
        write_scan(tmp_path / "other.nii.gz", np.ones((9, 9, 9), np.int16), (9, 9, 9))
    )
    expect(newcomer.role("notices-card")).to_be_visible()
    newcomer.open_file(blob)
    expect(newcomer.role("offer")).to_be_visible()
    newcomer.page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
    )
    assert newcomer.page.evaluate("() => window.endOfShifts()") == []


def test_an_offer_to_go_on_hides_nothing(person: Person, blob: Path, tmp_path: Path) -> None:
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    person.open_file(write_scan(tmp_path / "other.nii.gz", np.ones(SHAPE, np.int16)))
    person.open_file(blob)
    expect(person.role("offer")).to_be_visible()
    covered = person.role("offer").evaluate(
        """offer => {
          const { left, right, top, bottom } = offer.getBoundingClientRect();
          return [...document.querySelectorAll(".cs :is(.cs-view, .cs-bar, .cs-card, .cs-tabs)")]
            .filter((part) => !part.contains(offer))
            .map((part) => [part.className, part.getBoundingClientRect()])
            .filter(([, box]) => box.left < right && box.right > left
                                 && box.top < bottom && box.bottom > top)
            .map(([name]) => name);
        }"""
    )
    assert covered == []
    person.role("offer-continue").click()
    person.expect_clicks(1)
