"""The main job as a person does it: the real app, the served checkpoint, a real browser."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from playwright.sync_api import expect

from caiseg import CAISegPredictor, Click, Label, load_volume, replay_clicks
from caiseg.synthetic import demo_scan
from tests.browser import PLANES, Person, Voxel, open_browser, person_at, start_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's oblique, thick slices, stored in another axis order, with two form codes."""
    folder = tmp_path_factory.mktemp("upload")
    demo = nib.load(demo_scan(folder / "demo.nii.gz"))
    target = nib.orientations.axcodes2ornt("PSL")
    change = nib.orientations.ornt_transform(nib.io_orientation(demo.affine), target)
    stored = demo.as_reoriented(change)
    stored.set_sform(stored.affine, code=1)
    stored.set_qform(stored.affine, code=2)
    path = folder / "oblique.nii.gz"
    nib.save(stored, path)
    return path


@pytest.fixture(scope="module")
def person(chromium: Path, repository: Path) -> Iterator[Person]:
    with (
        start_app(repository / "assets" / "checkpoints") as server,
        open_browser(chromium) as browser,
        person_at(browser, server.url) as someone,
    ):
        yield someone
        assert someone.foreign_requests == []
        assert someone.complaints == []


def test_from_upload_to_download(
    person: Person, scan: Path, repository: Path, tmp_path: Path
) -> None:
    volume = load_volume(scan)
    i, j, k = volume.shape
    targets: list[tuple[str, Voxel, str]] = [
        ("axial", (i // 3, j // 2, k // 2), "fg"),
        ("coronal", (2 * i // 3, j // 3, k // 2 + 2), "bg"),
        ("sagittal", (i // 2, 2 * j // 3, k // 2 - 3), "fg"),
        ("axial", (i // 2, j // 4, k // 2 + 4), "bg"),
        ("coronal", (i // 4, 3 * j // 5, k // 2 - 1), "fg"),
        ("sagittal", (3 * i // 5, j // 2, k // 2 + 1), "bg"),
    ]

    person.open_file(scan)
    assert person.listed_clicks == []
    expect(person.role("model")).to_be_visible()
    expect(person.role("model")).to_have_value("brain-flair")

    canvas = person.canvas("axial")
    before = int(canvas.get_attribute("data-slice") or -1)
    canvas.hover()
    person.page.mouse.wheel(0, 100)
    expect(canvas).not_to_have_attribute("data-slice", str(before))
    assert abs(int(canvas.get_attribute("data-slice") or -1) - before) == 1

    pictures = [show_all(person, targets)]
    for count, (plane, voxel, label) in enumerate(targets, start=1):
        person.click_voxel(plane, voxel, volume.shape, other_label=label == "bg")
        person.expect_clicks(count)
        pictures.append(show_all(person, targets))
    assert person.listed_clicks == [(voxel, label) for _, voxel, label in targets]
    assert len(set(map(tuple, pictures))) == len(pictures)

    downloads = [person.download_mask(tmp_path)]
    masks = [np.asarray(nib.load(downloads[0]).dataobj)]
    for count in reversed(range(len(targets))):
        person.role("undo").click()
        person.expect_clicks(count)
        assert show_all(person, targets) == pictures[count]
    for count in range(1, len(targets) + 1):
        person.role("redo").click()
        person.expect_clicks(count)
        assert show_all(person, targets) == pictures[count]
    masks.append(np.asarray(nib.load(person.download_mask(tmp_path)).dataobj))
    np.testing.assert_array_equal(masks[0], masks[1])

    uploaded, saved = nib.load(scan), nib.load(downloads[0])
    assert saved.shape == uploaded.shape
    assert saved.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(saved.affine, uploaded.affine)
    for form in ("get_sform", "get_qform"):
        expected, expected_code = getattr(uploaded, form)(coded=True)
        found, code = getattr(saved, form)(coded=True)
        assert code == expected_code
        np.testing.assert_array_equal(found, expected)

    image, mask = sitk.ReadImage(str(scan)), sitk.ReadImage(str(downloads[0]))
    assert mask.GetSize() == image.GetSize()
    np.testing.assert_allclose(mask.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(mask.GetSpacing(), image.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection(), atol=1e-6)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask).T, masks[0])

    checkpoint = repository / "assets" / "checkpoints" / "brain-flair.safetensors"
    predictor = CAISegPredictor.from_checkpoint(checkpoint)
    clicks = [Click(voxel, Label.parse(label)) for _, voxel, label in targets]
    rounds = list(replay_clicks(predictor, predictor.encode(volume), clicks))
    np.testing.assert_array_equal(masks[0] > 0, volume.to_native(rounds[-1].mask))
    assert all((earlier.mask != later.mask).any() for earlier, later in itertools.pairwise(rounds))


def test_a_session_file_from_the_page_replays_to_the_mask_on_it(
    person: Person, scan: Path, repository: Path, tmp_path: Path
) -> None:
    shape = load_volume(scan).shape
    i, j, k = shape
    person.page.evaluate("localStorage.clear()")
    person.open_file(scan)
    person.click_voxel("axial", (i // 3, j // 2, k // 2), shape)
    person.expect_clicks(1)
    person.page.keyboard.press("p")
    person.click_voxel("axial", (i // 2, j // 3, k // 2), shape)
    person.expect_root("applied", 2)
    person.page.keyboard.press("f")
    person.click_voxel("sagittal", (i // 2, 2 * j // 3, k // 2), shape, other_label=True)
    person.expect_clicks(2)
    on_screen = np.asarray(nib.load(person.download_mask(tmp_path)).dataobj)
    person.page.locator("[data-tab=files]").click()
    with person.page.expect_download() as download:
        person.page.locator("[data-file=session]").click()
    session, out = tmp_path / "session.json", tmp_path / "replayed.nii.gz"
    download.value.save_as(session)
    checkpoint = repository / "assets" / "checkpoints" / "brain-flair.safetensors"
    command = [sys.executable, "-m", "caiseg", "replay", session, "--scan", scan]
    replayed = subprocess.run(
        [*map(str, command), "--checkpoint", str(checkpoint), "--out", str(out)],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert replayed.returncode == 0, replayed.stderr
    np.testing.assert_array_equal(np.asarray(nib.load(out).dataobj), on_screen)


def show_all(person: Person, targets: list[tuple[str, Voxel, str]]) -> list[bytes]:
    """The pixels of every view at every slice that is clicked on."""
    person.page.mouse.move(2, 2)
    for plane, voxel, _ in targets:
        # The crosshair lies where the slices shown before have put it: the same place each time.
        person.go_to_slice(plane, voxel[PLANES[plane][0]])
    pictures = []
    for plane, voxel, _ in targets:
        person.go_to_slice(plane, voxel[PLANES[plane][0]])
        pictures.append(person.picture(plane))
    return pictures
