"""The app as a process: what it says, listens on, and leaves behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from gradio_client import Client, handle_file

from app.accounts import add_user
from tests.browser import ServerProcess, start_app
from tests.networks import write_scan, write_small_checkpoint

pytestmark = pytest.mark.slow

OUTSIDE_ADDRESS = "0.0.0.0"
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    write_small_checkpoint(folder / "tiny.safetensors")
    return folder


def caches(folder: Path) -> list[Path]:
    return list(folder.glob("caiseg-*/files"))


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


@contextmanager
def logged_in(server: ServerProcess, user: str, password: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as client:
        client.post("login", data={"username": user, "password": password})
        yield client


def test_a_server_with_accounts_shows_nothing_before_the_login_and_nobody_anothers_files(
    checkpoints: Path, tmp_path: Path
) -> None:
    auth = tmp_path / "users"
    for user in ("ann", "bob"):
        add_user(auth, user, PASSWORD)
    options = ("--host", OUTSIDE_ADDRESS, "--auth", str(auth))
    with start_app(checkpoints, *options, environment={"TMPDIR": str(tmp_path)}) as server:
        (cache,) = caches(tmp_path)
        patience = {"timeout": 120}
        ann = Client(server.url, auth=("ann", PASSWORD), verbose=False, httpx_kwargs=patience)
        ann.predict(handle_file(str(write_scan(tmp_path / "scan.nii.gz"))), api_name="/load")
        (voxels,) = cache.glob("*/voxels.gz")
        (uploaded,) = set(cache.glob("*/scan.nii.gz")) - {voxels.parent / "scan.nii.gz"}
        detour = f"{cache}/nowhere/../{voxels.parent.name}/voxels.gz"
        for user, password, config, own in (
            ("ann", "wrong horse", 401, 404),
            ("ann", PASSWORD, 200, 200),
            ("bob", PASSWORD, 200, 404),
        ):
            with logged_in(server, user, password) as client:
                assert client.get("config").status_code == config
                assert client.get(f"gradio_api/file={voxels}").status_code == own
                for way in (f"file/{voxels}", f"file={detour}", f"file={uploaded}"):
                    status = client.get(f"gradio_api/{way}").status_code
                    assert own == 200 or status in (401, 404), way
        ann.close()
