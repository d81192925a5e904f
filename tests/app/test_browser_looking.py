"""Looking at a scan: zoom, read-out, overlay and themes, by what the pixels show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from app.server import RunningApp
from tests.app.sight import only_the_scan, rgb
from tests.app.stand_in import write_scan
from tests.browser import PLANES, Person, Voxel, person_at

pytestmark = pytest.mark.browser

# Of the scan `blob`, and voxels inside, at the border of, and outside its bright block.
SHAPE: Voxel = (24, 30, 10)
INSIDE: Voxel = (11, 14, 4)
OUTSIDE: Voxel = (4, 25, 4)
ORANGE = np.array([0xE6, 0x9F, 0x00])


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


def test_space_and_drag_moves_the_picture_and_keys_do_too(person: Person) -> None:
    x, y = person.position("axial", INSIDE, SHAPE)
    person.page.mouse.move(x, y)
    person.page.keyboard.down("Space")
    person.page.mouse.down()
    person.page.mouse.move(x + 40, y - 25, steps=4)
    person.page.mouse.up()
    person.page.keyboard.up("Space")
    person.pixels("axial")
    assert person.position("axial", INSIDE, SHAPE) == pytest.approx((x + 40, y - 25), abs=0.1)
    person.page.locator("section[data-plane=axial]").focus()
    person.page.keyboard.press("Control+ArrowLeft")
    person.page.keyboard.press("Control+ArrowDown")
    person.pixels("axial")
    assert person.position("axial", INSIDE, SHAPE) == pytest.approx((x, y + 15), abs=0.1)
    person.role("refit").click()
    person.pixels("axial")
    assert person.position("axial", INSIDE, SHAPE) == pytest.approx((x, y), abs=0.1)
    assert person.listed_clicks == []


@pytest.mark.parametrize(
    "control", ["[data-role=cross]", "[data-role=window]", "[data-tool=paint]"]
)
def test_space_pans_wherever_the_focus_was_left(person: Person, control: str) -> None:
    pressed = person.page.locator(control).get_attribute("aria-pressed")
    x, y = person.position("axial", INSIDE, SHAPE)
    person.page.locator(control).focus()
    if "tool" in control:
        person.page.locator(control).click()
    person.page.mouse.move(x, y)
    person.page.keyboard.down("Space")
    person.page.mouse.down()
    person.page.mouse.move(x + 40, y - 25, steps=4)
    person.page.mouse.up()
    person.page.keyboard.up("Space")
    person.pixels("axial")
    assert person.position("axial", INSIDE, SHAPE) == pytest.approx((x + 40, y - 25), abs=0.1)
    if "tool" in control:
        person.page.keyboard.press("p")
    assert person.page.locator(control).get_attribute("aria-pressed") == pressed
    person.role("refit").click()
    expect(person.role("undo")).to_be_disabled()


def test_space_still_presses_the_button_that_has_the_focus(person: Person) -> None:
    person.page.mouse.move(5, 5)
    person.role("cross").focus()
    for wanted in ("false", "true"):
        person.page.keyboard.press("Space")
        expect(person.role("cross")).to_have_attribute("aria-pressed", wanted)


def test_a_pinch_on_a_trackpad_and_the_plus_key_zoom(person: Person) -> None:
    def width() -> float:
        person.pixels("axial")
        return float((person.canvas("axial").get_attribute("data-frame") or "").split()[2])

    x, y = person.position("axial", INSIDE, SHAPE)
    fitted = width()
    person.page.mouse.move(x, y)
    person.page.keyboard.down("Control")
    for _ in range(5):
        person.page.mouse.wheel(0, -8)
    person.page.keyboard.up("Control")
    assert width() == pytest.approx(fitted * np.exp(0.4), rel=0.02)
    assert person.position("axial", INSIDE, SHAPE) == pytest.approx((x, y), abs=1.5)
    person.page.keyboard.press("-")
    person.page.keyboard.press("+")
    person.page.keyboard.press("+")
    assert width() == pytest.approx(fitted * np.exp(0.4) * 1.25, rel=0.02)
    person.page.keyboard.press("0")
    assert width() == pytest.approx(fitted)


def test_shift_and_move_links_all_views(person: Person) -> None:
    person.go_to_slice("axial", INSIDE[2])
    person.page.keyboard.down("Shift")
    person.page.mouse.move(*person.position("axial", OUTSIDE, SHAPE))
    person.page.keyboard.up("Shift")
    for plane, (normal, _, _) in PLANES.items():
        expect(person.canvas(plane)).to_have_attribute("data-slice", str(OUTSIDE[normal]))
    assert person.listed_clicks == []


def test_the_readout_follows_the_slice_under_a_resting_pointer(person: Person) -> None:
    person.go_to_slice("axial", INSIDE[2])
    person.page.mouse.move(*person.position("axial", INSIDE, SHAPE))
    expect(person.role("intensity")).to_have_text("204")
    person.page.mouse.wheel(0, -120)
    expect(person.role("voxel")).to_have_text("11, 14, 5")
    expect(person.role("intensity")).to_have_text("205")
    person.page.mouse.wheel(0, -120)
    expect(person.role("intensity")).to_have_text("6")


def test_without_a_pointer_the_readout_is_of_the_crosshair(person: Person) -> None:
    person.go_to_slice("axial", 7)
    person.page.mouse.move(5, 5)
    expect(person.role("voxel")).to_have_text(person.state("pos").replace(",", ", "))
    expect(person.role("world")).to_contain_text("S 21.0")


@pytest.mark.parametrize("zooms", [0, 3, 8])
def test_the_scale_bar_has_a_round_length_in_millimetres(person: Person, zooms: int) -> None:
    person.page.locator("section[data-plane=axial]").focus()
    for _ in range(zooms):
        person.page.keyboard.press("+")
    pixels = person.pixels("axial")[-14:-9, :, :3].astype(int)
    is_bar = np.all(np.abs(pixels - [0xC9, 0xD1, 0xD9]) < 30, axis=-1)
    rows = ("".join("#" if lit else " " for lit in row) for row in is_bar)
    bar = max(len(run) for row in rows for run in row.split())
    _, _, width, _ = map(float, (person.canvas("axial").get_attribute("data-frame") or "").split())
    millimetres = bar * SHAPE[0] * 1.0 / width
    nearest = min((1, 2, 5, 10, 20, 50, 100, 200), key=lambda mm: abs(mm - millimetres))
    assert millimetres == pytest.approx(nearest, rel=0.04)
    person.page.keyboard.press("0")


def test_voxels_are_shown_smooth_or_exact(person: Person) -> None:
    only_the_scan(person)
    exact = person.pixels("axial")[..., 0]
    person.page.keyboard.press("i")
    smooth = person.pixels("axial")[..., 0]
    assert len(np.unique(smooth)) > 2 * len(np.unique(exact))
    for role in ("mask", "cross"):
        person.role(role).click()


def overlay(person: Person) -> tuple[float, float]:
    """How orange the mask is: in its middle, and at most along a line over its border."""
    person.go_to_slice("axial", INSIDE[2])
    person.page.mouse.move(5, 5)
    pixels = person.pixels("axial").astype(int)
    box = person.canvas("axial").bounding_box()
    assert box is not None
    x, y = person.position("axial", INSIDE, SHAPE)
    far, _ = person.position("axial", (3, 14, 4), SHAPE)
    row, middle, end = int(y - box["y"]), int(x - box["x"]), int(far - box["x"])
    tint = pixels[..., 0] - pixels[..., 2]
    return float(tint[row, middle]), float(tint[row, middle:end].max())


def test_the_mask_is_drawn_as_fill_contour_or_both(person: Person) -> None:
    person.page.keyboard.press("c")
    seen = {}
    for style in ("fill", "contour", "both"):
        person.page.locator(f"button[data-style={style}]").click()
        seen[style] = overlay(person)
    assert seen["fill"][0] == seen["both"][0] > 50
    assert seen["contour"][0] == 0
    assert seen["fill"][1] < 120
    assert seen["contour"][1] > 180
    assert seen["both"][1] > 180
    for style in ("fill", "contour", "both"):
        person.page.keyboard.press("o")
        button = person.page.locator(f"button[data-style={style}]")
        expect(button).to_have_attribute("aria-pressed", "true")
        assert overlay(person) == seen[style]
    person.page.keyboard.press("c")


def test_the_fill_has_the_opacity_of_the_slider(person: Person) -> None:
    person.page.keyboard.press("c")
    for percent in (0, 50, 100):
        person.role("opacity").fill(str(percent))
        person.go_to_slice("axial", INSIDE[2])
        colour = rgb(person, "axial", INSIDE, SHAPE)
        np.testing.assert_allclose(colour, 255 + (ORANGE - 255) * percent / 100, atol=6)
    person.page.keyboard.press("[")
    expect(person.role("opacity")).to_have_value("90")
    person.page.keyboard.press("]")
    expect(person.role("opacity")).to_have_value("100")
    person.role("opacity").fill("35")
    person.page.keyboard.press("c")


def test_a_key_held_shows_the_bare_scan(person: Person) -> None:
    covered = person.pictures()
    person.page.keyboard.down("h")
    pixels = person.pixels("axial").astype(int)
    tint = np.abs(pixels[..., 0] - pixels[..., 2]).max()
    assert tint < 20, "neither mask nor crosshair, only greys and the pale scale bar"
    person.page.keyboard.up("h")
    assert person.pictures() == covered
    person.page.keyboard.down("h")
    person.page.evaluate("() => window.dispatchEvent(new Event('blur'))")
    assert person.pictures() == covered


def test_foreground_and_background_differ_for_colour_blind_eyes_and_without_colour(
    person: Person,
) -> None:
    for voxel, background in ((OUTSIDE, False), ((18, 5, 4), True)):
        person.click_voxel("axial", voxel, SHAPE, other_label=background)
    person.expect_clicks(2)
    person.go_to_slice("axial", 4)
    person.page.mouse.move(5, 5)
    plus, minus = rgb(person, "axial", OUTSIDE, SHAPE), rgb(person, "axial", (18, 5, 4), SHAPE)
    # Machado, Oliveira and Fernandes 2009, for eyes without one kind of cones.
    simulations = {
        "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "deuteranopia": [[0.367, 0.861, -0.228], [0.28, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    }
    for name, matrix in simulations.items():
        assert np.linalg.norm(np.array(matrix) @ (plus - minus)) > 100, name
    # The upper arm of the plus; the minus has none.
    box = person.canvas("axial").bounding_box()
    assert box is not None
    arm = [
        person.pixels("axial")[int(y - box["y"]) - 5, int(x - box["x"]), :3].astype(int)
        for x, y in (person.position("axial", v, SHAPE) for v in (OUTSIDE, (18, 5, 4)))
    ]
    assert np.abs(arm[0] - plus).max() < 40
    assert np.abs(arm[1] - minus).max() > 80


def background(person: Person) -> float:
    """Brightness of the panel."""
    colour = person.page.locator(".cs-panel").evaluate("el => getComputedStyle(el).backgroundColor")
    return float(np.mean([int(part) for part in colour[4:-1].split(",")]))


def test_the_page_is_dark_or_light_as_the_system_is_until_the_person_chooses(
    browser: Browser, running: RunningApp, blob: Path
) -> None:
    with person_at(browser, running.url, theme="light", surface=False) as newcomer:
        assert background(newcomer) > 200
        newcomer.page.emulate_media(color_scheme="dark")
        # The page is told with the next frame.
        expect(newcomer.page.locator("html")).to_have_attribute("data-theme", "dark")
        assert background(newcomer) < 60
        newcomer.open_file(blob)
        dark = newcomer.pictures()
        newcomer.role("theme").click()
        assert background(newcomer) > 200
        assert newcomer.pictures() == dark, "the views stay as they are"
        newcomer.page.reload()
        newcomer.expect_root("live", "true")
        assert background(newcomer) > 200, "remembered on this machine"
        newcomer.page.keyboard.press("d")
        assert background(newcomer) < 60


def test_scrolling_through_a_whole_scan_asks_the_network_for_nothing(
    person: Person, tmp_path: Path
) -> None:
    shape = (96, 96, 120)
    data = np.random.default_rng(0).integers(0, 90, shape, dtype=np.int16)
    data[30:60, 30:60, 20:100] = 200
    person.open_file(write_scan(tmp_path / "tall.nii.gz", data))
    person.expect_root("details", 1)
    requests = len(person.requests)
    person.go_to_slice("axial", 0)
    person.page.mouse.move(*person.position("axial", (48, 48, 0), shape))
    seen = set()
    for index in range(1, shape[2]):
        person.page.mouse.wheel(0, -120)
        expect(person.canvas("axial")).to_have_attribute("data-slice", str(index))
        if index % 20 == 0:
            seen.add(person.picture("axial"))
    assert len(seen) == 5, "each slice is another picture"
    assert len(person.requests) == requests
