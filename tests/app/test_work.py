"""Maps, choices, pairs of files and sessions on the server, without a browser."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from app.file_owners import FileOwners
from app.messages import PageMessage
from app.model_cards import model_card
from app.models import ModelShelf
from app.store import OpenScan, SessionKey, SessionStore
from app.uploads import Uploads
from app.work import Work
from caiseg import InvalidInput, read_checkpoint_info
from tests.app.stand_in import StandInShelf, said, work_with, write_scan
from tests.networks import write_small_checkpoint

KEY = SessionKey("", "page")


@pytest.fixture
def store() -> SessionStore:
    return SessionStore(1 << 30, idle_seconds=60, forget_seconds=600)


@pytest.fixture
def work(
    shelf: StandInShelf, store: SessionStore, cache: Path, owners: FileOwners, tmp_path: Path
) -> Work:
    return work_with(shelf, store, Uploads(cache, tmp_path / "demo.nii.gz", owners))


@pytest.fixture
def upload(blob: Path, cache: Path, owners: FileOwners) -> dict[str, Any]:
    (cache / "upload").mkdir()
    path = blob.rename(cache / "upload" / blob.name)
    owners.received(path, KEY.user)
    return {"kind": "upload", "file": {"path": str(path)}}


def opened(work: Work, request: dict[str, Any], model: str = "small") -> dict[str, Any]:
    message = PageMessage.parse({"model": model, "request": request})
    return said(work.open(message, KEY))


def clicked(work: Work, scan: str, *voxels: tuple[int, int, int]) -> dict[str, Any]:
    actions = [{"do": "click", "voxel": list(voxel), "label": "fg"} for voxel in voxels]
    return said(work.act(PageMessage.parse({"scan": scan, "actions": actions}), KEY))


def present(store: SessionStore) -> OpenScan:
    scan = store.get(KEY)
    assert scan is not None
    return scan


def test_a_session_is_done_again_exactly_and_the_page_goes_on(
    work: Work, store: SessionStore, upload: dict[str, Any]
) -> None:
    scan = opened(work, upload)["server_scan"]["id"]
    answer = clicked(work, scan, (1, 1, 1), (20, 20, 5))["server_answer"]
    labels = present(store).session.scene.labels
    again = opened(work, {**upload, "session": answer["session"]})
    assert again["server_answer"]["clicks"] == answer["clicks"]
    assert again["server_answer"]["applied"] == 0
    np.testing.assert_array_equal(present(store).session.scene.labels, labels)
    new = again["server_scan"]["id"]
    assert len(clicked(work, new, (5, 5, 5))["server_answer"]["clicks"]) == 3


def test_a_session_of_the_demo_scan_is_done_again_too(
    work: Work, store: SessionStore, blob: Path, tmp_path: Path
) -> None:
    blob.rename(tmp_path / "demo.nii.gz")
    scan = opened(work, {"kind": "demo"})["server_scan"]["id"]
    answer = clicked(work, scan, (1, 1, 1))["server_answer"]
    store.drop(KEY)
    again = opened(work, {"kind": "demo", "session": answer["session"]})
    assert again["server_answer"]["clicks"] == answer["clicks"]


def test_a_session_of_another_model_brings_its_model(
    work: Work, store: SessionStore, upload: dict[str, Any], shelf: StandInShelf
) -> None:
    scan = opened(work, upload, model="large")["server_scan"]["id"]
    answer = clicked(work, scan, (1, 1, 1))["server_answer"]
    labels = present(store).session.scene.labels
    opened(work, upload)
    encoded = len(shelf.large.encoded)
    resumed = opened(work, {"kind": "session", "session": answer["session"]})["server_answer"]
    assert resumed["model"] == "large"
    assert len(shelf.large.encoded) == encoded + 1
    np.testing.assert_array_equal(present(store).session.scene.labels, labels)


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [
        ("scan", {"sha256": "0" * 64, "shape": [1, 1, 1]}, "another scan"),
        ("checkpoint", {"name": "small", "sha256": "0" * 64}, "checkpoint small"),
        ("checkpoint", {"name": "gone", "sha256": "0" * 64}, "no model named"),
        ("version", 9, "update the program"),
    ],
)
def test_a_session_that_does_not_fit_changes_nothing(
    work: Work,
    store: SessionStore,
    upload: dict[str, Any],
    part: str,
    value: Any,
    sentence: str,
) -> None:
    scan = opened(work, upload)["server_scan"]["id"]
    answer = clicked(work, scan, (1, 1, 1))["server_answer"]
    before = present(store).session
    with pytest.raises(InvalidInput, match=sentence):
        opened(work, {"kind": "session", "session": answer["session"] | {part: value}})
    assert present(store).session is before


def test_a_map_is_served_as_a_file_and_replaced_by_the_next(
    work: Work, store: SessionStore, upload: dict[str, Any]
) -> None:
    scan = opened(work, upload)["server_scan"]["id"]
    clicked(work, scan, (4, 4, 4))
    for _ in range(2):
        found = said(work.chart(PageMessage.parse({"map": "affinity"}), KEY))["server_map"]
    path = Path(found["file"]["path"])
    crop = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
    values = crop.reshape(found["size"], order="F")
    place = np.subtract((4, 4, 4), found["start"])
    assert values[tuple(place)] == values.max() == 255
    assert found["uncertain"] is None
    assert len(list(path.parent.glob("affinity*"))) == 1
    found = said(work.chart(PageMessage.parse({}), KEY))["server_map"]
    assert found["kind"] == "probability"
    assert found["uncertain"]["most"][2] == 5


def test_a_file_of_several_volumes_is_asked_about_and_leaves_nothing(
    work: Work, store: SessionStore, cache: Path, owners: FileOwners
) -> None:
    (cache / "upload").mkdir()
    data = np.zeros((8, 8, 8, 2), np.int16)
    data[..., 1] = 200
    path = write_scan(cache / "upload" / "dynamic.nii.gz", data)
    owners.received(path, KEY.user)
    request = {"kind": "upload", "file": {"path": str(path)}}
    choice = opened(work, request)["server_choice"]
    assert [option["label"] for option in choice["options"]] == ["Volume 1", "Volume 2"]
    assert len(store) == 0
    assert [entry.name for entry in cache.iterdir()] == ["upload"]
    opened(work, request | {"volume": 1})
    scan = present(store)
    assert scan.resident is not None
    assert scan.resident.volume.data.min() == 200


@pytest.mark.parametrize("name", ["../scan.raw", "/etc/passwd", "..", "", "scan.mhd"])
def test_the_voxels_of_a_header_cannot_be_put_elsewhere(
    work: Work, cache: Path, owners: FileOwners, name: str
) -> None:
    (cache / "upload").mkdir()
    image = sitk.GetImageFromArray(np.ones((4, 5, 6), np.int16))
    sitk.WriteImage(image, str(cache / "upload" / "scan.mhd"))
    for part in (cache / "upload").iterdir():
        owners.received(part, KEY.user)
    request = {
        "kind": "upload",
        "file": {"path": str(cache / "upload" / "scan.mhd")},
        "beside": {"path": str(cache / "upload" / "scan.raw"), "name": name},
    }
    with pytest.raises(InvalidInput, match="cannot be the name"):
        opened(work, request)
    assert [entry.name for entry in cache.iterdir()] == ["upload"]


def test_a_checkpoint_that_goes_bad_later_spoils_no_card(tmp_path: Path) -> None:
    path = write_small_checkpoint(tmp_path / "small.safetensors")
    shelf = ModelShelf(tmp_path, "cpu")
    before = shelf.cards
    path.write_bytes(b"no checkpoint")
    assert shelf.cards == before


def test_a_card_says_what_the_checkpoint_says(tmp_path: Path, repository: Path) -> None:
    write_small_checkpoint(tmp_path / "small.safetensors")
    (card,) = ModelShelf(tmp_path, "cpu").cards
    assert (card["name"], card["modality"], card["figures"]) == ("small", "MR", [])
    served = repository / "assets" / "checkpoints" / "brain-flair.safetensors"
    card = model_card("brain-flair", read_checkpoint_info(served))
    assert card["anatomy"] == "brain"
    assert "5 clicks: 0.8" in dict(card["figures"])["Dice after"]
