"""Files in and out of the page, and going on after a reload."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from playwright.sync_api import Browser, expect

from app.server import RunningApp
from caiseg import load_volume
from caiseg.annotation.session_file import SessionFile
from tests.app.conftest import scan_of
from tests.app.stand_in import write_scan
from tests.browser import Person, Voxel, person_at
from tests.caiseg.scan_files import dicom_slice, write_series

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
OUTSIDE: Voxel = (4, 25, 8)
INSIDE: Voxel = (11, 14, 4)


def labels_of(person: Person, running: RunningApp) -> bytes:
    return scan_of(person, running).session.scene.labels.tobytes()


def clicked(person: Person, *voxels: Voxel) -> None:
    for count, voxel in enumerate(voxels, start=1):
        person.click_voxel("axial", voxel, SHAPE)
        person.expect_clicks(count)


def downloaded(person: Person, kind: str, folder: Path) -> Path:
    person.page.locator("[data-tab=files]").click()
    with person.page.expect_download() as download:
        person.page.locator(f"[data-file={kind}]").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def reload(person: Person) -> None:
    """As after a crash of the browser; the requests that it cuts off are no complaint."""
    person.page.reload()
    person.expect_root("live", "true")
    person.complaints.clear()


def stored(person: Person) -> str:
    text: str = person.page.evaluate("() => JSON.stringify({...localStorage})")
    return text


def test_measurements_surfaces_and_masks_can_be_taken_away(person: Person, tmp_path: Path) -> None:
    clicked(person, OUTSIDE)
    with downloaded(person, "csv", tmp_path).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert f"{float(row['volume_ml']):.2f} mL" == person.role("volume").text_content()
    assert row["clicks"] == "1"
    assert b"RAS+" in downloaded(person, "stl", tmp_path).read_bytes()[:80]
    assert downloaded(person, "ply", tmp_path).read_bytes().startswith(b"ply")
    with zipfile.ZipFile(downloaded(person, "masks", tmp_path)) as archive:
        assert archive.namelist() == ["blob_1_Lesion-1.nii.gz"]


def test_a_session_file_gives_the_same_mask_in_another_browser(
    person: Person, running: RunningApp, browser: Browser, blob: Path, tmp_path: Path
) -> None:
    clicked(person, OUTSIDE, INSIDE)
    person.page.keyboard.press("Control+z")
    person.expect_clicks(1)
    expected = labels_of(person, running)
    path = downloaded(person, "session", tmp_path)
    assert len(SessionFile.read(path).actions) == 3
    assert "opacity" in json.loads(path.read_text())["settings"]
    with person_at(browser, running.url, surface=False) as other:
        other.role("file").set_input_files(path)
        assert "open the scan that this session belongs to" in other.refusal()
        other.open_file(blob)
        other.expect_clicks(1)
        assert labels_of(other, running) == expected
        other.page.keyboard.press("Control+Shift+z")
        other.expect_clicks(2)
        # The same file again, now that its scan is open.
        other.role("file").set_input_files(path)
        other.expect_clicks(1)
        assert labels_of(other, running) == expected


def test_a_file_that_is_no_session_gets_a_sentence(person: Person, tmp_path: Path) -> None:
    letter = tmp_path / "letter.json"
    letter.write_text("{}")
    person.role("file").set_input_files(letter)
    assert "no session file" in person.refusal()
    person.role("refusal-close").click()


def test_after_a_reload_the_same_scan_goes_on_where_it_was(
    newcomer: Person, running: RunningApp, blob: Path, tmp_path: Path
) -> None:
    newcomer.open_file(blob)
    clicked(newcomer, OUTSIDE, INSIDE)
    newcomer.page.keyboard.press("Control+z")
    newcomer.expect_clicks(1)
    expected = labels_of(newcomer, running)
    kept = stored(newcomer)
    assert load_volume(blob).content_hash in kept
    assert "blob" not in kept, "a file name may be a patient's"
    assert "bits" not in kept, "no voxel leaves the scan"

    reload(newcomer)
    expect(newcomer.role("left-off")).to_contain_text("Continue where you left off (3 steps")
    other = write_scan(tmp_path / "other.nii.gz", np.ones(SHAPE, np.int16))
    newcomer.open_file(other)
    expect(newcomer.role("offer")).to_be_hidden()
    newcomer.open_file(blob)
    expect(newcomer.role("offer-text")).to_contain_text("3 steps")
    newcomer.role("offer-continue").click()
    newcomer.expect_clicks(1)
    assert newcomer.listed_clicks == [(OUTSIDE, "fg")]
    assert labels_of(newcomer, running) == expected
    newcomer.page.keyboard.press("Control+Shift+z")
    newcomer.expect_clicks(2)

    reload(newcomer)
    newcomer.open_file(blob)
    newcomer.role("offer-dismiss").click()
    expect(newcomer.role("offer")).to_be_hidden()
    clicked(newcomer, INSIDE)
    assert newcomer.listed_clicks == [(INSIDE, "fg")]


def test_of_several_series_one_is_chosen(person: Person, tmp_path: Path) -> None:
    slices = [dicom_slice(index) for index in range(3)]
    scout = dicom_slice(0, SeriesInstanceUID="5.6.7", SeriesDescription="scout",
                        SOPInstanceUID="9.9")  # fmt: skip
    before = person.state("scan")
    person.role("file").set_input_files(write_series(tmp_path / "two.zip", [*slices, scout]))
    choice = person.role("choice")
    expect(choice).to_contain_text("several series")
    assert person.state("scan") == before
    choice.get_by_text("CT thorax (3 images)").click()
    expect(person.role("scan-name")).to_contain_text("two")
    person.expect_root("ready", "true")


def test_of_several_volumes_one_is_chosen_and_read_again_after_an_eviction(
    person: Person, running: RunningApp, tmp_path: Path
) -> None:
    data = np.zeros((*SHAPE, 3), np.int16)
    data[8:14, 10:18, 3:6, 2] = 200
    person.role("file").set_input_files(write_scan(tmp_path / "dynamic.nii.gz", data, (1, 1, 3)))
    expect(person.role("choice")).to_contain_text("3 volumes")
    person.role("choice").get_by_text("Volume 3").click()
    expect(person.role("scan-name")).to_contain_text("dynamic")
    person.expect_root("ready", "true")
    expect(person.role("volume")).to_have_text("0.43 mL")
    scan_of(person, running).resident = None
    clicked(person, OUTSIDE)
    resident = scan_of(person, running).resident
    assert resident is not None
    assert resident.volume.data.max() == 200


def test_a_header_and_its_voxels_are_opened_together(person: Person, tmp_path: Path) -> None:
    data = np.zeros((10, 30, 24), np.int16)
    data[3:6, 10:18, 8:14] = 200
    image = sitk.GetImageFromArray(data)
    sitk.WriteImage(image, str(tmp_path / "head (1).mhd"))
    pair = [tmp_path / "head (1).mhd", tmp_path / "head (1).raw"]
    person.role("file").set_input_files(pair)
    expect(person.role("scan-name")).to_contain_text("head")
    person.expect_root("ready", "true")
    expect(person.role("volume")).to_have_text("0.14 mL")
    expect(person.role("worklist")).to_be_hidden()


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_other_formats_are_opened_and_their_masks_lie_on_them(
    person: Person, tmp_path: Path, suffix: str
) -> None:
    data = np.zeros((10, 30, 24), np.int16)
    data[3:6, 10:18, 8:14] = 200
    path = tmp_path / f"scan.{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(data), str(path))
    person.open_file(path)
    saved = nib.load(person.download_mask(tmp_path))
    volume = load_volume(path)
    np.testing.assert_allclose(saved.affine, volume.native.affine)
    np.testing.assert_array_equal(volume.from_native(np.asarray(saved.dataobj)), volume.data > 100)
