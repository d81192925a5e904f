"""A server that dies in the middle of its work loses nothing of what a person did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from caiseg import CAISegPredictor, Click, Label, load_volume, replay_clicks
from tests.app.held_app import held
from tests.browser import Person, ServerProcess, Voxel, person_at, start_app
from tests.networks import write_scan, write_small_checkpoint

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHAPE: Voxel = (40, 48, 12)
VOXELS: list[Voxel] = [(10, 20, 5), (30, 12, 7), (20, 30, 6)]


class Operator:
    """Somebody who kills the server, and starts another one in its place.

    Attributes:
        holds: Where :func:`tests.app.held_app.held` stops it.
        checkpoint: What it serves.
        server: The one that runs now, or ran last.
    """

    def __init__(self, folder: Path, exits: ExitStack):
        self.holds = folder / "holds"
        self.holds.mkdir()
        self.checkpoint = write_small_checkpoint(folder / "checkpoints.safetensors")
        self._exits = exits
        self.server = self._start("0")

    def kill(self) -> None:
        self.server.process.kill()
        self.server.process.wait(timeout=60)

    def restart(self) -> None:
        self.server = self._start(str(urlsplit(self.server.url).port))

    def _start(self, port: str) -> ServerProcess:
        program = ("-m", "tests.app.held_app", str(self.holds))
        return self._exits.enter_context(
            start_app(self.checkpoint.parent, "--port", port, program=program)
        )


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with ExitStack() as exits:
        yield Operator(tmp_path_factory.mktemp("server"), exits)


@pytest.fixture
def person(browser: Browser, operator: Operator) -> Iterator[Person]:
    """Somebody whose page must not reload itself."""
    with person_at(browser, operator.server.url, surface=False) as somebody:
        somebody.page.evaluate("() => { window.isStillHere = true; }")
        yield somebody
        assert somebody.page.evaluate("() => window.isStillHere"), "the page was reloaded"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path / "scan.nii.gz")


def kept_steps(person: Person) -> int:
    """How many steps the browser's own storage has of the only scan in it."""
    (kept,) = person.page.evaluate("() => Object.values(localStorage)")
    return len(json.loads(kept)["session"]["actions"])


def test_a_server_killed_while_it_answers_loses_no_click(
    operator: Operator, person: Person, scan: Path, tmp_path: Path
) -> None:
    person.open_file(scan)
    person.click_voxel("axial", VOXELS[0], SHAPE)
    person.expect_clicks(1)
    with held(operator.holds, "answer") as wait_for_server:
        person.click_voxel("axial", VOXELS[1], SHAPE)
        wait_for_server()
        operator.kill()
    person.expect_root("connection", "gone")
    away = person.role("away")
    expect(away).to_contain_text("The server does not answer; your steps are kept")

    person.click_voxel("axial", VOXELS[2], SHAPE)
    assert [voxel for voxel, _ in person.listed_clicks] == VOXELS[:3]
    assert kept_steps(person) == 3
    assert person.state("clicks") == "1", "the last mask that was answered stays"

    operator.restart()
    person.expect_clicks(3)
    expect(away).to_be_hidden()
    expect(person.role("refusal")).to_be_hidden()
    assert person.listed_clicks == [(voxel, "fg") for voxel in VOXELS[:3]]
    saved = np.asarray(nib.load(person.download_mask(tmp_path)).dataobj)
    volume, predictor = load_volume(scan), CAISegPredictor.from_checkpoint(operator.checkpoint)
    clicks = [Click(voxel, Label.FOREGROUND) for voxel in VOXELS[:3]]
    *_, last = replay_clicks(predictor, predictor.encode(volume), clicks)
    np.testing.assert_array_equal(volume.from_native(saved) > 0, last.mask)


def test_a_scan_opens_by_itself_after_the_server_was_killed_while_it_was_encoded(
    operator: Operator, person: Person, scan: Path
) -> None:
    with held(operator.holds, "encode") as wait_for_server:
        person.role("file").set_input_files(scan)
        wait_for_server()
        operator.kill()
    operator.restart()
    person.expect_root("ready", "true")
    expect(person.role("away")).to_be_hidden()
    person.click_voxel("axial", VOXELS[0], SHAPE)
    person.expect_clicks(1)
