"""A figure as a PNG or SVG file, drawn by a Chromium without a network."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote

from caiseg.errors import InvalidInput
from train.drawing.page import PageFigure, write_page
from train.files import replacing

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIZE = (900, 480)
TIMEOUT_MS = 180_000
SCALE = 2
"""Pixels of a PNG per pixel of :data:`SIZE`, for sharp screens."""

_TO_IMAGE = """async ([format, width, height, scale]) => {
  const plot = document.querySelector("[data-figure]");
  await Plotly.relayout(plot, { paper_bgcolor: "#ffffff" });
  return Plotly.toImage(plot, { format, width, height, scale });
}"""


def write_static_figure(path: Path, figure: PageFigure) -> None:
    """Write a figure in the page's light colours, on white.

    Args:
        path: ``.png`` or ``.svg``.
        figure: What to draw.

    Raises:
        InvalidInput: The file has another suffix or cannot be written, or there is no Chromium.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise InvalidInput(f"{path.name} is neither .png nor .svg; give the figure one of the two.")
    address = _drawn(figure, kind)
    if kind == "png":
        content = base64.b64decode(address.partition("base64,")[2])
    else:
        content = unquote(address.partition(",")[2]).encode()
    with replacing(path) as partial:
        partial.write_bytes(content)


def find_browser() -> str:
    """A Chromium or Chrome, named by the environment variable CHROMIUM or found on the path.

    Raises:
        InvalidInput: There is none.
    """
    for name in (os.environ.get("CHROMIUM", ""), *BROWSERS):
        if found := shutil.which(name):
            return found
    raise InvalidInput(
        "A figure file needs Chromium or Chrome to draw it; install one, or name its program in "
        "the environment variable CHROMIUM. report.html holds the same figure without it."
    )


def _drawn(figure: PageFigure, kind: str) -> str:
    """The figure as a data address."""
    # A browser driver is of use here alone; the other commands run without it.
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise InvalidInput(
            "A figure file needs playwright; install requirements-dev.txt."
        ) from None
    browser_path = find_browser()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder) / "figure.html"
        write_page(page_file, "figure.html", title=figure.key, figures=[figure])
        try:
            browser = playwright.chromium.launch(
                executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(color_scheme="light")
            page.set_default_timeout(TIMEOUT_MS)
            page.goto(page_file.as_uri())
            page.wait_for_selector("html[data-drawn]")
            return str(page.evaluate(_TO_IMAGE, [kind, *SIZE, SCALE if kind == "png" else 1]))
        except Error as error:
            cause = str(error).splitlines()[0]
            raise InvalidInput(
                f"{browser_path} cannot draw the figure ({cause}); report.html holds it, too."
            ) from error
