"""Uploads for which there is no room on the server's disk."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.upload_room import NO_ROOM, UploadRoom
from tests.app.stand_in import write_scan
from tests.browser import Person

UPLOAD = "/gradio_api/upload"


@pytest.fixture(scope="module")
def disk_gb() -> float:
    """Two mebibytes: room for one of the scans below, and for what the page fetches of it."""
    return 2 / 1024


def noise(path: Path, seed: int) -> Path:
    """A scan that takes 0.8 MB however it is compressed."""
    values = np.random.default_rng(seed).integers(-900, 900, (96, 96, 64), np.int16)
    return write_scan(path, values)


@pytest.mark.browser
def test_a_full_disk_is_said_and_the_scan_on_screen_stays(person: Person, tmp_path: Path) -> None:
    person.open_file(noise(tmp_path / "first.nii.gz", seed=1))
    before = person.state("scan")
    person.role("file").set_input_files(noise(tmp_path / "second.nii.gz", seed=2))
    assert person.refusal() == NO_ROOM
    expect(person.page.locator(".toast-body")).to_have_count(0)
    assert person.state("scan") == before
    person.click_voxel("axial", (48, 48, 32), (96, 96, 64))
    person.expect_clicks(1)
    # The browser itself complains of every refused request.
    person.complaints.clear()


def test_uploads_on_their_way_do_not_share_the_same_room() -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def store(request: Request) -> Response:
        arrived.set()
        assert go_on.wait(timeout=60)
        return PlainTextResponse("stored")

    room = Middleware(UploadRoom, has_room=lambda coming: coming <= 150, upload_bytes=1000)
    routes = [Route(path, store, methods=["POST"]) for path in (UPLOAD, "/elsewhere")]
    with (
        TestClient(Starlette(routes=routes, middleware=[room])) as client,
        ThreadPoolExecutor() as people,
    ):
        first = people.submit(client.post, UPLOAD, content=bytes(100))
        assert arrived.wait(timeout=60)
        try:
            refused = client.post(UPLOAD, content=bytes(51))
        finally:
            go_on.set()
        assert first.result().status_code == 200
        assert refused.status_code == 507
        assert refused.json() == {"detail": NO_ROOM}
        assert client.post(UPLOAD, content=bytes(51)).status_code == 200, "the room is free again"
        unknown = client.post(UPLOAD, content=iter([bytes(10)]))
        assert unknown.status_code == 507, "it may have as many bytes as an upload may"
        assert client.post("/elsewhere", content=bytes(500)).status_code == 200
