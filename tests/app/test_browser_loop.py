"""Open a scan, click, change one's mind, download: as a person does it, in a real browser."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from app.server import RunningApp
from app.store import OpenScan, SessionKey
from caiseg import Click, InvalidInput, Label, load_volume
from tests.app.stand_in import StandInShelf, write_scan
from tests.browser import PLANES, Person, Voxel, person_at

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
INSIDE: Voxel = (11, 14, 4)
OUTSIDE: Voxel = (4, 25, 8)
ELSEWHERE: Voxel = (19, 5, 2)


def scan_of(person: Person, running: RunningApp) -> OpenScan:
    (scan,) = (s for s in running.store.open_scans() if s.scan_id == person.state("scan"))
    return scan


def mask_of(person: Person, running: RunningApp) -> bytes:
    return scan_of(person, running).session.current.mask.unpack().tobytes()


def folded(clicks: list[Voxel], scan: OpenScan, shelf: StandInShelf) -> bytes:
    """The mask after foreground clicks, each given the mask before it."""
    assert scan.resident is not None
    mask = shelf.small.segment(scan.resident.encoded, ()).mask
    for voxel in clicks:
        click = Click(voxel, Label.FOREGROUND)
        mask = shelf.small.segment(scan.resident.encoded, [click], mask).mask
    return bytes(mask.tobytes())


def test_the_empty_page_says_what_to_do_first(newcomer: Person) -> None:
    expect(newcomer.role("welcome")).to_contain_text("Open a scan to begin")
    expect(newcomer.role("save")).to_be_hidden()


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


def test_two_people_do_not_see_each_others_work(
    browser: Browser, running: RunningApp, person: Person, tmp_path: Path
) -> None:
    data = np.full((12, 12, 12), 10, np.int16)
    data[3:9, 3:9, 3:9] = 300
    with person_at(browser, running.url) as other:
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
    assert closed.wait(timeout=30)
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


def test_every_button_says_what_it_does(person: Person) -> None:
    person.click_voxel("axial", INSIDE, SHAPE)
    person.expect_clicks(1)
    for button in person.page.locator("[data-role=root] button:visible").all():
        assert button.get_attribute("title"), button.inner_text()
        assert button.get_attribute("aria-label") or button.inner_text().strip()


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


def test_the_mask_can_be_hidden(person: Person) -> None:
    shown = person.pictures()
    person.page.keyboard.press("m")
    expect(person.role("mask")).to_have_attribute("aria-pressed", "false")
    hidden = person.pictures()
    assert hidden != shown
    person.role("mask").click()
    person.page.mouse.move(5, 5)
    assert person.pictures() == shown


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
    with person_at(browser, running.url, size=size) as person:
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
