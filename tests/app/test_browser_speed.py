"""Scrolling leaves the browser time to spare."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.app.stand_in import write_scan
from tests.browser import Person

pytestmark = pytest.mark.browser

SHAPE = (512, 512, 40)
NOTCHES = 60
# Of a screen that shows 60 a second.
FRAME_MS = 1000 / 60
# What a machine needs for the picture below that may have no more than one frame for a notch; one
# that is slower, or busy with something else, may take longer for both alike.
SWIFT_PAINTING_MS = 0.5

# Milliseconds that each notch of the wheel keeps the page busy: its handler, and whatever that has
# asked to be drawn. In turn with them, those of the least that could be drawn instead: a picture of
# one slice, through a table of colours. Both take longer on a slow or busy machine.
_SCROLL = """async (notches) => {
  const canvas = document.querySelector("[data-plane=axial] canvas");
  const onFrame = window.requestAnimationFrame;
  const drawn = () => new Promise((resolve) => onFrame(() => onFrame(resolve)));
  let spent = 0;
  const timed = (run) => (...given) => {
    const began = performance.now();
    run(...given);
    spent += performance.now() - began;
  };
  window.requestAnimationFrame = (callback) => onFrame(timed(callback));
  const wheel = timed((deltaY) => canvas.dispatchEvent(
    new WheelEvent("wheel", { deltaY, bubbles: true, cancelable: true })));
  const table = Uint32Array.from({ length: 65536 }, (_, grey) => 0xff000000 | grey);
  const voxels = Int16Array.from({ length: 512 * 512 }, (_, place) => (place * 7919) & 1023);
  const bare = Object.assign(document.createElement("canvas"), { width: 512, height: 512 });
  const image = bare.getContext("2d").createImageData(512, 512);
  const pixels = new Uint32Array(image.data.buffer);
  const paint = timed(() => {
    for (let place = 0; place < pixels.length; place += 1) pixels[place] = table[voxels[place]];
    bare.getContext("2d").putImageData(image, 0, 0);
  });
  const measured = { redraws: [], paintings: [], slices: new Set() };
  let deltaY = -100;
  for (let turn = 0; turn < notches; turn += 1) {
    const before = canvas.dataset.slice;
    spent = 0;
    wheel(deltaY);
    await drawn();
    measured.redraws.push(spent);
    spent = 0;
    paint();
    measured.paintings.push(spent);
    measured.slices.add(canvas.dataset.slice);
    if (canvas.dataset.slice === before) deltaY = -deltaY;
  }
  window.requestAnimationFrame = onFrame;
  return JSON.stringify({ ...measured, slices: measured.slices.size });
}"""


@pytest.fixture(scope="module")
def surface() -> bool:
    return False


def test_a_notch_of_the_wheel_keeps_the_page_busy_for_less_than_a_frame(
    newcomer: Person, tmp_path: Path
) -> None:
    k = np.arange(SHAPE[2], dtype=np.int16)
    data = np.broadcast_to(k, SHAPE).copy()
    data[150:400, 120:380] += 200
    newcomer.open_file(write_scan(tmp_path / "large.nii.gz", data))
    expect(newcomer.role("volume")).not_to_have_text("–")
    newcomer.go_to_slice("axial", 0)
    measured = json.loads(newcomer.page.evaluate(_SCROLL, NOTCHES))
    assert measured["slices"] == SHAPE[2] - 1, "each notch shows another slice"
    redraw, painting = median(measured["redraws"]), median(measured["paintings"])
    assert redraw < FRAME_MS * max(1, painting / SWIFT_PAINTING_MS)
