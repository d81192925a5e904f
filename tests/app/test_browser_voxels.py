"""What lies under the pointer is what is recorded, in every plane and on every screen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from app.server import RunningApp
from caiseg import load_volume
from tests.browser import PLANES, Person, Voxel, person_at

pytestmark = pytest.mark.browser

SHAPE: Voxel = (22, 26, 9)
BRIGHT: Voxel = (3, 20, 6)
CORNERS: list[Voxel] = [
    (i, j, k) for i, j, k in itertools.product(*[(0, size - 1) for size in SHAPE])
]


@pytest.fixture(scope="module")
def oblique(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thick, rotated slices, stored in another order and direction than they are displayed in."""
    tilt, turn = np.deg2rad(17), np.deg2rad(-12)
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    about_z = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    display = np.eye(4)
    display[:3, :3] = about_z @ about_x @ np.diag([0.8, 1.1, 4.5])
    display[:3, 3] = (-31, 12, 44)
    data = np.full(SHAPE, 20, np.int16)
    data[BRIGHT] = 90
    for corner in CORNERS:
        data[corner] = 90
    # Stored as (k, −i, j): the display grid has to be worked out from the affine.
    stored = np.flip(data, axis=0).transpose(2, 0, 1)
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = SHAPE[0] - 1
    permute = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
    path = tmp_path_factory.mktemp("oblique") / "oblique.nii.gz"
    nib.save(nib.Nifti1Image(stored, display @ flip @ permute), path)
    np.testing.assert_array_equal(load_volume(path).data, data)
    return path


@pytest.fixture(scope="module", params=[1, 2], ids=["ratio 1", "ratio 2"])
def annotator(
    request: pytest.FixtureRequest, browser: Browser, running: RunningApp, oblique: Path
) -> Iterator[Person]:
    with person_at(browser, running.url, pixel_ratio=request.param, surface=False) as person:
        person.open_file(oblique)
        yield person
        assert person.complaints == []


def reset(person: Person) -> None:
    before = int(person.state("applied"))
    person.page.keyboard.press("x")
    person.expect_root("applied", before + 1)


