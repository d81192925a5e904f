"""One real server and many people at once: nothing is lost, mixed up, kept or broken."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import nibabel as nib
import numpy as np
import psutil
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from prometheus_client.parser import text_string_to_metric_families

from caiseg import CAISegPredictor, Click, Label, load_volume, replay_clicks
from tests.browser import ServerProcess, start_app
from tests.networks import write_scan, write_small_checkpoint

pytestmark = pytest.mark.slow

PEOPLE, CLICKS = 20, 4
SHAPE = (40, 48, 12)
UPLOADS, SETTLED, GROWTH_MIB = 500, 150, 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Path:
    (folder / "checkpoints").mkdir()
    return write_small_checkpoint(folder / "checkpoints" / "tiny.safetensors")


@pytest.fixture(scope="module")
def scans(folder: Path) -> list[Path]:
    return [write_scan(folder / f"scan{seed}.nii.gz", SHAPE, seed=seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def server(checkpoint: Path) -> Iterator[ServerProcess]:
    with start_app(checkpoint.parent, "--device", "cpu", "--memory-gb", "0.1") as running:
        yield running


@contextmanager
def somebody(server: ServerProcess) -> Iterator[Client]:
    client = Client(server.url, verbose=False, httpx_kwargs={"timeout": 120})
    try:
        yield client
    finally:
        client.close()


def metric(server: ServerProcess, name: str) -> float:
    text = httpx.get(f"{server.url}metrics", timeout=120).text
    samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
    return next(sample.value for sample in samples if sample.name == name)


def expect_none(server: ServerProcess, *names: str) -> None:
    """Wait until the server counts nothing of these any more."""
    waiting = threading.Event()
    for _ in range(2400):
        if not any(metric(server, name) for name in names):
            return
        waiting.wait(0.05)
    assert {name: metric(server, name) for name in names} == dict.fromkeys(names, 0)


def own_clicks(person: int) -> list[Click]:
    rng = random.Random(person)
    return [
        Click(
            (rng.randrange(SHAPE[0]), rng.randrange(SHAPE[1]), rng.randrange(SHAPE[2])),
            rng.choice([Label.FOREGROUND, Label.BACKGROUND]),
        )
        for _ in range(CLICKS)
    ]


def expected_masks(checkpoint: Path, scans: Sequence[Path]) -> list[np.ndarray[Any, Any]]:
    predictor = CAISegPredictor.from_checkpoint(checkpoint)
    opened = [load_volume(path) for path in scans]
    encoded = [predictor.encode(volume) for volume in opened]
    masks = []
    for person in range(PEOPLE):
        *_, last = replay_clicks(predictor, encoded[person % 2], own_clicks(person))
        masks.append(opened[person % 2].to_native(last.mask))
    return masks


def vandalise(server: ServerProcess, over: threading.Event) -> int:
    """Ask for what nobody should ask for, again and again; returns how often."""
    queue = f"{server.url}gradio_api/queue/join"
    nonsense: list[Any] = [
        {"fn_index": 999, "data": [], "session_hash": "vandal"},
        {"fn_index": 0, "data": [{"scan": 7, "actions": "all"}], "session_hash": "vandal"},
        {"fn_index": 1, "data": [{"actions": [[[[]]]]}], "session_hash": "vandal"},
        {"fn_index": 1, "data": "x" * 100_000, "session_hash": "vandal"},
        {"fn_index": -1},
        "no object",
    ]
    count = 0
    while not over.is_set():
        httpx.post(queue, json=nonsense[count % len(nonsense)], timeout=120)
        # The server hangs up on this one in the middle.
        with suppress(httpx.TransportError):
            httpx.post(f"{server.url}gradio_api/upload", content=b"no form", timeout=120)
        count += 1
    return count


def test_everybody_gets_the_mask_of_their_own_clicks_while_others_click_and_break_things(
    server: ServerProcess, checkpoint: Path, scans: list[Path]
) -> None:
    all_there = threading.Barrier(PEOPLE, timeout=600)

    def annotate(person: int) -> np.ndarray[Any, Any]:
        with somebody(server) as client:
            client.predict(handle_file(str(scans[person % 2])), api_name="/load")
            all_there.wait()
            for count, click in enumerate(own_clicks(person), start=1):
                label = "fg" if click.label is Label.FOREGROUND else "bg"
                state = client.predict(*click.voxel, label, api_name="/click")
                assert len(state["clicks"]) == count
            saved = nib.load(client.predict("labels", api_name="/download"))
            return np.asarray(saved.dataobj) > 0

    over = threading.Event()
    with ThreadPoolExecutor(PEOPLE + 1) as threads:
        vandal = threads.submit(vandalise, server, over)
        try:
            masks = list(threads.map(annotate, range(PEOPLE)))
        finally:
            over.set()
        assert vandal.result() > 0
    for mask, expected in zip(masks, expected_masks(checkpoint, scans), strict=True):
        np.testing.assert_array_equal(mask, expected)
    assert metric(server, "caiseg_click_seconds_count") == PEOPLE * CLICKS
    # What was asked for last in vain may still be on its way through the queue.
    expect_none(server, "caiseg_queue_length")


def test_whoever_leaves_takes_their_scan_along(server: ServerProcess, scans: list[Path]) -> None:
    with somebody(server) as client:
        client.predict(handle_file(str(scans[0])), api_name="/load")
        assert metric(server, "caiseg_bytes_held") > 0
    expect_none(server, "caiseg_sessions", "caiseg_bytes_held")


def upload(client: httpx.Client, content: bytes) -> None:
    """What gradio_client does to open a scan, without its own share of the time."""
    (stored,) = client.post("gradio_api/upload", files={"files": ("small.nii.gz", content)}).json()
    scan = {"path": stored, "meta": {"_type": "gradio.FileData"}}
    asked = {"data": [scan, "", "", -1], "session_hash": "uploads"}
    event = client.post("gradio_api/call/load", json=asked).json()["event_id"]
    answer = client.get(f"gradio_api/call/load/{event}").text
    assert "event: complete" in answer, answer


def test_memory_stays_flat_over_hundreds_of_uploads(server: ServerProcess, folder: Path) -> None:
    content = write_scan(folder / "small.nii.gz", (16, 16, 8)).read_bytes()
    process = psutil.Process(server.process.pid)
    resident = []
    with httpx.Client(base_url=server.url, timeout=120) as client:
        for count in range(1, UPLOADS + 1):
            upload(client, content)
            if count in (SETTLED, (SETTLED + UPLOADS) // 2, UPLOADS):
                resident.append(process.memory_info().rss / 2**20)
    # What leaks grows all the time; a thread that is first used late claims memory once.
    growth = min(after - before for before, after in itertools.pairwise(resident))
    assert growth < GROWTH_MIB / 2, f"MiB, after so many uploads and more: {resident}"


def test_the_log_names_no_file_and_nobody(server: ServerProcess, folder: Path) -> None:
    patient = folder / "Jane_Doe_1970.nii.gz"
    patient.write_bytes(write_scan(folder / "plain.nii.gz", SHAPE).read_bytes())
    broken = folder / "John_Roe_1980.nii.gz"
    broken.write_bytes(b"no scan at all")
    with somebody(server) as client:
        client.predict(handle_file(str(patient)), api_name="/load")
        client.predict(3, 3, 3, "fg", api_name="/click")
        with pytest.raises(AppError, match="not a NIfTI scan"):
            client.predict(handle_file(str(broken)), api_name="/load")
        client.predict(3, 3, 3, "fg", api_name="/click")
    log = "\n".join(server.log)
    assert "Jane" not in log
    assert "John" not in log
