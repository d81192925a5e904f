"""A person at the browser: starts the app, opens scans, clicks on voxels.

Where a voxel is on screen is worked out here from the display convention, not asked of the page:
radiological (LPS) display, so each axis of the RAS+ grid runs against its screen axis.
"""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
# Far more than anything takes on an idle machine: those of CI are slow and share their processors.
TIMEOUT_MS = 180_000
expect.set_options(timeout=TIMEOUT_MS)

# The software renderer, no sandbox (CI runs as root), and no traffic of the browser's own.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Normal, horizontal and vertical axis of each plane.
PLANES = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}

Voxel = tuple[int, int, int]


@dataclass
class ServerProcess:
    """The app in a process of its own.

    Attributes:
        url: Where its page is.
        process: The process.
        log: What it has printed, line by line.
    """

    url: str
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)


@contextmanager
def start_app(
    checkpoints: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = ("app.py",),
) -> Iterator[ServerProcess]:
    """Run ``python app.py`` on a free port until the ``with`` block ends.

    Args:
        checkpoints: Folder of checkpoints to serve.
        options: More options of the command line.
        environment: Variables to add to this process's environment.
        program: What Python runs in place of ``app.py``.
    """
    given = ["--port", "0", "--checkpoints", str(checkpoints), *options]
    command = [sys.executable, *program, *given]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    server = ServerProcess("", process)
    try:
        for line in process.stdout:
            server.log.append(line.rstrip())
            if line.startswith("CAISeg listens on "):
                server.url = line.split()[-1]
                break
        assert server.url, "the app did not start:\n" + "\n".join(server.log)
        # Somebody has to read on, or the process stops when the pipe is full.
        reader = threading.Thread(target=server.log.extend, args=(process.stdout,), daemon=True)
        reader.start()
        yield server
    finally:
        process.terminate()
        process.wait(timeout=60)
        if server.url:
            reader.join(timeout=60)
        process.stdout.close()