@pytest.mark.parametrize("plane", PLANES)
def test_a_click_records_the_voxel_under_the_pointer(annotator: Person, plane: str) -> None:
    reset(annotator)
    targets = [*CORNERS, BRIGHT]
    shares = [0.08, 0.92, 0.5]
    for number, voxel in enumerate(targets):
        inside = (shares[number % 3], shares[number // 3 % 3])
        annotator.click_voxel(plane, voxel, SHAPE, inside=inside, other_label=number % 2 == 1)
    annotator.expect_clicks(len(targets))
    labels = itertools.cycle(["fg", "bg"])
    assert annotator.listed_clicks == list(zip(targets, labels, strict=False))


@pytest.mark.parametrize("plane", PLANES)
def test_a_click_beside_the_image_records_nothing(annotator: Person, plane: str) -> None:
    reset(annotator)
    annotator.click_voxel(plane, (0, 0, 0), SHAPE, inside=(1.2, 0.5))
    annotator.click_voxel(plane, (0, 0, 0), SHAPE, inside=(0.5, 1.2))
    annotator.click_voxel(plane, BRIGHT, SHAPE)
    annotator.expect_clicks(1)
    assert annotator.listed_clicks == [(BRIGHT, "fg")]


@pytest.mark.parametrize("plane", PLANES)
def test_voxels_are_drawn_where_they_are_clicked(annotator: Person, plane: str) -> None:
    """The brightest pixels of the picture, not the page's own arithmetic, say where a voxel is."""
    reset(annotator)
    annotator.page.keyboard.press("m")
    annotator.page.keyboard.press("c")
    annotator.page.keyboard.press("i")
    normal, across, down = PLANES[plane]
    for index in (0, BRIGHT[normal], SHAPE[normal] - 1):
        annotator.go_to_slice(plane, index)
        expected = {
            (voxel[across], voxel[down]) for voxel in [*CORNERS, BRIGHT] if voxel[normal] == index
        }
        assert drawn_voxels(annotator, plane) == expected
    for key in "mci":
        annotator.page.keyboard.press(key)


def drawn_voxels(person: Person, plane: str) -> set[tuple[int, int]]:
    """In-plane indices of the bright voxels of a view, from its pixels."""
    _, across, down = PLANES[plane]
    canvas = person.canvas(plane)
    pixels = person.pixels(plane)
    x, y, frame_width, frame_height = map(float, (canvas.get_attribute("data-frame") or "").split())
    ratio = person.page.evaluate("() => window.devicePixelRatio")
    rows, columns = np.nonzero(pixels[..., :3].min(axis=-1) > 250)
    column = np.floor(((columns + 0.5) / ratio - x) / frame_width * SHAPE[across]).astype(int)
    row = np.floor(((rows + 0.5) / ratio - y) / frame_height * SHAPE[down]).astype(int)
    cells, counts = np.unique(np.stack([column, row]), axis=1, return_counts=True)
    # The scale bar and edges that fall between pixels light up a few pixels elsewhere.
    filled = cells[:, counts > counts.max() / 2]
    return {(SHAPE[across] - 1 - int(c), SHAPE[down] - 1 - int(r)) for c, r in filled.T}


@pytest.mark.parametrize("plane", PLANES)
def test_voxels_have_their_true_proportions(annotator: Person, plane: str) -> None:
    _, across, down = PLANES[plane]
    _, _, width, height = map(
        float, (annotator.canvas(plane).get_attribute("data-frame") or "").split()
    )
    spacing = (0.8, 1.1, 4.5)
    expected = SHAPE[across] * spacing[across] / (SHAPE[down] * spacing[down])
    assert width / height == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("plane", "letters"),
    [("axial", "RLAP"), ("coronal", "RLSI"), ("sagittal", "APSI")],
)
def test_views_say_which_side_is_which(annotator: Person, plane: str, letters: str) -> None:
    for edge, letter in zip(("left", "right", "top", "bottom"), letters, strict=True):
        found = annotator.page.locator(f"[data-plane={plane}] [data-edge={edge}]")
        expect(found).to_have_text(letter)


@pytest.mark.parametrize("plane", PLANES)
def test_a_wheel_notch_moves_one_slice_and_needs_no_network(annotator: Person, plane: str) -> None:
    normal = PLANES[plane][0]
    annotator.page.mouse.move(*annotator.position(plane, BRIGHT, SHAPE))
    annotator.go_to_slice(plane, 4)
    before = annotator.pictures()
    annotator.expect_root("details", annotator.state("seq"))
    requests = len(annotator.requests)
    for notch, expected in [(100, 3), (120, 2), (-100, 3), (-120, 4), (-240, 6), (240, 4)]:
        annotator.page.mouse.wheel(0, notch)
        expect(annotator.canvas(plane)).to_have_attribute("data-slice", str(expected))
        assert annotator.state("pos").split(",")[normal] == str(expected)
    assert annotator.pictures() == before
    assert len(annotator.requests) == requests


def test_the_wheel_stops_at_the_ends_of_the_scan(annotator: Person) -> None:
    annotator.page.mouse.move(*annotator.position("axial", BRIGHT, SHAPE))
    annotator.page.mouse.wheel(0, 120 * 50)
    expect(annotator.canvas("axial")).to_have_attribute("data-slice", "0")
    annotator.page.mouse.wheel(0, -120 * 50)
    expect(annotator.canvas("axial")).to_have_attribute("data-slice", str(SHAPE[2] - 1))


def test_a_click_hits_its_voxel_after_zoom_and_pan(annotator: Person) -> None:
    reset(annotator)
    annotator.go_to_slice("axial", BRIGHT[2])
    start = annotator.position("axial", BRIGHT, SHAPE)
    mouse, keyboard = annotator.page.mouse, annotator.page.keyboard
    mouse.move(*start)
    frame = annotator.canvas("axial").get_attribute("data-frame") or ""
    keyboard.down("Control")
    mouse.wheel(0, -400)
    keyboard.up("Control")
    expect(annotator.canvas("axial")).not_to_have_attribute("data-frame", frame)
    zoomed = annotator.position("axial", BRIGHT, SHAPE)
    # The wheel reports its place in whole pixels, and the zoom magnifies what that leaves out.
    assert zoomed == pytest.approx(start, abs=1.5), "zoom keeps what is under the pointer"
    mouse.down(button="middle")
    mouse.move(start[0] + 60, start[1] - 35, steps=4)
    mouse.up(button="middle")
    panned = annotator.position("axial", BRIGHT, SHAPE)
    assert panned == pytest.approx((zoomed[0] + 60, zoomed[1] - 35), abs=0.01)
    annotator.click_voxel("axial", BRIGHT, SHAPE)
    annotator.expect_clicks(1)
    assert annotator.listed_clicks == [(BRIGHT, "fg")]
    keyboard.press("0")
    expect(annotator.canvas("axial")).to_have_attribute("data-frame", frame)


def test_the_readout_names_voxel_intensity_and_millimetres(
    annotator: Person, oblique: Path
) -> None:
    annotator.go_to_slice("axial", BRIGHT[2])
    annotator.page.mouse.move(*annotator.position("axial", BRIGHT, SHAPE))
    expect(annotator.role("intensity")).to_have_text("90")
    expect(annotator.role("voxel")).to_have_text(", ".join(map(str, BRIGHT)))
    world = load_volume(oblique).grid.voxel_to_world(BRIGHT)
    words = "  ".join(
        f"{names[int(value < 0)]} {abs(value):.1f}"
        for names, value in zip(("RL", "AP", "SI"), world, strict=True)
    )
    expect(annotator.role("world")).to_have_text(words)


def test_shift_move_and_drag_move_the_crosshair_without_a_click(annotator: Person) -> None:
    reset(annotator)
    annotator.go_to_slice("axial", BRIGHT[2])
    annotator.page.keyboard.down("Shift")
    annotator.page.mouse.move(*annotator.position("axial", BRIGHT, SHAPE))
    annotator.page.keyboard.up("Shift")
    annotator.expect_root("pos", ",".join(map(str, BRIGHT)))
    other: Voxel = (15, 4, BRIGHT[2])
    annotator.page.mouse.down()
    annotator.page.mouse.move(*annotator.position("axial", other, SHAPE), steps=4)
    annotator.page.mouse.up()
    annotator.expect_root("pos", ",".join(map(str, other)))
    assert annotator.listed_clicks == []
