"""Open a scan, click, change one's mind, download: as a person does it, in a real browser."""

from __future__ import annotations

import threading
from pathlib import Path

import gradio as gr
import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import expect

from app import replies
from app.server import RunningApp
from app.store import OpenScan
from caiseg import load_volume
from tests.app.conftest import scan_of
from tests.app.stand_in import StandInShelf, folded
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
INSIDE: Voxel = (11, 14, 4)
OUTSIDE: Voxel = (4, 25, 8)
ELSEWHERE: Voxel = (19, 5, 2)


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


HOLD_UNPACKING = """() => {
  const Real = DecompressionStream;
  const held = new Promise((unpack) => { window.unpack = unpack; });
  window.DecompressionStream = class {
    constructor(format) {
      const { readable, writable } = new Real(format);
      this.writable = writable;
      this.readable = readable.pipeThrough(new TransformStream({ flush: () => held }));
    }
  };
}"""
"""The page unpacks no mask until ``unpack()`` is called."""


def mask_of(person: Person, running: RunningApp) -> bytes:
    return scan_of(person, running).session.current.mask.unpack().tobytes()


def test_a_first_mask_appears_without_a_click(
    person: Person, running: RunningApp, blob: Path
) -> None:
    assert person.listed_clicks == []
    expected = load_volume(blob).data > 100
    assert mask_of(person, running) == expected.tobytes()
    orange = person.pixels("axial").astype(int)
    assert np.any((orange[..., 0] - orange[..., 2]) > 60), "the mask is drawn over the scan"
    expect(person.role("status")).to_contain_text("first mask")
    expect(person.role("volume")).to_have_text("0.52 mL")
    expect(person.role("components")).to_have_text("1")


def test_undo_redo_and_reset_restore_clicks_and_mask_exactly(
    person: Person, running: RunningApp
) -> None:
    masks, pictures = [mask_of(person, running)], []
    for count, (voxel, background) in enumerate(
        [(OUTSIDE, False), (INSIDE, True), (ELSEWHERE, False)], start=1
    ):
        person.click_voxel("axial", voxel, SHAPE, other_label=background)
        person.expect_clicks(count)
        masks.append(mask_of(person, running))
    assert len(set(masks)) == 4
    person.go_to_slice("axial", INSIDE[2])
    person.page.mouse.move(5, 5)
    pictures.append(person.pictures())
    clicks = person.listed_clicks
    assert clicks == [(OUTSIDE, "fg"), (INSIDE, "bg"), (ELSEWHERE, "fg")]
    for count in (2, 1, 0):
        person.page.keyboard.press("Control+z")
        person.expect_clicks(count)
        assert mask_of(person, running) == masks[count]
        assert person.listed_clicks == clicks[:count]
    expect(person.role("undo")).to_be_disabled()
    for count in (1, 2, 3):
        person.page.keyboard.press("Control+Shift+z")
        person.expect_clicks(count)
        assert mask_of(person, running) == masks[count]
    expect(person.role("redo")).to_be_disabled()
    assert person.pictures() == pictures[0]
    person.role("reset").click()
    person.expect_clicks(0)
    assert mask_of(person, running) == masks[0]
    person.role("undo").click()
    person.expect_clicks(3)
    assert mask_of(person, running) == masks[3]
    person.page.mouse.move(5, 5)
    assert person.pictures() == pictures[0]


def test_a_deleted_click_is_as_if_it_had_not_been_made(
    person: Person, running: RunningApp, shelf: StandInShelf
) -> None:
    for count, voxel in enumerate([OUTSIDE, INSIDE, ELSEWHERE], start=1):
        person.click_voxel("coronal", voxel, SHAPE)
        person.expect_clicks(count)
    person.role("clicks").locator("li").nth(1).get_by_title("Delete this click").click()
    person.expect_clicks(2)
    assert person.listed_clicks == [(OUTSIDE, "fg"), (ELSEWHERE, "fg")]
    expected = folded([OUTSIDE, ELSEWHERE], scan_of(person, running), shelf)
    assert mask_of(person, running) == expected
    person.role("clicks").locator("li button.cs-jump").first.click()
    person.expect_root("pos", ",".join(map(str, OUTSIDE)))


