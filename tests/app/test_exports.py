"""What can be taken away, as files."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.exports import FileKind, export
from caiseg import InvalidInput, Volume, load_volume
from caiseg.annotation.actions import Action, NewObject, RenameObject, StartFrom
from caiseg.annotation.packed_mask import PackedMask
from caiseg.annotation.session import AnnotationSession
from caiseg.annotation.session_file import CheckpointReference, ScanReference, SessionFile
from tests.app.stand_in import StandInPredictor, write_scan

REFERENCE = CheckpointReference(name="small", sha256="a" * 64)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    data = np.random.default_rng(0).integers(0, 90, (24, 30, 10)).astype(np.int16)
    data[8:14, 10:18, 3:6] += 200
    return load_volume(write_scan(tmp_path / "Doe.nii.gz", data, (1.0, 1.2, 3.0)))


@pytest.fixture
def session(volume: Volume) -> AnnotationSession:
    network = StandInPredictor()
    encoded = network.encode(volume)
    session = AnnotationSession(
        lambda clicks, previous: network.segment(encoded, clicks, previous).mask, volume.spacing
    )
    second = np.zeros(volume.shape, bool)
    second[1:4, 2, 8] = True
    actions: list[Action] = [
        RenameObject(1, "=Node"),
        NewObject(),
        StartFrom(PackedMask.pack(second)),
    ]
    for action in actions:
        session.apply(action, lambda clicks, previous: second)
    return session


def exported(kind: FileKind, session: AnnotationSession, volume: Volume, folder: Path) -> Path:
    document = SessionFile.of(session, ScanReference.of(volume), REFERENCE)
    return export(kind, session.scene, volume, "Doe", document, folder)


def test_a_row_of_measurements_for_each_object(
    session: AnnotationSession, volume: Volume, tmp_path: Path
) -> None:
    path = exported("csv", session, volume, tmp_path)
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    inside = volume.data > 100
    assert float(first["volume_ml"]) == pytest.approx(inside.sum() * 3.6 / 1000)
    assert float(first["mean_intensity"]) == pytest.approx(volume.data[inside].mean(), rel=1e-4)
    assert float(first["longest_axial_diameter_mm"]) > float(first["perpendicular_diameter_mm"])
    assert first["components"] == "1"
    assert first["clicks"] == "0"
    assert first["object"] == "'=Node", "a spreadsheet must not take it for a formula"
    assert second["object"] == "Lesion 2"
    assert second["diameter_slice_k"] == "8"
    assert float(second["longest_axial_diameter_mm"]) == pytest.approx(3)
    assert first["scan_sha256"] == volume.content_hash
    assert first["checkpoint"] == "small"
    assert "Doe" not in path.read_text()


def test_the_surfaces_of_several_objects_come_in_one_archive(
    session: AnnotationSession, volume: Volume, tmp_path: Path
) -> None:
    path = exported("stl", session, volume, tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["Doe_1_Node.stl", "Doe_2_Lesion-2.stl"]


def test_the_surface_of_one_object_is_a_file_of_its_own(
    session: AnnotationSession, volume: Volume, tmp_path: Path
) -> None:
    empty = np.zeros(volume.shape, bool)
    session.apply(StartFrom(PackedMask.pack(empty)), lambda clicks, previous: empty)
    assert exported("ply", session, volume, tmp_path).name == "Doe_1_Node.ply"


def test_nothing_has_no_surface(volume: Volume, tmp_path: Path) -> None:
    empty = np.zeros(volume.shape, bool)
    session = AnnotationSession(lambda clicks, previous: empty, volume.spacing)
    with pytest.raises(InvalidInput, match="empty"):
        exported("stl", session, volume, tmp_path)


def test_the_session_is_a_file_that_can_be_read_again(
    session: AnnotationSession, volume: Volume, tmp_path: Path
) -> None:
    read = SessionFile.read(exported("session", session, volume, tmp_path))
    assert read.log == list(session.log)
    assert read.checkpoint == REFERENCE
