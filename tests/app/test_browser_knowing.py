"""Measurements, history, heat maps and model cards, as a person sees them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Route, expect

from app.diameters import axial_diameters
from app.server import RunningApp
from tests.app.conftest import scan_of
from tests.app.sight import only_the_scan, rgb
from tests.app.stand_in import write_scan
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
OUTSIDE: Voxel = (4, 25, 8)
RGB = np.array([True, True, True, False])


def clicked(person: Person, voxel: Voxel = OUTSIDE, count: int = 1) -> None:
    person.click_voxel("axial", voxel, SHAPE)
    person.expect_clicks(count)
    person.page.mouse.move(5, 5)


def open_tab(person: Person, name: str) -> None:
    person.page.locator(f"[data-tab={name}]").click()


def colourful(pixels: npt.NDArray[np.uint8]) -> int:
    """Pixels that are clearly neither grey nor orange: those of a heat map."""
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    return int(np.count_nonzero((green - red > 25) | (blue - red > 25)))


def test_the_object_is_measured(person: Person, running: RunningApp) -> None:
    clicked(person)
    person.expect_root("details", person.state("seq"))
    scan = scan_of(person, running)
    mask = scan.session.scene.masks[scan.session.scene.active_id]
    found = axial_diameters(mask, scan.grid)
    assert found is not None
    expected = f"{found.longest_mm:.1f} × {found.perpendicular_mm:.1f} mm"
    expect(person.role("diameters")).to_have_text(expected)
    whole = f"{found.longest_mm:.0f} × {found.perpendicular_mm:.0f} mm"
    expect(person.role("object-list").locator("li")).to_contain_text(whole)
    expect(person.role("components")).to_have_text("2")
    expect(person.role("clicks-used")).to_have_text("1")
    assert scan.resident is not None
    mean = scan.resident.volume.data[mask.unpack()].mean()
    assert float(person.role("mean").inner_text()) == pytest.approx(mean, rel=1e-3)
    person.role("diameters").click()
    expect(person.canvas("axial")).to_have_attribute("data-slice", str(found.slice))


def test_the_history_shows_the_volume_after_each_click(person: Person) -> None:
    chart = person.role("history").locator("svg")
    expect(chart).to_have_count(0)
    clicked(person)
    clicked(person, (19, 5, 2), count=2)
    expect(chart.locator("circle")).to_have_count(3)
    titles = chart.locator("circle title").all_text_contents()
    assert titles[0].startswith("0 clicks: 0.52 mL")
    volume = person.role("volume").inner_text()
    assert titles[2] == f"2 clicks: {volume}"
    heights = [float(dot.get_attribute("cy") or 0) for dot in chart.locator("circle").all()]
    assert heights == sorted(heights, reverse=True), "more volume stands higher"


def test_maps_are_sent_only_when_asked_for_and_follow_the_clicks(person: Person) -> None:
    clicked(person)
    asked = [url for url in person.requests if url.endswith(".gz") and "voxels" not in url]
    assert asked == []
    plain = colourful(person.pixels("axial"))
    person.page.keyboard.press("v")
    person.expect_root("map", "affinity")
    expect(person.role("map-affinity")).to_have_attribute("aria-pressed", "true")
    assert colourful(person.pixels("axial")) > plain + 500
    clicked(person, (19, 5, 2), count=2)
    person.expect_root("map", "affinity")
    person.go_to_slice("axial", 2)
    here = person.pixels("axial")
    x, y = person.position("axial", (19, 5, 2), SHAPE)
    box = person.canvas("axial").bounding_box()
    assert box is not None
    at_click = here[int(y - box["y"]) - 9, int(x - box["x"]) - 9]
    assert int(at_click[1]) > 90, "bright where the affinity is high"
    person.page.keyboard.press("v")
    expect(person.root).not_to_have_attribute("data-map", "affinity")
    person.page.mouse.move(5, 5)
    assert colourful(person.pixels("axial")) < colourful(here)


def test_a_map_that_is_switched_off_while_it_is_on_its_way_stays_off(
    person: Person, tmp_path: Path
) -> None:
    clicked(person)
    before = person.picture("axial")
    held: list[Route] = []
    person.page.route("**/affinity.gz", lambda route: held.append(route))
    with person.page.expect_request("**/affinity.gz"):
        person.page.keyboard.press("v")
    person.page.keyboard.press("v")
    with person.page.expect_response("**/affinity.gz"):
        held[0].continue_()
    # That takes longer than unpacking a map.
    person.download_mask(tmp_path)
    person.page.unroute("**/affinity.gz")
    person.page.mouse.move(5, 5)
    assert person.picture("axial") == before


def test_the_probability_has_a_map_with_a_colour_bar(person: Person) -> None:
    bare = person.pixels("axial")
    open_tab(person, "maps")
    person.role("map-probability").click()
    person.expect_root("map", "probability")
    person.page.mouse.move(5, 5)
    shown = person.pixels("axial")
    # The bar stands at the right edge, beside the scan.
    edge = slice(shown.shape[1] - 60, shown.shape[1])
    assert colourful(shown[:, edge]) > colourful(bare[:, edge]) + 300
    assert colourful(shown) > colourful(bare)
    person.role("map-affinity").click()
    assert "click on the scan first" in person.refusal()
    expect(person.role("map-affinity")).to_have_attribute("aria-pressed", "false")


def test_uncertain_regions_are_outlined_and_can_be_gone_to(person: Person) -> None:
    person.go_to_slice("axial", 0)
    before = person.pixels("axial")
    person.page.keyboard.press("g")
    person.expect_root("map", "uncertain")
    # The stand-in is undecided about its mask in slice 5 only.
    expect(person.canvas("axial")).to_have_attribute("data-slice", "5")
    i, j, k = map(int, person.state("pos").split(","))
    assert 8 <= i < 14
    assert 10 <= j < 18
    assert k == 5
    expect(person.role("map-note")).to_have_text("Most undecided: axial slice 5.")
    pixels = person.pixels("axial").astype(int)
    yellow = (pixels[..., 0] > 200) & (pixels[..., 1] > 190) & (pixels[..., 2] < 120)
    assert np.count_nonzero(yellow) > 100
    person.page.keyboard.press("t")
    expect(person.root).not_to_have_attribute("data-map", re.compile(".*"))
    person.go_to_slice("axial", 0)
    person.page.mouse.move(5, 5)
    assert person.pixels("axial").shape == before.shape


def test_every_model_is_offered_with_its_card(person: Person) -> None:
    expect(person.role("model").locator("option")).to_have_text(
        ["small (MR, brain)", "large (MR, brain)"]
    )
    person.role("model-info").click()
    sheet = person.role("model-sheet")
    expect(sheet.locator("section")).to_have_count(2)
    for words in ("small lesions", "MR", "brain", "Dice after 5 clicks", "0.87", "1 × 1 × 3 mm"):
        expect(sheet.locator("[data-card=small]")).to_contain_text(words)
    person.page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_a_scan_unlike_those_that_the_model_was_trained_on_gets_a_warning(
    person: Person, tmp_path: Path
) -> None:
    expect(person.role("notices")).not_to_contain_text("looks like")
    data = np.full((24, 30, 10), -1000, np.int16)
    data[4:20, 4:26] = 40
    data[8:14, 10:18, 3:6] = 300
    person.open_file(write_scan(tmp_path / "ct.nii.gz", data, (1.0, 1.2, 9.0)))
    notices = person.role("notices")
    expect(notices).to_contain_text("looks like CT, but the model was trained on MR")
    expect(notices).to_contain_text("1 × 1.2 × 9 mm")
    expect(person.role("notices-card")).to_be_visible()


@pytest.mark.parametrize(("key", "kind"), [("v", "affinity"), ("r", "probability")])
def test_each_map_has_a_key_and_a_colour_bar_beside_the_letter_of_the_edge(
    person: Person, key: str, kind: str
) -> None:
    clicked(person)
    person.role("cross").click()
    person.page.mouse.move(5, 5)
    plain = person.pixels("axial")
    person.page.keyboard.press(key)
    person.expect_root("map", kind)
    expect(person.role(f"map-{kind}")).to_have_attribute("aria-pressed", "true")
    shown = person.pixels("axial")
    width = shown.shape[1]
    bar = slice(width - 60, width)
    assert colourful(shown[:, bar]) > colourful(plain[:, bar]) + 300
    changed = np.abs(shown.astype(int) - plain)[:, : width - 60].max(axis=2) > 40
    assert np.count_nonzero(changed) > 100
    view = person.canvas("axial").bounding_box()
    letter = person.page.locator("section[data-plane=axial] [data-edge=right]").bounding_box()
    assert view is not None
    assert letter is not None
    top, left = int(letter["y"] - view["y"]) - 60, int(letter["x"] - view["x"]) - 3
    beside = (slice(top, top + 120), slice(left, width))
    assert np.array_equal(shown[beside], plain[beside]), "nothing is drawn into the letter"
    person.page.keyboard.press(key)
    expect(person.root).not_to_have_attribute("data-map", re.compile(".*"))
    person.page.mouse.move(5, 5)
    assert np.array_equal(person.pixels("axial"), plain)
    person.role("cross").click()


def test_a_map_covers_the_scan_the_more_the_higher_its_value(person: Person) -> None:
    clicked(person)
    only_the_scan(person)
    voxels: list[Voxel] = [(5, 24, 8), (7, 21, 8), (10, 18, 8), (16, 11, 8)]
    bare = [rgb(person, "axial", voxel, SHAPE) for voxel in voxels]
    person.page.keyboard.press("v")
    person.expect_root("map", "affinity")
    covered = [rgb(person, "axial", voxel, SHAPE) for voxel in voxels]
    tints = [int(np.abs(a - b).sum()) for a, b in zip(covered, bare, strict=True)]
    assert tints == sorted(tints, reverse=True)
    assert tints[0] > 150
    assert tints[-1] < 12, "where the map says next to nothing the scan is seen"
    person.page.keyboard.press("v")
    for role in ("mask", "cross", "smooth"):
        person.role(role).click()


def test_contours_are_drawn_over_maps(person: Person) -> None:
    def orange() -> int:
        person.page.mouse.move(5, 5)
        pixels = person.pixels("axial")[..., :3].astype(int)
        return int((np.abs(pixels - [0xE6, 0x9F, 0x00]).max(axis=2) < 12).sum())

    clicked(person)
    person.page.keyboard.press("c")
    contour = orange()
    assert contour > 100
    person.page.keyboard.press("r")
    person.expect_root("map", "probability")
    assert orange() > 0.9 * contour
    person.page.keyboard.press("c")


def test_the_outline_of_uncertain_regions_has_a_dark_rim(person: Person) -> None:
    only_the_scan(person)
    person.go_to_slice("axial", 5)
    person.page.mouse.move(5, 5)
    x, y = person.position("axial", (13, 17, 5), SHAPE, inside=(0, 0))
    right, bottom = person.position("axial", (8, 10, 5), SHAPE, inside=(1, 1))
    box = person.canvas("axial").bounding_box()
    assert box is not None
    block = (
        slice(int(y - box["y"]) + 1, int(bottom - box["y"]) - 1),
        slice(int(x - box["x"]) + 1, int(right - box["x"]) - 1),
    )

    def dark() -> int:
        person.page.mouse.move(5, 5)
        return int((person.pixels("axial")[block].max(axis=2, where=RGB, initial=0) < 110).sum())

    assert dark() == 0
    person.page.keyboard.press("t")
    person.expect_root("map", "uncertain")
    assert dark() > 50, "inside the bright block, along its outline"
    person.page.keyboard.press("t")
    for role in ("mask", "cross", "smooth"):
        person.role(role).click()