def test_clicks_that_come_faster_than_answers_all_arrive_in_order(
    person: Person, running: RunningApp, shelf: StandInShelf
) -> None:
    person.go_to_slice("axial", 4)
    voxels: list[Voxel] = [(4 + 2 * n, 3 + 3 * n, 4) for n in range(8)]
    shelf.small.gate.clear()
    try:
        for voxel in voxels:
            person.page.mouse.click(*person.position("axial", voxel, SHAPE))
        expect(person.role("clicks").locator("[data-pending=true]")).to_have_count(8)
    finally:
        shelf.small.gate.set()
    person.expect_clicks(8)
    assert person.listed_clicks == [(voxel, "fg") for voxel in voxels]
    assert mask_of(person, running) == folded(voxels, scan_of(person, running), shelf)


def test_the_downloaded_mask_is_the_one_on_screen_in_the_scans_geometry(
    person: Person, running: RunningApp, blob: Path, tmp_path: Path
) -> None:
    person.click_voxel("sagittal", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    path = person.download_mask(tmp_path)
    assert path.name == "blob_mask.nii.gz"
    saved = nib.load(path)
    np.testing.assert_array_equal(saved.affine, nib.load(blob).affine)
    expected = scan_of(person, running).session.current.mask.unpack()
    np.testing.assert_array_equal(np.asarray(saved.dataobj), expected)


def test_another_checkpoint_answers_the_same_clicks(person: Person, running: RunningApp) -> None:
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    with_small = mask_of(person, running)
    person.role("model").select_option("large")
    person.expect_root("seq", 3)
    assert person.listed_clicks == [(OUTSIDE, "fg")]
    assert scan_of(person, running).session.current.mask.unpack().sum() > np.sum(
        np.frombuffer(with_small, bool)
    )
    person.role("model").select_option("small")
    person.expect_root("seq", 4)
    assert mask_of(person, running) == with_small
    person.page.keyboard.press("Control+z")
    person.expect_clicks(0)


def test_a_click_can_be_placed_with_the_keyboard_alone(person: Person) -> None:
    person.page.locator("section[data-plane=axial]").focus()
    i, j, k = map(int, person.state("pos").split(","))
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "PageUp", "b", "Enter"):
        person.page.keyboard.press(key)
    person.expect_clicks(1)
    assert person.listed_clicks == [((i - 1, j - 2, k + 1), "bg")]


def test_the_sheet_lists_the_shortcuts(person: Person) -> None:
    person.page.keyboard.press("?")
    expect(person.role("help-sheet")).to_be_visible()
    expect(person.role("help-sheet")).to_contain_text("Ctrl + Z")
    person.page.keyboard.press("Escape")
    expect(person.role("help-sheet")).to_be_hidden()


def test_the_mask_can_be_hidden(person: Person) -> None:
    shown = person.pictures()
    person.page.keyboard.press("m")
    expect(person.role("mask")).to_have_attribute("aria-pressed", "false")
    hidden = person.pictures()
    assert hidden != shown
    person.role("mask").click()
    person.page.mouse.move(5, 5)
    assert person.pictures() == shown


def test_measurements_that_overtake_their_mask_wait_for_it(
    newcomer: Person, blob: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer.open_file(blob)
    newcomer.expect_root("details", 1)
    measure, go_on = replies.details, threading.Event()

    def held(scan: OpenScan) -> gr.HTML:
        go_on.wait(timeout=60)
        return measure(scan)

    monkeypatch.setattr(replies, "details", held)
    newcomer.click_voxel("axial", OUTSIDE, SHAPE)
    newcomer.expect_clicks(1)
    newcomer.page.evaluate(HOLD_UNPACKING)
    newcomer.role("accept").click()
    newcomer.expect_root("arrived", 3)
    # Asked for when the lesion had its click, these are of the next one too.
    go_on.set()
    # A file asked for now comes after them.
    newcomer.download_mask(tmp_path)
    assert (newcomer.state("seq"), newcomer.state("details")) == ("2", "1")
    newcomer.page.evaluate("unpack()")
    newcomer.expect_root("seq", 3)
    newcomer.expect_root("details", 3)
    expect(newcomer.role("clicks-used")).to_have_text("0")
