"""Time from letting go of the pointer to the painted mask, in a real browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from caiseg import Click, Label
from caiseg.errors import InvalidInput
from caiseg.predictor import choose_device
from train.benchmark.app_process import AppProcess, app_serving
from train.benchmark.inference import SIZES, Shape, spread_clicks, write_generated
from train.benchmark.report import Measurement, Target

if TYPE_CHECKING:
    from playwright.sync_api import Page

_TIMEOUT_MS = 600_000
TARGETS = {"all but the model": Target(80)}
"""Of the parts of a click, in ms."""

WARM_UP = 2
"""Clicks that are not measured."""

FRAMES = 120
"""Slices that are scrolled through."""

# When the answer reached the page, and when the first frame with its mask was handed over.
_WATCH = """() => {
  window.measured = {};
  const now = () => performance.now();
  document.addEventListener("pointerup", () => { measured.pressed = now(); }, true);
  new MutationObserver((changes) => {
    for (const { attributeName } of changes) {
      if (attributeName === "data-arrived") measured.arrived = now();
      if (attributeName !== "data-seq") continue;
      requestAnimationFrame(() => setTimeout(() => { measured.painted = now(); }));
    }
  }).observe(document.querySelector("[data-role=root]"), { attributes: true });
}"""

_ASKED = """() => Math.min(...performance.getEntriesByType("resource")
  .filter(({ name }) => name.includes("/queue/join"))
  .map(({ startTime }) => startTime))"""

_ROUND_TRIP = """async () => {
  const times = [];
  for (let turn = 0; turn < 20; turn += 1) {
    const began = performance.now();
    await (await fetch("health", { cache: "no-store" })).text();
    times.push(performance.now() - began);
  }
  return times.sort((one, other) => one - other)[10];
}"""

_SCROLL = """async (frames) => {
  const canvas = document.querySelector("[data-plane=axial] canvas");
  const frame = () => new Promise(requestAnimationFrame);
  let deltaY = 100;
  await frame();
  const began = performance.now();
  for (let turn = 0; turn < frames; turn += 1) {
    const before = canvas.dataset.slice;
    canvas.dispatchEvent(new WheelEvent("wheel", { deltaY, bubbles: true, cancelable: true }));
    await frame();
    if (canvas.dataset.slice === before) deltaY = -deltaY;
  }
  return 1000 * frames / (performance.now() - began);
}"""


@dataclass(frozen=True)
class BrowserBenchmark:
    """What is measured.

    Attributes:
        sizes: Keys of :data:`train.benchmark.inference.SIZES`.
        clicks: How many clicks on each scan; the median counts.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
    """

    sizes: tuple[str, ...] = tuple(SIZES)
    clicks: int = 18
    device: str = "auto"


def measure_browser(
    checkpoint: Path, options: BrowserBenchmark
) -> tuple[list[Measurement], torch.device]:
    """Start the app, open generated scans in a headless Chromium, click and scroll.

    The whole of a click is parted where a clock stands: in the page, and in the server's metrics.
    What is neither network (the round trip of an empty request) nor any of the server's own work
    is Gradio's: its queue, events and updates.

    Args:
        checkpoint: CAISeg's weights.
        options: How much and on what.

    Returns:
        Milliseconds and frames a second; and the device that the network ran on.

    Raises:
        InvalidInput: A size is not known, the app does not start, or there is no browser.
    """
    if unknown := [size for size in options.sizes if size not in SIZES]:
        raise InvalidInput(f"'{unknown[0]}' is not a size; choose from {', '.join(SIZES)}.")
    lines: list[Measurement] = []
    with (
        app_serving(checkpoint, options.device) as app,
        tempfile.TemporaryDirectory() as folder,
    ):
        for size in options.sizes:
            path = Path(folder) / f"{size}.nii"
            clicks = spread_clicks(write_generated(path, SIZES[size]))
            with _page(app.url) as page:
                page.locator("[data-role=file]").set_input_files(path)
                page.wait_for_selector("[data-role=root][data-ready=true]", state="attached")
                found = _parts(page, app, clicks[: options.clicks + WARM_UP], SIZES[size])
                whole = found["pointer to mask"]
                lines += [
                    Measurement(f"{size}: {what}", value, "ms", value / whole, TARGETS.get(what))
                    for what, value in found.items()
                ]
                frames = page.evaluate(_SCROLL, FRAMES)
                lines.append(Measurement(f"{size}: slices a second", frames, "/s"))
    return lines, choose_device(options.device)


@contextmanager
def _page(url: str) -> Iterator[Page]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise InvalidInput(
            "Measuring in a browser needs Playwright: pip install -r requirements-dev.txt."
        ) from None
    named = os.environ.get("CHROMIUM", "chromium")
    executable = shutil.which(named)
    if executable is None:
        raise InvalidInput(f"There is no browser '{named}'; name one in the variable CHROMIUM.")
    with sync_playwright() as playwright:
        # Without a sandbox, because containers often run as root.
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(_TIMEOUT_MS)
        page.goto(url)
        page.wait_for_selector("[data-role=root][data-live=true]", state="attached")
        yield page
        browser.close()


def _parts(page: Page, app: AppProcess, clicks: list[Click], shape: Shape) -> dict[str, float]:
    """Median milliseconds of a click, whole and in parts."""
    page.evaluate(_WATCH)
    network = page.evaluate(_ROUND_TRIP)
    runs = []
    for count, click in enumerate(clicks, start=1):
        _show(page, click)
        page.evaluate("performance.clearResourceTimings()")
        page.evaluate("delete measured.painted")
        before = app.seconds()
        _press(page, click, shape)
        page.wait_for_function("measured.painted !== undefined")
        page.wait_for_selector(f"[data-role=root][data-clicks='{count}']", state="attached")
        after = app.seconds()
        spent = {name: 1000 * (after[name] - before[name]) for name in after}
        seen = {**page.evaluate("measured"), "asked": page.evaluate(_ASKED)}
        runs.append(_parted(seen, spent, network))
        # The surface and the figures come after the mask, and are not what is measured.
        page.wait_for_function(
            "() => { const { seq, details } = document.querySelector('[data-role=root]').dataset;"
            " return seq === details; }"
        )
    return {what: median(run[what] for run in runs[WARM_UP:]) for what in runs[0]}


def _parted(seen: dict[str, float], spent: dict[str, float], network: float) -> dict[str, float]:
    whole = seen["painted"] - seen["pressed"]
    server = seen["arrived"] - seen["asked"] - network
    return {
        "pointer to mask": whole,
        "all but the model": whole - spent["click"],
        "page, until it asks": seen["asked"] - seen["pressed"],
        "network": network,
        "queue and events": server - spent["answer"],
        "waiting for the network's turn": spent["wait"],
        "model": spent["click"],
        "encoding the mask": spent["answer"] - spent["wait"] - spent["click"],
        "painting": seen["painted"] - seen["arrived"],
    }


def _show(page: Page, click: Click) -> None:
    slider = page.locator("[data-plane=axial] input[type=number]")
    slider.fill(str(click.voxel[2]))
    label = "f" if click.label is Label.FOREGROUND else "b"
    page.locator(f"button[data-label={label}g]").click()


def _press(page: Page, click: Click, shape: Shape) -> None:
    """Click on a voxel of the axial view, which shows left on the right and front on top."""
    canvas = page.locator("[data-plane=axial] canvas")
    box: Any = canvas.bounding_box()
    x, y, width, height = map(float, (canvas.get_attribute("data-frame") or "").split())
    (i, j, _), (columns, rows, _) = click.voxel, shape
    page.mouse.click(
        box["x"] + x + width * (columns - i - 0.5) / columns,
        box["y"] + y + height * (rows - j - 0.5) / rows,
    )
