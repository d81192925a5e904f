"""The server's side of a conversation with the page, without a browser."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from app import replies
from app.file_owners import FileOwners
from app.handlers import Handlers
from app.store import SessionKey, SessionStore
from caiseg import load_volume
from caiseg.annotation.objects import Scene
from caiseg.annotation.session import AnnotationSession
from tests.app.stand_in import StandInShelf, request, said

ANN, BOB = "ann", "bob"


def stages(updates: Iterable[gr.HTML]) -> list[str]:
    works = (replies.documents(update).get("server_work", {}) for update in updates)
    return [work["stage"] for work in works if work.get("state") == "busy"]


def opening(path: Path, model: str = "small") -> dict[str, Any]:
    return {"model": model, "request": {"kind": "upload", "file": {"path": str(path)}}}


@pytest.fixture
def upload(blob: Path, cache: Path, owners: FileOwners) -> Path:
    folder = cache / "upload"
    folder.mkdir()
    owners.received(folder / blob.name, "")
    return blob.rename(folder / blob.name)


def click(*voxel: int) -> dict[str, Any]:
    return {"do": "click", "voxel": list(voxel), "label": "fg"}


def test_opening_says_what_is_being_done(handlers: Handlers, upload: Path) -> None:
    updates = list(handlers.open(opening(upload), request(ANN)))
    told = list(dict.fromkeys(stages(updates)))
    assert told == ["Reading the scan", "Encoding the scan", "First mask"]
    shown, answered = (
        [name in update.constructor_args for update in updates].index(True)
        for name in ("server_scan", "server_answer")
    )
    assert shown < answered, "the scan is shown before the mask is there"


def test_a_number_that_json_does_not_know_is_unknown_to_the_page() -> None:
    update = replies.preview({"id": "it", "slope": math.inf, "windows": [{"low": math.nan}]})
    assert replies.documents(update) == {
        "server_scan": {"id": "it", "slope": None, "windows": [{"low": None}]}
    }


def test_who_hears_only_the_last_of_several_updates_hears_everything(
    handlers: Handlers, upload: Path
) -> None:
    updates = list(handlers.open(opening(upload), request(ANN)))
    assert said(updates[-1:]) == said(updates)


def test_what_is_said_in_the_same_words_as_before_is_said_anew(handlers: Handlers) -> None:
    first, second = (said(handlers.open(opening(Path("gone")), request(ANN))) for _ in range(2))
    assert first["server_work"]["sentence"] == second["server_work"]["sentence"]
    assert first != second, "Gradio shows the page only what has changed"


def test_an_action_that_arrives_twice_counts_once(
    handlers: Handlers, upload: Path, store: SessionStore
) -> None:
    scan = said(handlers.open(opening(upload), request(ANN)))["server_scan"]
    actions = [click(1, 1, 1), click(2, 2, 2)]
    for _ in range(2):
        answer = said(handlers.act({"scan": scan["id"], "actions": actions}, request(ANN)))
        assert answer["server_answer"]["applied"] == 2
        assert len(answer["server_answer"]["clicks"]) == 2


def test_a_click_on_a_scan_that_was_replaced_is_ignored(
    handlers: Handlers, upload: Path, store: SessionStore
) -> None:
    old = said(handlers.open(opening(upload), request(ANN)))["server_scan"]
    said(handlers.open(opening(upload), request(ANN)))
    told = said(handlers.act({"scan": old["id"], "actions": [click(1, 1, 1)]}, request(ANN)))
    assert told == {}
    scan = store.get(SessionKey("", ANN))
    assert scan is not None
    assert scan.session.current.clicks == ()


def test_a_click_outside_the_scan_gets_a_sentence_and_the_others_count(
    handlers: Handlers, upload: Path
) -> None:
    scan = said(handlers.open(opening(upload), request(ANN)))["server_scan"]
    actions = [click(1, 1, 1), click(99, 1, 1), click(2, 2, 2)]
    told = said(handlers.act({"scan": scan["id"], "actions": actions}, request(ANN)))
    assert told["server_work"]["state"] == "refused"
    assert "outside the scan" in told["server_work"]["sentence"]
    assert [entry["voxel"] for entry in told["server_answer"]["clicks"]] == [[1, 1, 1], [2, 2, 2]]
    assert told["server_answer"]["applied"] == 3


def test_an_evicted_scan_goes_on_where_it_was(
    handlers: Handlers, upload: Path, store: SessionStore, shelf: StandInShelf
) -> None:
    """The store holds one byte, so each person's scan evicts the other's."""
    scan = said(handlers.open(opening(upload), request(ANN)))["server_scan"]
    one = [click(1, 1, 1)]
    before = said(handlers.act({"scan": scan["id"], "actions": one}, request(ANN)))
    said(handlers.open(opening(upload), request(BOB)))
    evicted = store.get(SessionKey("", ANN))
    assert evicted is not None
    assert evicted.resident is None
    undo = [*one, {"do": "undo"}, {"do": "redo"}]
    updates = list(handlers.act({"scan": scan["id"], "actions": undo}, request(ANN)))
    assert "Reading the scan again" in stages(updates)
    assert said(updates)["server_answer"]["objects"] == before["server_answer"]["objects"]
    assert evicted.resident is not None


def test_a_scan_survives_the_deletion_of_its_upload(
    handlers: Handlers, upload: Path, owners: FileOwners, store: SessionStore
) -> None:
    scan = said(handlers.open(opening(upload), request(ANN)))["server_scan"]
    other = upload.rename(upload.with_name("other.nii.gz"))
    owners.received(other, "")
    said(handlers.open(opening(other), request(BOB)))
    told = said(handlers.act({"scan": scan["id"], "actions": [click(1, 1, 1)]}, request(ANN)))
    assert told["server_work"]["state"] == "idle"


@pytest.mark.parametrize("path", ["/etc/passwd", "relative.nii", "../../../etc/passwd", ""])
def test_only_uploads_are_opened(handlers: Handlers, store: SessionStore, path: str) -> None:
    told = said(handlers.open(opening(Path(path)), request(ANN)))
    assert told["server_work"]["sentence"] == "The file did not arrive; choose it again."
    assert len(store) == 0


def test_the_files_of_an_open_scan_are_not_opened_by_another(
    handlers: Handlers, upload: Path, owners: FileOwners, store: SessionStore
) -> None:
    owners.received(upload, ANN)
    said(handlers.open(opening(upload), request("page", user=ANN)))
    scan = store.get(SessionKey(ANN, "page"))
    assert scan is not None
    told = said(handlers.open(opening(scan.source.path), request("page", user=BOB)))
    assert told["server_work"]["sentence"] == "The file did not arrive; choose it again."
    assert store.get(SessionKey(BOB, "page")) is None


def test_an_upload_is_opened_for_all_who_have_sent_it_and_nobody_else(
    handlers: Handlers, upload: Path, owners: FileOwners
) -> None:
    def opened_by(user: str) -> bool:
        told = said(handlers.open(opening(upload), request("page", user=user)))
        return "server_answer" in told

    owners.received(upload, ANN)
    assert (opened_by(ANN), opened_by(BOB)) == (True, False)
    owners.received(upload, BOB)
    assert (opened_by(ANN), opened_by(BOB)) == (True, True)


def test_neither_voxels_beside_a_header_nor_a_mask_are_taken_from_another(
    handlers: Handlers, upload: Path, owners: FileOwners
) -> None:
    owners.received(upload, BOB)
    secret = upload.with_name("secret.nii.gz")
    shutil.copy(upload, secret)
    owners.received(secret, ANN)
    pair = opening(upload)
    pair["request"]["beside"] = {"path": str(secret), "name": "scan.raw"}
    told = said(handlers.open(pair, request("page", user=BOB)))
    assert told["server_work"]["sentence"] == "The file did not arrive; choose it again."
    scan = said(handlers.open(opening(upload), request("page", user=BOB)))["server_scan"]
    start = {"do": "start", "file": {"path": str(secret)}}
    asked = {"scan": scan["id"], "actions": [start]}
    told = said(handlers.act(asked, request("page", user=BOB)))
    assert told["server_work"]["sentence"] == "The file did not arrive; choose it again."


def test_a_link_out_of_the_cache_is_not_opened(
    handlers: Handlers, cache: Path, blob: Path, store: SessionStore
) -> None:
    (cache / "link.nii.gz").symlink_to(blob)
    told = said(handlers.open(opening(cache / "link.nii.gz"), request(ANN)))
    assert told["server_work"]["state"] == "refused"
    assert len(store) == 0


def test_a_refused_file_leaves_nothing_behind(
    handlers: Handlers, cache: Path, owners: FileOwners, store: SessionStore
) -> None:
    wrong = cache / "wrong.nii.gz"
    wrong.write_bytes(b"no scan")
    owners.received(wrong, "")
    before = sorted(cache.iterdir())
    told = said(handlers.open(opening(wrong), request(ANN)))
    assert told["server_work"]["state"] == "refused"
    assert sorted(cache.iterdir()) == before


@pytest.mark.parametrize(
    "value",
    [
        "nonsense",
        '"nonsense"',
        '{"scan": 7}',
        {"request": {"kind": "theft"}},
        {"scan": 7},
        {"actions": "all"},
        {"request": None},
    ],
    ids=str,
)
def test_a_message_that_no_page_sends_gets_a_sentence(handlers: Handlers, value: Any) -> None:
    told = said(handlers.open(value, request(ANN)))
    assert told["server_work"]["state"] == "refused"


@pytest.mark.parametrize(
    "action",
    [
        7,
        {},
        {"do": "format"},
        {"do": "click"},
        {"do": "click", "voxel": [1, 2], "label": "fg"},
        {"do": "click", "voxel": [1, 2, 3], "label": "maybe"},
        {"do": "delete", "index": "first"},
        {"do": "delete", "index": 5},
        {"do": "start", "file": {"path": "/etc/passwd"}},
        {"do": "start", "file": {"path": "../../../etc/passwd"}},
    ],
    ids=str,
)
def test_an_action_that_makes_no_sense_changes_nothing(
    handlers: Handlers, upload: Path, store: SessionStore, action: Any
) -> None:
    scan = said(handlers.open(opening(upload), request(ANN)))["server_scan"]
    written = json.dumps({"scan": scan["id"], "actions": [action]})
    told = said(handlers.act(written, request(ANN)))
    assert told["server_work"]["state"] == "refused"
    present = store.get(SessionKey("", ANN))
    assert present is not None
    assert present.session.current.clicks == ()
    assert not present.session.can_undo


def test_a_failure_of_the_network_is_said_and_logged_and_the_next_click_counts(
    handlers: Handlers,
    upload: Path,
    shelf: StandInShelf,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scan = said(handlers.open(opening(upload), request(ANN)))["server_scan"]
    with monkeypatch.context() as broken:
        broken.setattr(shelf.small, "segment", None)
        told = said(handlers.act({"scan": scan["id"], "actions": [click(1, 1, 1)]}, request(ANN)))
    assert "went wrong" in told["server_work"]["sentence"]
    assert told["server_answer"]["applied"] == 1
    assert "TypeError" in caplog.text
    actions = [click(1, 1, 1), click(2, 2, 2)]
    told = said(handlers.act({"scan": scan["id"], "actions": actions}, request(ANN)))
    assert told["server_work"]["state"] == "idle"
    assert [entry["voxel"] for entry in told["server_answer"]["clicks"]] == [[2, 2, 2]]


def test_the_log_says_where_a_fault_lies_and_not_whose_scan_it_was(
    handlers: Handlers,
    upload: Path,
    shelf: StandInShelf,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    patient = "/cache/Jane_Doe_1970.nii.gz"

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", patient)

    monkeypatch.setattr(shelf.small, "encode", fail)
    told = said(handlers.open(opening(upload), request(ANN)))
    assert "went wrong" in told["server_work"]["sentence"]
    assert "OSError" in caplog.text
    assert "network_work.py" in caplog.text
    assert "Jane" not in caplog.text


def test_measurements_of_a_mask_do_not_bear_the_number_of_a_newer_one(
    handlers: Handlers, upload: Path, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(handlers.open(opening(upload), request(ANN)))
    scan = store.get(SessionKey("", ANN))
    assert scan is not None
    scene = scan.session.scene

    def while_a_click_is_answered(session: AnnotationSession) -> Scene:
        assert scan is not None
        scan.answers = 2
        return scene

    monkeypatch.setattr(AnnotationSession, "scene", property(while_a_click_is_answered))
    assert said(handlers.measure({}, request(ANN)))["server_details"]["seq"] == 1


def test_the_mask_is_saved_from_an_evicted_scan_too(
    handlers: Handlers, upload: Path, store: SessionStore
) -> None:
    said(handlers.open(opening(upload), request(ANN)))
    scan = store.get(SessionKey("", ANN))
    assert scan is not None
    scan.resident = None
    told = said(handlers.save({}, request(ANN)))["server_download"]
    saved = load_volume(told["file"]["path"])
    np.testing.assert_array_equal(saved.data > 0, scan.session.current.mask.unpack())


def test_a_page_that_knows_anothers_name_sees_nothing_of_it(
    handlers: Handlers, upload: Path, owners: FileOwners
) -> None:
    owners.received(upload, ANN)
    scan = said(handlers.open(opening(upload), request("page", user=ANN)))["server_scan"]
    thief = request("page", user=BOB)
    message = {"scan": scan["id"], "actions": [click(1, 1, 1)]}
    assert "no scan open" in said(handlers.act(message, thief))["server_work"]["sentence"]
    assert "no scan open" in said(handlers.save(message, thief))["server_work"]["sentence"]
    assert said(handlers.measure(message, thief)) == {}
    handlers.close(thief)
    assert "server_download" in said(handlers.save(message, request("page", user=ANN)))
