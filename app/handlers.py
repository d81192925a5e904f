"""What happens when the page asks for something."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import gradio as gr

from app import replies
from app.background import with_reports
from app.messages import OpenDemo, OpenUpload, PageMessage, SwitchModel
from app.models import ModelShelf
from app.page_actions import FAILED, do_new
from app.saved_masks import save_masks
from app.scan_payload import scan_payload
from app.store import OpenScan, ResidentScan, SessionKey, SessionStore
from caiseg import CAISegPredictor, EncodedScan, InvalidInput, Volume, load_volume
from caiseg.annotation.rounds import Segment
from caiseg.annotation.session import AnnotationSession
from caiseg.synthetic import demo_scan

_log = logging.getLogger(__name__)

Updates = Generator[gr.HTML, None, None]
"""Updates of the viewer, sent to the page one by one."""

_NO_SCAN = "The server has no scan open for this page; it may have been restarted. Open it again."
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".zip")


class Handlers:
    """The server's side of the page's events.

    Every public method takes the viewer's value and Gradio's request. Whatever is wrong is said
    in a sentence on the page; nothing is raised.

    Args:
        models: The checkpoints on offer.
        store: Everybody's open scans.
        cache: Gradio's cache folder: uploads arrive in it, files are served from it.
        demo: Where the built-in scan is kept.
    """

    def __init__(self, models: ModelShelf, store: SessionStore, cache: Path, demo: Path):
        self._models = models
        self._store = store
        self._cache = cache
        self._demo = demo

    def open(self, value: Any, request: gr.Request) -> Updates:
        """Open a scan, or go on with another checkpoint."""
        yield from _spoken(self._open, value, request)

    def act(self, value: Any, request: gr.Request) -> Updates:
        """Answer the actions that have not been answered yet."""
        yield from _spoken(self._act, value, request)

    def measure(self, value: Any, request: gr.Request) -> Updates:
        """Measure the mask on screen and triangulate its surface."""
        yield from _spoken(self._measure, value, request)

    def save(self, value: Any, request: gr.Request) -> Updates:
        """Write the masks on screen in the scan's own geometry."""
        yield from _spoken(self._save, value, request)

    def close(self, request: gr.Request) -> None:
        """Free what a page held that was closed or reloaded."""
        self._store.drop(_key(request))

    def _open(self, message: PageMessage, key: SessionKey) -> Updates:
        with self._store.at_work(key) as present:
            match message.request:
                case OpenUpload(file=file):
                    yield from self._open_file(
                        key, message.model, self._link(self._upload(file.path))
                    )
                case OpenDemo():
                    yield replies.working("Drawing the demo scan")
                    yield from self._open_file(key, message.model, self._link(self._demo_file()))
                case SwitchModel() if present is not None:
                    yield from self._switch_model(present, message.model)
                case _:
                    raise InvalidInput(_NO_SCAN)

    def _open_file(self, key: SessionKey, model: str, source: Path) -> Updates:
        name = _scan_name(source)
        scan_id = secrets.token_urlsafe(9)
        started = time.perf_counter()
        try:
            yield replies.working("Reading the scan")
            volume = load_volume(source)
            yield replies.preview(scan_payload(volume, scan_id, name, source.parent))
            predictor = self._models.predictor(model)
            encoded = yield from _encode(predictor, volume)
            yield replies.working("First mask")
            session = AnnotationSession(_segment(predictor, encoded), volume.spacing)
        except BaseException:
            shutil.rmtree(source.parent, ignore_errors=True)
            raise
        resident = ResidentScan(volume, encoded)
        scan = OpenScan(scan_id, name, source.parent, source, volume.grid, model, session, resident)
        self._store.put(key, scan)
        yield replies.answer(scan, time.perf_counter() - started)

    def _switch_model(self, scan: OpenScan, model: str) -> Updates:
        started = time.perf_counter()
        predictor = self._models.predictor(model)
        volume = scan.resident.volume if scan.resident else load_volume(scan.source)
        encoded = yield from _encode(predictor, volume)
        yield replies.working("Answering the clicks again")
        scan.session.replay(_segment(predictor, encoded))
        scan.resident = ResidentScan(volume, encoded)
        scan.model = model
        scan.answers += 1
        yield replies.answer(scan, time.perf_counter() - started)

    def _act(self, message: PageMessage, key: SessionKey) -> Updates:
        with self._store.at_work(key) as scan:
            if scan is None:
                raise InvalidInput(_NO_SCAN)
            if scan.scan_id != message.scan:
                # The person acted on a scan that has been replaced since.
                yield gr.skip()
                return
            predictor = self._models.predictor(scan.model)
            if scan.resident is None:
                yield replies.working("Reading the scan again")
                volume = load_volume(scan.source)
                encoded = yield from _encode(predictor, volume)
                scan.resident = ResidentScan(volume, encoded)
            started = time.perf_counter()
            segment = _segment(predictor, scan.resident.encoded)
            volume = scan.resident.volume
            sentence = do_new(scan, message.actions, volume, segment, self._upload)
            yield replies.answer(scan, time.perf_counter() - started, sentence)

    def _measure(self, message: PageMessage, key: SessionKey) -> Updates:
        scan = self._store.get(key)
        yield gr.skip() if scan is None else replies.details(scan)

    def _save(self, message: PageMessage, key: SessionKey) -> Updates:
        with self._store.at_work(key) as scan:
            if scan is None:
                raise InvalidInput(_NO_SCAN)
            volume = scan.resident.volume if scan.resident else load_volume(scan.source)
            folder = Path(tempfile.mkdtemp(dir=scan.folder))
            scene = scan.session.scene
            yield replies.download(save_masks(scene, volume, scan.name, message.layout, folder))

    def _demo_file(self) -> Path:
        if self._demo.exists():
            return self._demo
        try:
            return demo_scan(self._demo)
        except OSError:
            # In a container the home folder may be read-only.
            return demo_scan(self._cache / self._demo.name)

    def _upload(self, path: Path) -> Path:
        """The uploaded file that a page named.

        Raises:
            InvalidInput: The path is not an upload.
        """
        resolved = path.resolve()
        if not resolved.is_relative_to(self._cache.resolve()) or not resolved.is_file():
            raise InvalidInput("The file did not arrive; choose it again.")
        return resolved

    def _link(self, path: Path) -> Path:
        """Put a file into a folder of its own, without copying it where the disk allows that.

        The page may outlive the upload, which Gradio deletes in its own time.
        """
        link = Path(tempfile.mkdtemp(dir=self._cache)) / path.name
        try:
            os.link(path, link)
        except OSError:
            shutil.copyfile(path, link)
        return link


def _spoken(
    steps: Callable[[PageMessage, SessionKey], Updates], value: Any, request: gr.Request
) -> Updates:
    try:
        yield from steps(PageMessage.parse(value), _key(request))
    except InvalidInput as error:
        yield replies.refused(str(error))
    except Exception:
        _log.exception("A request failed")
        yield replies.refused(FAILED)


def _encode(predictor: CAISegPredictor, volume: Volume) -> Generator[gr.HTML, None, EncodedScan]:
    stage = "Encoding the scan"
    yield replies.working(stage, 0.0)
    encoded = yield from with_reports(
        lambda report: predictor.encode(volume, progress=report),
        lambda fraction: replies.working(stage, fraction),
    )
    return encoded


def _segment(predictor: CAISegPredictor, encoded: EncodedScan) -> Segment:
    return lambda clicks, previous: predictor.segment(encoded, clicks, previous).mask


def _key(request: gr.Request) -> SessionKey:
    return SessionKey(user=request.username or "", page=str(request.session_hash))


def _scan_name(path: Path) -> str:
    suffix = next((s for s in _SUFFIXES if path.name.lower().endswith(s)), path.suffix)
    return path.name[: len(path.name) - len(suffix)] or path.name
