"""Several objects in one scan: named, coloured, hidden, accepted, saved."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from app.server import RunningApp
from caiseg.annotation.objects import PALETTE, Scene
from tests.app.conftest import scan_of
from tests.app.sight import rgb
from tests.app.stand_in import write_scan
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
SPACING = (1.0, 1.2, 3.0)
FIRST: Voxel = (4, 25, 4)
SECOND: Voxel = (19, 5, 4)
NEAR_FIRST: Voxel = (12, 25, 4)
"""Outside of the ball round the first, which its own ball overlaps."""


@pytest.fixture(scope="module")
def surface() -> bool:
    return False


def scene_of(person: Person, running: RunningApp) -> Scene:
    return scan_of(person, running).session.scene


def row(person: Person, object_id: int) -> Locator:
    return person.role("object-list").locator(f"[data-object='{object_id}']")


def expect_active(person: Person, object_id: int) -> None:
    expect(row(person, object_id)).to_have_attribute("aria-current", "true")


def two_objects(person: Person, button: str = "accept") -> None:
    """The first object with a click, and a second one, begun by a button, with a click near it."""
    person.click_voxel("axial", FIRST, SHAPE)
    person.expect_clicks(1)
    person.role(button).click()
    expect_active(person, 2)
    person.click_voxel("axial", NEAR_FIRST, SHAPE)
    person.expect_root("applied", 3)


def coloured(person: Person, colour: str) -> int:
    """How many pixels of the axial view have this very colour, as contours do."""
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    pixels = person.pixels("axial")[..., :3].astype(int)
    return int((np.abs(pixels - wanted).max(axis=2) < 12).sum())


def test_accepting_a_lesion_starts_the_next_with_a_name_and_colour(
    person: Person, running: RunningApp
) -> None:
    person.click_voxel("axial", FIRST, SHAPE)
    person.expect_clicks(1)
    person.page.keyboard.press("a")
    expect_active(person, 2)
    expect(row(person, 1)).to_have_attribute("data-accepted", "true")
    expect(row(person, 2)).to_contain_text("Lesion 2")
    expect(row(person, 2).locator("[data-part=colour]")).to_have_value(PALETTE[1].lower())
    assert person.listed_clicks == []
    person.click_voxel("axial", SECOND, SHAPE)
    person.expect_clicks(1)
    assert [len(item.round.clicks) for item in scene_of(person, running).objects] == [1, 1]
    row(person, 1).locator(".cs-choose").click()
    expect_active(person, 1)
    voxel = ",".join(map(str, FIRST))
    expect(person.role("clicks").locator("li")).to_have_attribute("data-voxel", voxel)
    assert person.listed_clicks == [(FIRST, "fg")]


def test_an_object_without_a_mask_asks_for_a_click_in_it(person: Person) -> None:
    hint = person.role("no-clicks")
    expect(hint).to_contain_text("where the mask misses")
    expect(person.role("status")).to_contain_text("first mask")
    person.role("new-object").click()
    expect_active(person, 2)
    expect(hint).to_contain_text("Click inside")
    person.click_voxel("axial", SECOND, SHAPE)
    person.expect_clicks(1)
    expect(hint).to_be_hidden()


def test_a_scan_in_which_nothing_was_found_says_so(person: Person, tmp_path: Path) -> None:
    dark = np.random.default_rng(0).integers(0, 90, SHAPE).astype(np.int16)
    person.open_file(write_scan(tmp_path / "dark.nii.gz", dark, SPACING))
    expect(person.role("status")).to_contain_text("no mask yet")
    expect(person.role("no-clicks")).to_contain_text("Click inside")


def test_objects_do_not_look_like_background_clicks(person: Person) -> None:
    offered = person.role("object-colours").locator("option")
    assert offered.all_text_contents() == list(PALETTE)
    person.click_voxel("axial", SECOND, SHAPE, other_label=True)
    person.expect_clicks(1)
    person.page.mouse.move(5, 5)
    minus = rgb(person, "axial", SECOND, SHAPE)
    for colour in PALETTE[:5]:
        channels = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        assert np.linalg.norm(minus - channels) > 60, colour


def test_undo_and_redo_go_through_objects_too(person: Person, running: RunningApp) -> None:
    two_objects(person)
    masks = dict(scene_of(person, running).masks)
    for _ in range(2):
        person.page.keyboard.press("Control+z")
    expect(person.role("object-list").locator("li")).to_have_count(1)
    assert person.listed_clicks == [(FIRST, "fg")]
    for _ in range(2):
        person.page.keyboard.press("Control+Shift+z")
    person.expect_root("applied", 7)
    expect_active(person, 2)
    assert dict(scene_of(person, running).masks) == masks


def test_each_object_is_drawn_in_its_colour_and_can_be_hidden(person: Person) -> None:
    two_objects(person)
    person.role("cross").click()
    person.page.mouse.move(5, 5)
    assert coloured(person, PALETTE[0]) > 50
    assert coloured(person, PALETTE[1]) > 50
    row(person, 2).locator("[data-part=colour]").fill("#00ff00")
    person.expect_root("applied", 4)
    assert coloured(person, "#00ff00") > 50
    assert coloured(person, PALETTE[1]) < 20
    row(person, 2).locator("[data-part=shown]").click()
    expect(row(person, 2)).to_have_attribute("data-shown", "false")
    assert coloured(person, "#00ff00") < 20
    assert coloured(person, PALETTE[0]) > 50
    row(person, 2).locator("[data-part=shown]").click()
    person.role("cross").click()


def test_an_object_is_renamed_in_its_place_and_deleted(person: Person, running: RunningApp) -> None:
    two_objects(person)
    row(person, 2).locator(".cs-choose").dblclick()
    name = row(person, 2).locator("input[type=text]")
    name.fill("Satellite")
    name.press("Enter")
    expect(row(person, 2)).to_contain_text("Satellite")
    person.expect_root("applied", 4)
    assert scene_of(person, running).find(2).name == "Satellite"
    row(person, 2).locator(".cs-choose").press("F2")
    name.fill("Something else")
    name.press("Escape")
    expect(row(person, 2)).to_contain_text("Satellite")
    row(person, 2).locator("[data-part=remove]").click()
    expect(person.role("object-list").locator("li")).to_have_count(1)
    person.expect_root("applied", 5)
    expect(row(person, 1).locator("[data-part=remove]")).to_be_disabled()


def test_overlapping_objects_share_no_voxel_by_the_rule_on_the_page(
    person: Person, running: RunningApp
) -> None:
    expect(person.role("overlap-rule")).to_be_hidden()
    two_objects(person, "new-object")
    rule = person.role("overlap-rule").get_attribute("title") or ""
    assert "accepted objects come first" in rule
    scene = scene_of(person, running)
    first, second = (scene.masks[number].unpack() for number in (1, 2))
    assert not (first & second).any()
    whole = scene.find(2).round.mask.unpack()
    assert (first & whole).any(), "they would overlap"
    np.testing.assert_array_equal(first, scene.find(1).round.mask.unpack())
    np.testing.assert_array_equal(second, whole & ~first)


def test_objects_are_saved_as_labels_of_one_mask_or_as_separate_masks(
    person: Person, running: RunningApp, tmp_path: Path, blob: Path
) -> None:
    two_objects(person)
    scene = scene_of(person, running)
    labels = nib.load(person.download_mask(tmp_path))
    np.testing.assert_array_equal(labels.affine, nib.load(blob).affine)
    np.testing.assert_array_equal(np.asarray(labels.dataobj), scene.labels)
    assert set(np.unique(scene.labels)) == {0, 1, 2}
    person.page.get_by_role("tab", name="Files").click()
    with person.page.expect_download() as download:
        person.page.locator("[data-file=masks]").click()
    archive = tmp_path / "masks.zip"
    download.value.save_as(archive)
    with zipfile.ZipFile(archive) as bundle:
        bundle.extractall(tmp_path)
        names = bundle.namelist()
    assert names == ["blob_1_Lesion-1.nii.gz", "blob_2_Lesion-2.nii.gz"]
    for label, name in enumerate(names, start=1):
        saved = np.asarray(nib.load(tmp_path / name).dataobj)
        np.testing.assert_array_equal(saved, scene.labels == label)


def test_an_uploaded_mask_is_shown_and_refined_by_clicks(
    person: Person, running: RunningApp, tmp_path: Path
) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[16:20, 20:25, 5:7] = 1
    person.role("mask-file").set_input_files(write_scan(tmp_path / "old.nii.gz", mask, SPACING))
    person.expect_root("applied", 1)
    session = scan_of(person, running).session
    np.testing.assert_array_equal(session.current.mask.unpack(), mask > 0)
    person.click_voxel("axial", FIRST, SHAPE)
    person.expect_clicks(1)
    shown = session.current.mask.unpack()
    assert shown[mask > 0].all()
    assert shown[FIRST]
    assert not shown[11, 14, 4], "the first mask of the network is no part of it"
    previous = session.current.previous_mask
    assert previous is not None
    np.testing.assert_array_equal(previous.unpack(), mask > 0)


def test_an_uploaded_mask_of_several_labels_becomes_several_objects(
    person: Person, running: RunningApp, tmp_path: Path
) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:5], mask[10:12] = 1, 7
    person.role("mask-file").set_input_files(write_scan(tmp_path / "old.nii.gz", mask, SPACING))
    expect(person.role("object-list").locator("li")).to_have_count(2)
    expected = (mask == 1) + 2 * (mask == 7)
    np.testing.assert_array_equal(scene_of(person, running).labels, expected)


def test_a_mask_of_another_scan_gets_a_sentence_and_changes_nothing(
    person: Person, running: RunningApp, tmp_path: Path
) -> None:
    before = scene_of(person, running).masks
    wrong = write_scan(tmp_path / "wrong.nii.gz", np.ones((24, 30, 9), np.uint8), SPACING)
    person.role("mask-file").set_input_files(wrong)
    assert "does not lie on the grid of" in person.refusal()
    assert dict(scene_of(person, running).masks) == dict(before)
