"""What a person sees of the server's work: masks that grow, and a restart that loses nothing."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from caiseg import CAISegPredictor, Click, Label, Volume, load_volume, replay_clicks
from tests.app.stand_in import StandInShelf
from tests.browser import Person, Voxel, person_at, start_app
from tests.networks import write_scan, write_small_checkpoint

pytestmark = pytest.mark.browser

SMOOTH: Voxel = (40, 48, 12)


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


def has_mask(person: Person) -> bool:
    pixels = person.pixels("axial").astype(int)
    return bool(np.any(pixels[..., 0] - pixels[..., 2] > 60))


def test_the_first_mask_appears_while_the_rest_is_encoded(
    newcomer: Person, shelf: StandInShelf, blob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, go_on = shelf.small.encode, threading.Event()

    def slowly(volume: Volume, progress: Callable[[float], None], **settings: Any) -> Any:
        encoded = encode(volume, progress, **settings)
        assert go_on.wait(timeout=60)
        return encoded

    monkeypatch.setattr(shelf.small, "encode", slowly)
    try:
        newcomer.role("file").set_input_files(blob)
        expect(newcomer.root).to_have_attribute("data-growing", re.compile("."))
        newcomer.go_to_slice("axial", 4)
        assert has_mask(newcomer), "the patch with this slice is done"
        newcomer.go_to_slice("axial", 5)
        assert not has_mask(newcomer), "the one with this slice is not"
        expect(newcomer.role("work-text")).to_contain_text("Encoding")
    finally:
        go_on.set()
    newcomer.expect_root("ready", "true")
    newcomer.go_to_slice("axial", 5)
    assert has_mask(newcomer)
    expect(newcomer.role("volume")).to_have_text("0.52 mL")


@pytest.mark.slow
def test_a_restart_of_the_server_loses_no_click(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    checkpoint = write_small_checkpoint(tmp_path / "checkpoints" / "tiny.safetensors")
    scan = write_scan(tmp_path / "scan.nii.gz")
    voxels: list[Voxel] = [(10, 20, 5), (30, 12, 7), (20, 30, 6)]
    with start_app(checkpoint.parent) as server:
        port = str(urlsplit(server.url).port)
        with person_at(browser, server.url, surface=False) as person:
            person.open_file(scan)
            for count, voxel in enumerate(voxels[:2], start=1):
                person.click_voxel("axial", voxel, SMOOTH)
                person.expect_clicks(count)
            server.process.terminate()
            server.process.wait(timeout=60)
            before = person.state("scan")
            with start_app(checkpoint.parent, "--port", port):
                person.click_voxel("axial", voxels[2], SMOOTH)
                expect(person.root).not_to_have_attribute("data-scan", before)
                person.expect_clicks(3)
                assert person.listed_clicks == [(voxel, "fg") for voxel in voxels]
                saved = np.asarray(nib.load(person.download_mask(tmp_path)).dataobj)
                assert not person.role("refusal").is_visible()
    volume, predictor = load_volume(scan), CAISegPredictor.from_checkpoint(checkpoint)
    clicks = [Click(voxel, Label.FOREGROUND) for voxel in voxels]
    *_, last = replay_clicks(predictor, predictor.encode(volume), clicks)
    np.testing.assert_array_equal(volume.from_native(saved) > 0, last.mask)
