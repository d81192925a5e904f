"""``make screenshots``: the README's pictures, taken from the app itself on its demo scan."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from caiseg import CAISegPredictor, Click, Label, load_volume, replay_clicks
from caiseg.synthetic import demo_scan
from tests.browser import ROOT, open_browser, person_at, start_app

IMAGES = ROOT / "assets" / "images"


def take(scan: Path, chromium: Path) -> None:
    """Open the demo scan, click twice, and write the pictures of a wide and a narrow window."""
    checkpoints = ROOT / "assets" / "checkpoints"
    volume = load_volume(scan)
    predictor = CAISegPredictor.from_checkpoint(checkpoints / "brain-flair.safetensors")
    (first,) = replay_clicks(predictor, predictor.encode(volume), [])
    clicks = _clicks(first.mask)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with start_app(checkpoints) as server, open_browser(chromium) as browser:
        for name, size in (("app", (1400, 900)), ("phone", (390, 844))):
            with person_at(browser, server.url, size=size) as person:
                person.open_demo()
                for count, click in enumerate(clicks, start=1):
                    background = click.label is Label.BACKGROUND
                    person.click_voxel("axial", click.voxel, volume.shape, other_label=background)
                    person.expect_clicks(count)
                person.page.mouse.move(2, 2)
                person.expect_root("details", person.state("seq"))
                person.page.screenshot(path=IMAGES / f"{name}.png")


def _clicks(mask: npt.NDArray[np.bool_]) -> list[Click]:
    """One click inside the largest slice of the mask, one beside it."""
    k = int(mask.sum(axis=(0, 1)).argmax())
    i, j = (int(places.mean()) for places in np.nonzero(mask[:, :, k]))
    beside = int(np.flatnonzero(mask[:, j, k]).max()) + 8
    return [
        Click((i, j, k), Label.FOREGROUND),
        Click((min(beside, mask.shape[0] - 1), j, k), Label.BACKGROUND),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        take(demo_scan(Path(folder) / "demo.nii.gz"), Path(os.environ["CHROMIUM"]))
