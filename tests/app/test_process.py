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
from app.request_limits import MESSAGE_BYTES
from tests.browser import ServerProcess, start_app
from tests.caiseg.scan_files import dicom_bytes, dicom_slice, write_zip
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
        rebound = httpx.get(f"{server.url}config", headers={"Host": "evil.example"}, timeout=60)
        assert rebound.status_code == 403
        (cache,) = caches(tmp_path)
        assert cache.stat().st_mode & 0o077 == 0, "nobody else may read it"
    assert server.process.returncode == 0
    assert caches(tmp_path) == []


def test_what_a_killed_server_has_left_goes_when_the_next_one_starts(
    checkpoints: Path, tmp_path: Path
) -> None:
    environment = {"TMPDIR": str(tmp_path)}
    scan = write_scan(tmp_path / "scan.nii.gz")
    with start_app(checkpoints, environment=environment) as killed:
        with httpx.Client(base_url=killed.url, timeout=60) as client:
            path = upload(client, scan)
        killed.process.kill()
        killed.process.wait()
    (left,) = caches(tmp_path)
    assert path.is_relative_to(left)
    assert path.is_file()
    with start_app(checkpoints, environment=environment):
        (cache,) = caches(tmp_path)
        assert cache != left
    assert list(tmp_path.glob("caiseg-*")) == []


def test_the_log_holds_nothing_of_a_patient(checkpoints: Path, tmp_path: Path) -> None:
    """Not even what is wrong with a value of a DICOM header."""
    uid, charset = "1.2.3.4.5.6", "ISO_IR 100"
    image = dicom_bytes(dicom_slice(0, SeriesInstanceUID=uid, SpecificCharacterSet=charset))
    for valid, invalid in ((uid, "JaneDoe1970"), (charset, "JANE^DOE^1")):
        assert image.count(valid.encode()) == 1
        image = image.replace(valid.encode(), invalid.encode())
    archive = write_zip(tmp_path / "JaneDoe.zip", [("JaneDoe.dcm", image)])
    with start_app(checkpoints) as server, httpx.Client(base_url=server.url, timeout=120) as client:
        path = upload(client, archive)
        assert '"shape": [6, 1, 4]' in load(client, path)
    assert "jane" not in "\n".join(server.log).lower()


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


def upload(client: httpx.Client, path: Path) -> Path:
    """Send a file; where the server keeps it."""
    sent = {"files": (path.name, path.read_bytes())}
    (kept,) = client.post("gradio_api/upload", files=sent).json()
    return Path(kept)


def load(client: httpx.Client, path: Path) -> str:
    """Ask for a scan as a program does; what the server has to say about it."""
    file = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
    asked = client.post("gradio_api/call/load", json={"data": [file, "", "", -1]})
    return client.get(f"gradio_api/call/load/{asked.json()['event_id']}").text


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
        scan = write_scan(tmp_path / "scan.nii.gz")
        ann.predict(handle_file(str(scan)), api_name="/load")
        (voxels,) = cache.glob("*/voxels.gz")
        (uploaded,) = set(cache.glob("*/scan.nii.gz")) - {voxels.parent / "scan.nii.gz"}
        detour = f"{cache}/nowhere/../{voxels.parent.name}/voxels.gz"
        for user, password, config, own in (
            ("ann", "wrong horse", 401, 404),
            ("ann", PASSWORD, 200, 200),
            ("bob", PASSWORD, 200, 404),
        ):
            with logged_in(server, user, password) as client:
                assert client.get("config", headers={"Host": "any"}).status_code == config
                message = client.post("gradio_api/queue/join", content=bytes(MESSAGE_BYTES + 1))
                assert message.status_code == (413 if config == 200 else 401)
                assert client.get(f"gradio_api/file={voxels}").status_code == own
                for way in (f"file/{voxels}", f"file={detour}", f"file={uploaded}"):
                    status = client.get(f"gradio_api/{way}").status_code
                    assert own == 200 or status in (401, 404), way
                if own == 200:
                    served = client.get(f"gradio_api/file={voxels}")
                    assert served.headers["cache-control"] == "no-store"
        with logged_in(server, "bob", PASSWORD) as client:
            for path in (uploaded, voxels.parent / "scan.nii.gz", voxels):
                assert "did not arrive" in load(client, path)
            assert list(cache.glob("*/voxels.gz")) == [voxels]
            assert upload(client, scan) == uploaded, "the same file has one address"
            assert '"shape": [40, 48, 12]' in load(client, uploaded)
        ann.close()
