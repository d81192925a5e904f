"""A session file gives the same masks again, for this scan and checkpoint only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from caiseg import CAISegPredictor, Click, InvalidInput, Label, Volume, load_volume
from caiseg.annotation.actions import (
    Accept,
    Action,
    Add,
    Delete,
    Draw,
    NewObject,
    RenameObject,
    Undo,
)
from caiseg.annotation.brush import Stroke
from caiseg.annotation.session import AnnotationSession
from caiseg.annotation.session_file import (
    CheckpointReference,
    ScanReference,
    SessionFile,
    answering,
    replay_session,
)
from tests.networks import write_scan, write_small_checkpoint

ACTIONS: list[Action] = [
    Add((Click((10, 20, 5), Label.FOREGROUND),)),
    Add((Click((30, 12, 7), Label.BACKGROUND), Click((12, 22, 5), Label.FOREGROUND))),
    Draw(Stroke(False, ((10, 20, 5), (20, 22, 5)), 6.0)),
    Add((Click((5, 40, 2), Label.FOREGROUND),)),
    Undo(),
    Delete(1),
    Accept(),
    RenameObject(1, "Node left"),
    Add((Click((31, 33, 9), Label.FOREGROUND),)),
    NewObject("Drawn", "#123456"),
    Draw(Stroke(True, ((20, 40, 3), (25, 44, 3)), 5.0)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("session")


@pytest.fixture(scope="module")
def scan(folder: Path) -> Path:
    return write_scan(folder / "Doe_John.nii.gz")


@pytest.fixture(scope="module")
def volume(scan: Path) -> Volume:
    return load_volume(scan)


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Path:
    return write_small_checkpoint(folder / "small.safetensors")


@pytest.fixture(scope="module")
def predictor(checkpoint: Path) -> CAISegPredictor:
    return CAISegPredictor.from_checkpoint(checkpoint)


@pytest.fixture(scope="module")
def session(volume: Volume, predictor: CAISegPredictor) -> AnnotationSession:
    segment = answering(predictor, predictor.encode(volume))
    return AnnotationSession.from_log(ACTIONS, segment, volume.spacing)


@pytest.fixture
def written(
    session: AnnotationSession, volume: Volume, predictor: CAISegPredictor, tmp_path: Path
) -> Path:
    reference = CheckpointReference(name="small", sha256=predictor.checkpoint_hash)
    path = tmp_path / "session.json"
    SessionFile.of(
        session, ScanReference.of(volume), reference, {"window": "Auto", "opacity": 0.4}
    ).write(path)
    return path


def changed(path: Path, **fields: Any) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        SessionFile.read(path)
    return str(caught.value)


def test_replaying_gives_the_same_objects_and_masks(
    written: Path, session: AnnotationSession, volume: Volume, predictor: CAISegPredictor
) -> None:
    assert len(np.unique(session.scene.labels)) == 4, "three objects with voxels of their own"
    again = replay_session(SessionFile.read(written), volume, predictor)
    np.testing.assert_array_equal(again.scene.labels, session.scene.labels)
    assert [item.name for item in again.scene.objects] == ["Node left", "Lesion 2", "Drawn"]
    assert again.log == session.log


def test_undo_goes_on_after_a_replay(
    written: Path, session: AnnotationSession, volume: Volume, predictor: CAISegPredictor
) -> None:
    again = replay_session(SessionFile.read(written), volume, predictor)
    segment = answering(predictor, predictor.encode(volume))
    for _ in range(3):
        again.apply(Undo(), segment)
    expected = AnnotationSession.from_log([*ACTIONS, *[Undo()] * 3], segment, volume.spacing)
    np.testing.assert_array_equal(again.scene.labels, expected.scene.labels)


def test_the_terminal_replays_to_the_same_mask_in_the_scans_geometry(
    repository: Path, written: Path, scan: Path, checkpoint: Path, session: AnnotationSession,
    volume: Volume, tmp_path: Path,
) -> None:  # fmt: skip
    out = tmp_path / "mask.nii.gz"
    command = [sys.executable, "-m", "caiseg", "replay", written, "--scan", scan]
    answer = subprocess.run(
        [*map(str, command), "--checkpoint", checkpoint, "--device", "cpu", "--out", out],
        capture_output=True,
        text=True,
        cwd=repository,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "1 Node left" in answer.stdout
    saved = nib.load(out)
    np.testing.assert_array_equal(saved.affine, nib.load(scan).affine)
    labels = volume.from_native(np.asarray(saved.dataobj))
    np.testing.assert_array_equal(labels, session.scene.labels)


def test_a_session_file_holds_neither_the_scans_name_nor_its_voxels(
    written: Path, volume: Volume
) -> None:
    text = written.read_text()
    assert "Doe" not in text
    assert len(text) < 4000
    assert json.loads(text)["scan"] == {"sha256": volume.content_hash, "shape": [40, 48, 12]}


def test_the_actions_stand_in_time_order_and_can_be_read(written: Path) -> None:
    actions = json.loads(written.read_text())["actions"]
    assert [action["do"] for action in actions] == [
        "click", "clicks", "erase", "click", "undo", "delete", "accept", "rename", "click", "new",
        "paint",
    ]  # fmt: skip
    assert actions[0] == {"do": "click", "voxel": [10, 20, 5], "label": "fg"}


def test_another_scan_is_refused(written: Path, predictor: CAISegPredictor, tmp_path: Path) -> None:
    other = load_volume(write_scan(tmp_path / "other.nii.gz", seed=1))
    with pytest.raises(InvalidInput, match="another scan"):
        replay_session(SessionFile.read(written), other, predictor)


def test_another_checkpoint_is_refused(written: Path, volume: Volume, tmp_path: Path) -> None:
    other = CAISegPredictor.from_checkpoint(
        write_small_checkpoint(tmp_path / "other.safetensors", seed=1)
    )
    with pytest.raises(InvalidInput, match="checkpoint small"):
        replay_session(SessionFile.read(written), volume, other)


def test_a_file_of_a_later_version_says_so(written: Path) -> None:
    assert "update the program" in refusal(changed(written, version=2))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"format": "caiseg-session"}']
)
def test_what_is_no_session_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.json"
    path.write_bytes(content)
    assert "no session" in refusal(path)


def test_a_missing_file_gets_a_sentence(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    "action",
    [{"do": "format"}, {"do": "click", "voxel": [900, 0, 0], "label": "fg"}, {"do": "delete"}],
    ids=str,
)
def test_an_action_that_cannot_be_done_is_refused(
    written: Path, action: dict[str, Any], volume: Volume, predictor: CAISegPredictor
) -> None:
    session = SessionFile.read(changed(written, actions=[action]))
    with pytest.raises(InvalidInput):
        replay_session(session, volume, predictor)
