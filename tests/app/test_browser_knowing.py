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
from tests.app.stand_in import write_scan
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
OUTSIDE: Voxel = (4, 25, 8)


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
        ["small (MR brain)", "large (MR brain)"]
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
