"""The server asks no other host for anything, whatever it is asked to do."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from app.settings import is_loopback
from tests.browser import person_at, start_app
from tests.networks import write_small_checkpoint

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Python imports a module of this name before anything else; its hook cannot be removed.
SITECUSTOMIZE = """
import os
import sys

def record(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        # Others are no hosts, but files on this machine.
        hosts = [address[0]] if isinstance(address, tuple) else []
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        hosts = [arguments[0]]
    elif event in ("socket.sendto", "socket.sendmsg"):
        hosts = [arguments[1][0]] if isinstance(arguments[1], tuple) else []
    else:
        return
    with open(os.environ["RECORD"], "a") as file:
        file.writelines(f"{host}\\n" for host in hosts)

sys.addaudithook(record)
"""


def test_the_server_opens_the_demo_scan_and_answers_clicks_offline(
    browser: Browser, tmp_path: Path
) -> None:
    for folder in ("checkpoints", "site"):
        (tmp_path / folder).mkdir()
    write_small_checkpoint(tmp_path / "checkpoints" / "tiny.safetensors")
    (tmp_path / "site" / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
    record = tmp_path / "record"
    environment = {"PYTHONPATH": str(tmp_path / "site"), "RECORD": str(record)}
    with start_app(tmp_path / "checkpoints", environment=environment) as server:
        with person_at(browser, server.url, surface=False) as person:
            person.open_demo()
            person.canvas("axial").click()
            person.expect_clicks(1)
        with httpx.Client(base_url=server.url, timeout=60) as program:
            address = "https://example.org/scan.nii.gz"
            file = {"path": address, "meta": {"_type": "gradio.FileData"}}
            asked = program.post("gradio_api/call/load", json={"data": [file, "", "", -1]})
            told = program.get(f"gradio_api/call/load/{asked.json()['event_id']}").text
            assert "event: error" in told
            assert program.get(f"gradio_api/file={address}").status_code == 404
    hosts = record.read_text("utf-8").splitlines()
    assert "127.0.0.1" in hosts, "Gradio asks itself whether it has started"
    assert [host for host in hosts if not is_loopback(host)] == []
