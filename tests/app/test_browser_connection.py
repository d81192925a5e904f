"""A connection that breaks and comes back, and a server that has forgotten the page."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Route, expect

from app import replies
from app.server import RunningApp
from app.store import OpenScan, SessionKey
from caiseg import Volume
from tests.app.conftest import scan_of
from tests.app.stand_in import StandInShelf, folded
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
VOXELS: list[Voxel] = [(4, 25, 4), (19, 5, 2), (11, 14, 7), (6, 6, 6)]
STREAM, JOIN = "**/gradio_api/queue/data?*", "**/gradio_api/queue/join?*"
UPLOAD = "**/gradio_api/upload*"

# Lets the page hear of the end of a stream of answers only after the id of the next event.
LATE_ENDS = """
const fetch = window.fetch;
let asked = () => {};
window.fetch = async (resource, options) => {
  const url = String(resource.url ?? resource);
  const answer = await fetch(resource, options);
  if (url.includes("/queue/join")) setTimeout(asked, 200);
  if (!url.includes("/queue/data")) return answer;
  const late = new TransformStream({
    async transform(bytes, stream) {
      const text = new TextDecoder().decode(bytes);
      const end = text.search(/data:[^\\n]*close_stream/);
      if (end < 0) return stream.enqueue(bytes);
      stream.enqueue(new TextEncoder().encode(text.slice(0, end)));
      await new Promise((resolve) => { asked = resolve; });
      window.endsHeld = (window.endsHeld ?? 0) + 1;
      stream.enqueue(new TextEncoder().encode(text.slice(end)));
    },
  });
  return new Response(answer.body.pipeThrough(late), answer);
};
"""

# With window.idsAreLate, lets the page hear of an event's id only after all answers to it.
LATE_IDS = """
const fetch = window.fetch;
let said = "";
window.fetch = async (resource, options) => {
  const url = String(resource.url ?? resource);
  const answer = await fetch(resource, options);
  if (url.includes("/queue/join") && window.idsAreLate) {
    const { event_id: id } = await answer.clone().json();
    const isDone = () => said.includes('"process_completed","event_id":"' + id);
    while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (url.includes("/queue/join")) window.idsKnown = (window.idsKnown ?? 0) + 1;
  if (!url.includes("/queue/data")) return answer;
  const listening = new TransformStream({
    transform(bytes, stream) {
      said += new TextDecoder().decode(bytes);
      stream.enqueue(bytes);
    },
  });
  return new Response(answer.body.pipeThrough(listening), answer);
};
"""


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


@pytest.fixture
def worker(newcomer: Person, blob: Path) -> Iterator[Person]:
    """Somebody with one click, whose page must not reload itself."""
    newcomer.open_file(blob)
    newcomer.page.evaluate("() => { window.isStillHere = true; }")
    newcomer.click_voxel("axial", VOXELS[0], SHAPE)
    newcomer.expect_clicks(1)
    newcomer.expect_root("details", newcomer.state("seq"))
    yield newcomer
    assert newcomer.page.evaluate("() => window.isStillHere"), "the page was reloaded"
    # The browser itself complains of every failed request.
    newcomer.complaints.clear()


def forget(person: Person, running: RunningApp) -> None:
    """Let the server forget what a page has open, as a restart does."""
    (heartbeat, *_) = (url for url in person.requests if "/heartbeat/" in url)
    running.store.drop(SessionKey(user="", page=heartbeat.rsplit("/", 1)[1]))


def once(person: Person, pattern: str, answer: Callable[[Route], None]) -> None:
    """Answer the next request of a kind in place of the server."""
    person.page.route(pattern, answer, times=1)


def break_off(route: Route) -> None:
    route.abort("connectionreset")


def end_early(route: Route) -> None:
    route.fulfill(content_type="text/event-stream", body="")


def know_no_session(route: Route) -> None:
    said = {"msg": "unexpected_error", "message": "404", "session_not_found": True}
    route.fulfill(content_type="text/event-stream", body=f"data: {json.dumps(said)}\n\n")


def find_no_server(route: Route) -> None:
    route.fulfill(status=502)


def fail(route: Route) -> None:
    route.fulfill(status=500)


@pytest.mark.parametrize("failure", [break_off, end_early, know_no_session, find_no_server])
def test_a_click_whose_answer_is_lost_on_the_way_is_asked_again(
    worker: Person, running: RunningApp, shelf: StandInShelf, failure: Callable[[Route], None]
) -> None:
    once(worker, STREAM, failure)
    worker.click_voxel("axial", VOXELS[1], SHAPE)
    worker.expect_clicks(2)
    assert worker.listed_clicks == [(voxel, "fg") for voxel in VOXELS[:2]]
    scan = scan_of(worker, running)
    assert scan.session.current.mask.unpack().tobytes() == folded(VOXELS[:2], scan, shelf)


def test_a_click_in_the_moment_in_which_the_server_ends_the_stream_is_answered(
    newcomer: Person, blob: Path
) -> None:
    newcomer.page.add_init_script(LATE_ENDS)
    newcomer.page.reload()
    newcomer.expect_root("live", "true")
    newcomer.open_file(blob)
    for count, voxel in enumerate(VOXELS, start=1):
        newcomer.expect_root("details", newcomer.state("seq"))
        newcomer.click_voxel("axial", voxel, SHAPE)
        newcomer.expect_clicks(count)
    assert newcomer.page.evaluate("() => window.endsHeld") >= len(VOXELS)


@pytest.fixture
def late(newcomer: Person, blob: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    """Somebody whose page hears of an event only when the server is done with it."""
    newcomer.page.add_init_script(LATE_IDS)
    newcomer.page.reload()
    newcomer.expect_root("live", "true")
    newcomer.open_file(blob)
    newcomer.expect_root("details", newcomer.state("seq"))
    # Measurements that are not done keep the stream of answers open.
    details, go_on = replies.details, threading.Event()

    def slowly(scan: OpenScan) -> gr.HTML:
        assert go_on.wait(timeout=300)
        return details(scan)

    monkeypatch.setattr(replies, "details", slowly)
    try:
        known = newcomer.page.evaluate("() => window.idsKnown")
        newcomer.click_voxel("axial", VOXELS[0], SHAPE)
        newcomer.expect_clicks(1)
        # The click's, and that of its measurements.
        newcomer.page.wait_for_function("known => window.idsKnown === known + 2", arg=known)
        newcomer.page.evaluate("() => { window.idsAreLate = true; }")
        yield newcomer
    finally:
        go_on.set()


def test_a_scan_that_is_open_before_the_page_knows_of_the_event_is_shown(
    late: Person, blob: Path
) -> None:
    late.open_file(blob.rename(blob.with_name("second.nii.gz")))
    expect(late.role("scan-name")).to_contain_text("second")
    late.expect_root("state", "idle")


def test_a_file_that_is_refused_once_more_is_refused_in_the_same_words(
    late: Person, tmp_path: Path
) -> None:
    broken = tmp_path / "empty.nii.gz"
    broken.touch()
    for _ in range(2):
        late.role("file").set_input_files(broken)
        assert "The file is empty" in late.refusal()
        expect(late.role("work")).to_be_hidden()


def test_a_click_that_ends_the_server_each_time_is_not_tried_for_ever(worker: Person) -> None:
    worker.page.route(STREAM, break_off)
    worker.click_voxel("axial", VOXELS[1], SHAPE)
    assert "stopped each time" in worker.refusal()
    asked = sum("/queue/join" in url for url in worker.requests)
    worker.page.unroute_all()
    assert worker.listed_clicks == [(voxel, "fg") for voxel in VOXELS[:2]]
    assert sum("/queue/join" in url for url in worker.requests) == asked
    worker.click_voxel("axial", VOXELS[2], SHAPE)
    worker.expect_clicks(3)


@pytest.mark.parametrize("failure", [break_off, find_no_server])
def test_a_click_that_finds_no_server_waits_for_it(
    worker: Person, failure: Callable[[Route], None]
) -> None:
    worker.page.route("**/health", failure)
    worker.page.route(JOIN, failure)
    worker.click_voxel("axial", VOXELS[1], SHAPE)
    worker.expect_root("connection", "gone")
    expect(worker.role("away")).to_contain_text("The server does not answer")
    worker.click_voxel("axial", VOXELS[2], SHAPE)
    worker.page.unroute_all()
    worker.expect_clicks(3)
    expect(worker.role("away")).to_be_hidden()


def test_a_click_waits_for_a_login_that_the_server_asks_for(worker: Person) -> None:
    worker.page.route(JOIN, lambda route: route.fulfill(status=401))
    worker.click_voxel("axial", VOXELS[1], SHAPE)
    worker.expect_root("connection", "login")
    expect(worker.role("away")).to_contain_text("log in again")
    worker.page.unroute_all()
    worker.expect_clicks(2)
    expect(worker.role("away")).to_be_hidden()


def test_steps_that_are_too_many_for_a_request_get_a_sentence(worker: Person) -> None:
    once(worker, JOIN, lambda route: route.fulfill(status=413, json={"detail": "Too large."}))
    worker.click_voxel("axial", VOXELS[1], SHAPE)
    assert "more than the server takes" in worker.refusal()
    worker.click_voxel("axial", VOXELS[2], SHAPE)
    worker.expect_clicks(3)


@pytest.mark.parametrize("failure", [break_off, fail])
def test_an_upload_that_fails_is_said_in_one_place(
    worker: Person, blob: Path, failure: Callable[[Route], None]
) -> None:
    worker.page.route(UPLOAD, failure)
    worker.role("file").set_input_files(blob)
    assert "The upload of blob.nii.gz failed" in worker.refusal()
    expect(worker.page.locator(".toast-body")).to_have_count(0)
    worker.page.unroute_all()
    worker.click_voxel("axial", VOXELS[1], SHAPE)
    worker.expect_clicks(2)


def test_clicks_go_on_while_a_server_is_given_the_scan_again(
    worker: Person,
    running: RunningApp,
    shelf: StandInShelf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode, go_on = shelf.small.encode, threading.Event()

    def slowly(volume: Volume, progress: Callable[[float], None], **settings: Any) -> Any:
        assert go_on.wait(timeout=60)
        return encode(volume, progress, **settings)

    monkeypatch.setattr(shelf.small, "encode", slowly)
    forget(worker, running)
    before = worker.state("scan")
    worker.click_voxel("axial", VOXELS[1], SHAPE)
    try:
        expect(worker.root).not_to_have_attribute("data-scan", before)
        worker.click_voxel("axial", VOXELS[2], SHAPE)
        assert [voxel for voxel, _ in worker.listed_clicks] == VOXELS[:3]
        assert worker.state("clicks") == "1", "the last mask that was answered stays"
    finally:
        go_on.set()
    worker.expect_clicks(3)
    assert worker.state("pos") == ",".join(map(str, VOXELS[2])), "the views stay where they were"
    scan = scan_of(worker, running)
    assert scan.session.current.mask.unpack().tobytes() == folded(VOXELS[:3], scan, shelf)


def test_a_page_that_was_forgotten_keeps_itself_known(worker: Person, running: RunningApp) -> None:
    forget(worker, running)
    with worker.page.expect_request("**/heartbeat/*"):
        worker.click_voxel("axial", VOXELS[1], SHAPE)
    worker.expect_clicks(2)
