"""``make screenshots``: the README's pictures, taken from the app itself on its demo scan."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect

from caiseg.synthetic import demo_scan
from tests.browser import ROOT, Person, Voxel, open_browser, person_at, start_app

IMAGES = ROOT / "assets" / "images"

# Of the demo scan, whose lesion is always the same.
SHAPE: Voxel = (224, 256, 28)
INSIDE: Voxel = (72, 94, 13)
BESIDE: Voxel = (113, 94, 13)
ELSEWHERE: Voxel = (140, 176, 13)

SMALL = (1024, 700)
# Plotly waits a moment before it draws itself in a new size; without a surface there is no wait.
SURFACE_FITS = """() => [...document.querySelectorAll('[data-role=plot]')].every((plot) =>
    !plot._fullLayout || plot._fullLayout.width === plot.clientWidth)"""


def take(browser: Browser, url: str, folder: Path, *, surface: bool = True) -> None:
    """Write a picture of each main state.

    Args:
        browser: A browser.
        url: Where the app is.
        folder: Where ``<name>.png`` go; it exists.
        surface: Whether the 3-D surface is drawn.
    """
    with person_at(browser, url, size=(1400, 900), surface=surface) as person:
        _open_and_click(person)
        _save(person, folder / "app.png")
    with person_at(browser, url, size=SMALL, surface=surface) as person:
        _open_and_click(person)
        person.page.locator("[data-tab=maps]").click()
        person.page.keyboard.press("r")
        person.page.keyboard.press("t")
        person.expect_root("map", "probability uncertain")
        _save(person, folder / "maps.png")
    with person_at(browser, url, size=SMALL, surface=surface) as person:
        _annotate_a_worklist(person)
        _save(person, folder / "objects.png")
    with person_at(browser, url, size=SMALL, theme="light", surface=surface) as person:
        _open_and_click(person)
        person.page.keyboard.press("l")
        person.page.wait_for_function(SURFACE_FITS)
        _save(person, folder / "light.png")
    with person_at(browser, url, size=(390, 844), surface=surface) as person:
        _open_and_click(person)
        _save(person, folder / "phone.png")


def _open_and_click(person: Person) -> None:
    """One click inside the lesion of the demo scan, one beside it."""
    person.open_demo()
    person.click_voxel("axial", INSIDE, SHAPE)
    person.expect_clicks(1)
    person.click_voxel("axial", BESIDE, SHAPE, other_label=True)
    person.expect_clicks(2)


def _annotate_a_worklist(person: Person) -> None:
    """Three scans, in the first of which a lesion was accepted and another one painted."""
    with tempfile.TemporaryDirectory() as name:
        first, *others = (Path(name) / f"patient-{number}.nii.gz" for number in (1, 2, 3))
        demo_scan(first)
        for other in others:
            shutil.copy(first, other)
        person.role("file").set_input_files([first, *others])
        expect(person.role("scan-name")).to_contain_text("patient-1")
        person.expect_root("ready", "true")
    person.click_voxel("axial", INSIDE, SHAPE)
    person.expect_clicks(1)
    person.page.keyboard.press("a")
    person.expect_root("applied", 2)
    person.page.keyboard.press("p")
    person.role("brush").fill("9")
    person.click_voxel("axial", ELSEWHERE, SHAPE)
    person.expect_root("applied", 3)
    person.page.keyboard.press("f")


def _save(person: Person, path: Path) -> None:
    """Write what is on screen, with few colours: a third of the size."""
    person.page.mouse.move(2, 2)
    person.page.evaluate("() => document.activeElement.blur()")
    person.expect_root("details", person.state("seq"))
    with Image.open(io.BytesIO(person.page.screenshot())) as picture:
        picture.convert("RGB").quantize(192, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    with (
        start_app(ROOT / "assets" / "checkpoints") as server,
        open_browser(Path(os.environ["CHROMIUM"])) as chromium,
    ):
        take(chromium, server.url, IMAGES)