@contextmanager
def open_browser(chromium: Path) -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium), args=list(CHROMIUM_FLAGS)
        )
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """Somebody with the app's page open.

    Attributes:
        page: The page.
        requests: Addresses of all requests that the page has made.
        complaints: Errors in its console, and exceptions of its scripts.

    Args:
        context: A browser context, with the window size and pixel ratio of this person's screen.
        url: Where the app is.
    """

    def __init__(self, context: BrowserContext, url: str):
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type == "error" else None
            ),
        )
        self.page.goto(url)
        self.root = self.role("root")
        self.expect_root("live", "true")

    def role(self, name: str) -> Locator:
        """The element of a role, see ``app/viewer/viewer.html``."""
        return self.page.locator(f"[data-role={name}]")

    def expect_root(self, name: str, value: str | int) -> None:
        """Wait until the viewer says so about itself."""
        expect(self.root).to_have_attribute(f"data-{name}", str(value), timeout=TIMEOUT_MS)

    def state(self, name: str) -> str:
        """What the viewer says about itself now."""
        value = self.root.get_attribute(f"data-{name}")
        assert value is not None, f"the viewer has no data-{name}"
        return value

    @property
    def foreign_requests(self) -> list[str]:
        """Requests that left this machine."""
        local = {"127.0.0.1", None, ""}
        return [url for url in self.requests if urlsplit(url).hostname not in local]

    def open_file(self, path: Path) -> None:
        """Choose a scan in the file picker, and wait for its first mask."""
        before = self.root.get_attribute("data-scan") or ""
        self.role("file").set_input_files(path)
        self.page.wait_for_function(
            "before => document.querySelector('[data-role=root]').dataset.scan !== before",
            arg=before,
        )
        self.expect_root("ready", "true")

    def open_demo(self) -> None:
        """Open the built-in scan from the welcome card, and wait for its first mask."""
        self.role("welcome").locator("[data-role=demo]").click()
        self.expect_root("ready", "true")

    def refusal(self) -> str:
        """The sentence that says what went wrong."""
        expect(self.role("refusal")).to_be_visible(timeout=TIMEOUT_MS)
        return self.role("refusal-text").inner_text()

    def next_frame(self) -> None:
        """Wait until what was asked for is drawn, in the size that the views have now."""
        self.page.evaluate("() => new Promise(requestAnimationFrame)")

    def canvas(self, plane: str) -> Locator:
        """The canvas of a view."""
        return self.page.locator(f"[data-plane={plane}] canvas")

    def go_to_slice(self, plane: str, index: int) -> None:
        """Show a slice by its number."""
        self.page.locator(f"[data-plane={plane}] input[type=number]").fill(str(index))
        expect(self.canvas(plane)).to_have_attribute("data-slice", str(index))

    def position(
        self, plane: str, voxel: Voxel, shape: Voxel, inside: Sequence[float] = (0.5, 0.5)
    ) -> tuple[float, float]:
        """Where a voxel is on the page, in CSS pixels.

        Args:
            plane: The view.
            voxel: A voxel of the slice that it shows.
            shape: Size of the scan's display grid.
            inside: Which point of the voxel, as a share of its width and height on screen.
        """
        _, across, down = PLANES[plane]
        canvas = self.canvas(plane)
        self.next_frame()
        x, y, width, height = map(float, (canvas.get_attribute("data-frame") or "").split())
        box = canvas.bounding_box()
        assert box is not None
        column = shape[across] - 1 - voxel[across] + inside[0]
        row = shape[down] - 1 - voxel[down] + inside[1]
        return (
            box["x"] + x + width * column / shape[across],
            box["y"] + y + height * row / shape[down],
        )

    def click_voxel(
        self,
        plane: str,
        voxel: Voxel,
        shape: Voxel,
        *,
        inside: Sequence[float] = (0.5, 0.5),
        other_label: bool = False,
    ) -> None:
        """Go to a voxel's slice and click on the voxel, with Ctrl for the other label."""
        self.go_to_slice(plane, voxel[PLANES[plane][0]])
        if other_label:
            self.page.keyboard.down("Control")
        self.page.mouse.click(*self.position(plane, voxel, shape, inside))
        if other_label:
            self.page.keyboard.up("Control")

    def expect_clicks(self, count: int) -> None:
        """Wait until the mask on screen was made from so many clicks."""
        self.expect_root("clicks", count)
        expect(self.role("clicks").locator("[data-pending=true]")).to_have_count(0)

    @property
    def listed_clicks(self) -> list[tuple[Voxel, str]]:
        """The clicks in the list: voxel and label."""
        rows = self.role("clicks").locator("li").all()
        clicks = []
        for row in rows:
            i, j, k = map(int, (row.get_attribute("data-voxel") or "").split(","))
            clicks.append(((i, j, k), row.get_attribute("data-label") or ""))
        return clicks

    def pixels(self, plane: str) -> npt.NDArray[np.uint8]:
        """What a view's canvas shows, ``(height, width, 4)``."""
        self.next_frame()
        address = self.canvas(plane).evaluate("canvas => canvas.toDataURL()")
        with Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))) as image:
            return np.asarray(image.convert("RGBA"))

    def picture(self, plane: str) -> bytes:
        """What a view's canvas shows, comparable."""
        return self.pixels(plane).tobytes()

    def pictures(self) -> list[bytes]:
        """What all views show, comparable."""
        return [self.picture(plane) for plane in PLANES]

    def download_mask(self, folder: Path) -> Path:
        """Download the mask on screen into a folder."""
        with self.page.expect_download() as download:
            self.role("save").click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path


@contextmanager
def person_at(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = (1400, 900),
    pixel_ratio: float = 1,
    theme: Literal["dark", "light"] = "dark",
    touch: bool = False,
    surface: bool = True,
) -> Iterator[Person]:
    """Somebody with a browser window of their own: nothing is shared with other windows.

    Args:
        browser: The browser.
        url: Where the app is.
        size: Width and height of the window, in CSS pixels.
        pixel_ratio: Pixels of the screen per CSS pixel.
        theme: What the system prefers.
        touch: Whether the screen feels fingers.
        surface: Whether the 3-D surface is drawn, which takes a computer without a GPU long.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=pixel_ratio,
        color_scheme=theme,
        has_touch=touch,
    )
    if not surface:
        nothing = "window.Plotly = { react: async () => {}, Plots: { resize() {} } };"
        context.route("**/plotly.min.js", lambda route: route.fulfill(body=nothing))
    try:
        yield Person(context, url)
    finally:
        context.close()
