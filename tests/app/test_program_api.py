"""The endpoints for programs, asked by a real client of a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, AuthenticationError

from app.accounts import add_user
from caiseg import CAISegPredictor, Click, Label, load_volume, replay_clicks
from tests.browser import ServerProcess, start_app
from tests.caiseg.scan_files import dicom_slice, write_series
from tests.networks import write_scan, write_small_checkpoint

pytestmark = pytest.mark.slow

USER, PASSWORD = "ann", "correct horse"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Path:
    (folder / "checkpoints").mkdir()
    return write_small_checkpoint(folder / "checkpoints" / "tiny.safetensors")


@pytest.fixture(scope="module")
def scan(folder: Path) -> Path:
    return write_scan(folder / "scan.nii.gz")


@pytest.fixture(scope="module")
def server(folder: Path, checkpoint: Path) -> Iterator[ServerProcess]:
    """With accounts, so that every test is one of these too."""
    auth = folder / "users"
    add_user(auth, USER, PASSWORD)
    with start_app(checkpoint.parent, "--device", "cpu", "--auth", str(auth)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Client:
    return a_client(server)


def a_client(server: ServerProcess) -> Client:
    return Client(server.url, auth=(USER, PASSWORD), verbose=False)


def test_a_program_that_has_not_logged_in_gets_nothing(server: ServerProcess) -> None:
    with pytest.raises(AuthenticationError):
        Client(server.url, verbose=False)


def test_the_example_writes_the_mask_that_the_library_gives(
    repository: Path, server: ServerProcess, scan: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mask.nii.gz"
    command = [sys.executable, "examples/annotate.py", server.url, scan, out]
    answer = subprocess.run(
        [*map(str, command), "10,20,5,fg", "30,12,7,bg"],
        capture_output=True,
        text=True,
        cwd=repository,
        check=False,
        env={**os.environ, "CAISEG_USER": USER, "CAISEG_PASSWORD": PASSWORD},
    )
    assert answer.returncode == 0, answer.stderr
    assert "2 clicks, model tiny" in answer.stdout
    volume, predictor = load_volume(scan), CAISegPredictor.from_checkpoint(checkpoint)
    clicks = [Click((10, 20, 5), Label.FOREGROUND), Click((30, 12, 7), Label.BACKGROUND)]
    *_, expected = replay_clicks(predictor, predictor.encode(volume), clicks)
    saved = nib.load(out)
    np.testing.assert_array_equal(saved.affine, nib.load(scan).affine)
    np.testing.assert_array_equal(volume.from_native(np.asarray(saved.dataobj)) > 0, expected.mask)


def test_the_script_in_the_readme_writes_the_mask_that_the_library_gives(
    repository: Path, server: ServerProcess, scan: Path, checkpoint: Path, tmp_path: Path
) -> None:
    section = (repository / "README.md").read_text("utf-8").split("## From another program")[1]
    script = section.split("```python\n")[1].split("```")[0]
    address, voxel = '"http://127.0.0.1:7860"', "40, 52, 17"
    assert address in script
    assert voxel in script
    here = f"{server.url!r}, auth=({USER!r}, {PASSWORD!r})"
    script = script.replace(address, here).replace(voxel, "10, 20, 5")
    shutil.copy(scan, tmp_path / "scan.nii.gz")
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.rstrip().endswith(" mL")
    volume, predictor = load_volume(scan), CAISegPredictor.from_checkpoint(checkpoint)
    click = Click((10, 20, 5), Label.FOREGROUND)
    *_, expected = replay_clicks(predictor, predictor.encode(volume), [click])
    saved = np.asarray(nib.load(tmp_path / "mask.nii.gz").dataobj)
    np.testing.assert_array_equal(volume.from_native(saved) > 0, expected.mask)


def test_undo_takes_back_a_click_and_the_result_says_so(client: Client, scan: Path) -> None:
    first = client.predict(handle_file(str(scan)), api_name="/load")
    assert first["shape"] == [40, 48, 12]
    client.predict(10, 20, 5, "fg", api_name="/click")
    clicked = client.predict(api_name="/result")
    assert clicked["clicks"] == [{"voxel": [10, 20, 5], "label": "fg"}]
    assert clicked["objects"][0]["clicks"] == 1
    assert client.predict(api_name="/undo") == first


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("masks", ".zip"), ("csv", ".csv"), ("session", ".json"), ("ply", ".ply")],
)
def test_every_kind_of_file_can_be_downloaded(
    client: Client, scan: Path, kind: str, suffix: str
) -> None:
    client.predict(handle_file(str(scan)), api_name="/load")
    client.predict(10, 20, 5, "fg", api_name="/click")
    path = Path(client.predict(kind, api_name="/download"))
    assert path.suffix == suffix
    assert path.stat().st_size > 0
    if suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["scan_1_Lesion-1.nii.gz"]


def test_what_cannot_be_done_is_said_in_a_sentence(
    server: ServerProcess, scan: Path, tmp_path: Path
) -> None:
    newcomer = a_client(server)
    with pytest.raises(AppError, match="call load first"):
        newcomer.predict(api_name="/result")
    newcomer.predict(handle_file(str(scan)), api_name="/load")
    with pytest.raises(AppError, match="outside the scan"):
        newcomer.predict(900, 0, 0, "fg", api_name="/click")
    with pytest.raises(AppError, match="no model named"):
        newcomer.predict(handle_file(str(scan)), "huge", api_name="/load")
    both = write_series(
        tmp_path / "two.zip",
        [dicom_slice(0), dicom_slice(1, SeriesInstanceUID="5.6.7", SOPInstanceUID="9.9")],
    )
    with pytest.raises(AppError, match=r"series=5\.6\.7"):
        newcomer.predict(handle_file(str(both)), api_name="/load")


def test_two_programs_do_not_see_each_others_scans(
    server: ServerProcess, client: Client, scan: Path
) -> None:
    client.predict(handle_file(str(scan)), api_name="/load")
    with pytest.raises(AppError):
        a_client(server).predict(api_name="/result")


def test_the_endpoints_are_typed_and_documented(client: Client) -> None:
    described = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(described) == {"/load", "/click", "/undo", "/result", "/download"}
    parameters = {p["parameter_name"]: p for p in described["/click"]["parameters"]}
    assert parameters["i"]["type"] == {"type": "integer"}
    assert parameters["label"]["type"] == {"enum": ["fg", "bg"]}
    assert parameters["label"]["parameter_default"] == "fg"
    assert "Place a click" in described["/click"]["description"]
