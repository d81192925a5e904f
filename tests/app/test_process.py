"""The app as a process: what it says, listens on, and leaves behind."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from app.accounts import add_user
from tests.browser import start_app
from tests.networks import write_small_checkpoint

pytestmark = pytest.mark.slow

OUTSIDE_ADDRESS = "0.0.0.0"
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    write_small_checkpoint(folder / "tiny.safetensors")
    return folder


def caches(folder: Path) -> list[Path]:
    return list(folder.glob("caiseg-*"))


def test_it_listens_on_this_machine_only_and_cleans_up_when_terminated(
    checkpoints: Path, tmp_path: Path
) -> None:
    with start_app(checkpoints, environment={"TMPDIR": str(tmp_path)}) as server:
        assert urlsplit(server.url).hostname == "127.0.0.1"
        assert httpx.get(server.url, timeout=60).status_code == 200
        (cache,) = caches(tmp_path)
        assert cache.stat().st_mode & 0o077 == 0, "nobody else may read it"
    assert server.process.returncode == 0
    assert caches(tmp_path) == []


def test_a_port_in_use_gets_a_sentence(checkpoints: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(AssertionError, match="--port"),
            start_app(checkpoints, "--port", str(port)),
        ):
            pass


def test_a_server_with_accounts_shows_nothing_before_the_login(
    checkpoints: Path, tmp_path: Path
) -> None:
    auth = tmp_path / "users"
    add_user(auth, "ann", PASSWORD)
    options = ("--host", OUTSIDE_ADDRESS, "--auth", str(auth))
    with start_app(checkpoints, *options, environment={"TMPDIR": str(tmp_path)}) as server:
        (cache,) = caches(tmp_path)
        scan = cache / "page" / "voxels.gz"
        scan.parent.mkdir()
        scan.write_bytes(b"voxels")
        address = f"gradio_api/file={scan}"
        for password, status in (("wrong horse", 401), (PASSWORD, 200)):
            with httpx.Client(base_url=server.url, timeout=60) as client:
                assert client.get(address).status_code == 401
                client.post("login", data={"username": "ann", "password": password})
                assert client.get(address).status_code == status
                assert client.get("config").status_code == status
