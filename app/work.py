"""What the server does when a page or a program asks for something."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Generator
from functools import partial
from pathlib import Path

import gradio as gr

from app import replies
from app.exports import export
from app.maps import (
    HeatMap,
    Uncertainty,
    affinity_of_last_click,
    foreground_probability,
)
from app.messages import OpenDemo, OpenUpload, PageMessage, ResumeSession, SwitchModel
from app.models import ModelShelf
from app.network_work import NetworkWork
from app.page_actions import do_new
from app.replies import Updates
from app.scan_file import ScanFile
from app.scan_fit import reservations
from app.scan_payload import scan_payload
from app.store import OpenScan, ResidentScan, SessionKey, SessionStore
from app.uploads import Uploads
from caiseg import CAISegPredictor, InvalidInput, SeveralSeries, Volume
from caiseg.annotation.actions import Action
from caiseg.annotation.rounds import Segment
from caiseg.annotation.session import AnnotationSession
from caiseg.annotation.session_file import ScanReference, SessionFile

View = tuple[float, float, float] | None
"""The voxel ``(i, j, k)`` in view, where a page has said so."""


class NoScanOpen(InvalidInput):
    """The server knows of no scan of this page, perhaps because it was restarted."""

    def __init__(self) -> None:
        super().__init__(
            "The server has no scan open for this page; it may have been restarted. Open it again."
        )


class Work:
    """The steps behind every event; each yields updates of the viewer while it runs.

    Every public method raises :class:`caiseg.InvalidInput` for what cannot be done.

    Args:
        models: The checkpoints on offer.
        store: Everybody's open scans.
        uploads: Where scans come from.
        network: What asks the checkpoints.
        reading_bytes: Memory that reading a scan may take; none for no limit.
    """

    def __init__(
        self,
        models: ModelShelf,
        store: SessionStore,
        uploads: Uploads,
        network: NetworkWork,
        reading_bytes: int | None = None,
    ):
        self._models = models
        self._store = store
        self._uploads = uploads
        self._network = network
        self._reading_bytes = reading_bytes

    def open(self, message: PageMessage, key: SessionKey) -> Updates:
        """Open a scan, go on with another checkpoint, or do a session again."""
        with self._store.at_work(key) as present:
            match message.request:
                case OpenUpload() as upload:
                    source = self._source(upload, key.user)
                    yield from self._open_file(key, message.model, source, upload.session)
                case OpenDemo(session=session):
                    yield replies.working("Drawing the demo scan")
                    link = self._uploads.link(self._uploads.demo(), key.user)
                    source = ScanFile(link, max_bytes=self._reading_bytes)
                    yield from self._open_file(key, message.model, source, session)
                case SwitchModel() if present is not None:
                    yield from self._switch_model(present, message.model, message.view)
                case ResumeSession(session=session) if present is not None:
                    document = SessionFile.parse(session)
                    yield from self._resume(present, document, message.view)
                case _:
                    raise NoScanOpen

    def act(self, message: PageMessage, key: SessionKey) -> Updates:
        """Answer the actions that have not been answered yet."""
        with self._store.at_work(key) as present:
            scan = _required(present)
            if scan.scan_id != message.scan:
                # The person acted on a scan that has been replaced since.
                yield replies.nothing()
                return
            predictor, resident = yield from self._resident(scan, message.view)
            started = time.perf_counter()
            segment = self._network.answering(predictor, resident)
            find = partial(self._uploads.find, user=key.user)
            sentence = do_new(scan, message.actions, resident.volume, segment, find)
            answer = replies.answer(scan, time.perf_counter() - started, sentence)
            self._network.answered(time.perf_counter() - started)
            yield answer

    def do(self, action: Action, key: SessionKey) -> Updates:
        """Do one thing to the scan that is open, whatever its page has asked for."""
        with self._store.at_work(key) as present:
            scan = _required(present)
            predictor, resident = yield from self._resident(scan, None)
            started = time.perf_counter()
            scan.session.apply(action, self._network.answering(predictor, resident))
            scan.answers += 1
            yield replies.answer(scan, time.perf_counter() - started)

    def measure(self, message: PageMessage, key: SessionKey) -> Updates:
        """Measure the masks on screen and triangulate the active one's surface."""
        scan = self._store.get(key)
        yield replies.nothing() if scan is None else replies.details(scan)

    def chart(self, message: PageMessage, key: SessionKey) -> Updates:
        """Ask the network for a map to lay over the scan."""
        with self._store.at_work(key) as present:
            scan = _required(present)
            predictor, resident = yield from self._resident(scan, message.view)
            shown = scan.session.current
            uncertainty = None
            if message.map == "affinity":
                values = self._network.ask(
                    resident, lambda encoded: affinity_of_last_click(predictor, encoded, shown)
                )
            else:
                values = self._network.ask(
                    resident, lambda encoded: foreground_probability(predictor, encoded, shown)
                )
                uncertainty = Uncertainty.of(values)
            heat = HeatMap.of(values)
            # One file a kind: the page has fetched the last one, or does not want it any more.
            path = scan.source.folder / f"{message.map}.gz"
            path.unlink(missing_ok=True)
            path.write_bytes(heat.payload())
            yield replies.chart(scan, message.map, heat, uncertainty, path)

    def save(self, message: PageMessage, key: SessionKey) -> Updates:
        """Write a file to keep."""
        with self._store.at_work(key) as present:
            scan = _required(present)
            volume = scan.resident.volume if scan.resident else scan.source.load()
            folder = Path(tempfile.mkdtemp(dir=scan.source.folder))
            document = scan.document.model_copy(update={"settings": message.settings})
            scene = scan.session.scene
            path = export(message.layout, scene, volume, scan.name, document, folder)
            yield replies.download(path)

    def _source(self, upload: OpenUpload, user: str) -> ScanFile:
        beside = None
        if upload.beside is not None:
            beside = (self._uploads.find(upload.beside.path, user), upload.beside.name)
        link = self._uploads.link(self._uploads.find(upload.file.path, user), user, beside)
        return ScanFile(link, upload.series, upload.volume, self._reading_bytes)

    def _open_file(
        self, key: SessionKey, model: str, source: ScanFile, session: object = None
    ) -> Updates:
        scan_id = secrets.token_urlsafe(9)
        started = time.perf_counter()
        try:
            document = None if session is None else SessionFile.parse(session)
            yield replies.working("Reading the scan")
            try:
                volume = source.load()
            except SeveralSeries as error:
                yield replies.choose_series(error.series)
                shutil.rmtree(source.folder, ignore_errors=True)
                return
            if volume.volumes > 1 and source.volume is None:
                yield replies.choose_volume(volume.volumes, source.series)
                shutil.rmtree(source.folder, ignore_errors=True)
                return
            yield replies.preview(scan_payload(volume, scan_id, source.name, source.folder))
            if document is not None:
                model = document.checkpoint.name
                document.check_scan(volume)
            predictor = self._models.predictor(model)
            encoded = yield from self._network.encode(
                predictor, volume, near=_middle(volume), scan_id=scan_id
            )
            yield replies.working("First mask")
            resident = ResidentScan(volume, encoded)
            segment = self._network.answering(predictor, resident)
            session_now = _session(document, predictor, segment, volume)
        except BaseException:
            shutil.rmtree(source.folder, ignore_errors=True)
            raise
        scan = OpenScan(
            scan_id=scan_id,
            name=source.name,
            source=source,
            grid=volume.grid,
            model=model,
            session=session_now,
            resident=resident,
            identity=ScanReference.of(volume),
            checkpoint_hash=predictor.checkpoint_hash,
            reservations=self._reservations(volume, predictor),
        )
        self._store.put(key, scan)
        yield replies.answer(scan, time.perf_counter() - started)

    def _switch_model(self, scan: OpenScan, model: str, view: View) -> Updates:
        started = time.perf_counter()
        predictor = self._models.predictor(model)
        volume = scan.resident.volume if scan.resident else scan.source.load()
        resident = yield from self._encoded(predictor, volume, view)
        yield replies.working("Answering the clicks again")
        scan.session.replay(self._network.answering(predictor, resident))
        self._use(scan, model, predictor, resident)
        yield replies.answer(scan, time.perf_counter() - started)

    def _resume(self, scan: OpenScan, document: SessionFile, view: View) -> Updates:
        started = time.perf_counter()
        model = document.checkpoint.name
        predictor = self._models.predictor(model)
        if scan.resident and model == scan.model:
            resident = scan.resident
            document.check_scan(resident.volume)
        else:
            volume = scan.resident.volume if scan.resident else scan.source.load()
            document.check_scan(volume)
            resident = yield from self._encoded(predictor, volume, view)
        yield replies.working("Answering the clicks again")
        segment = self._network.answering(predictor, resident)
        scan.session = _session(document, predictor, segment, resident.volume)
        self._use(scan, model, predictor, resident)
        yield replies.answer(scan, time.perf_counter() - started)

    def _resident(
        self, scan: OpenScan, view: View
    ) -> Generator[gr.HTML, None, tuple[CAISegPredictor, ResidentScan]]:
        """The checkpoint in use and the scan in memory, encoded again after an eviction."""
        predictor = self._models.predictor(scan.model)
        if scan.resident is None:
            yield replies.working("Reading the scan again")
            scan.resident = yield from self._encoded(predictor, scan.source.load(), view)
        return predictor, scan.resident

    def _use(
        self, scan: OpenScan, model: str, predictor: CAISegPredictor, resident: ResidentScan
    ) -> None:
        scan.resident = resident
        scan.model = model
        scan.checkpoint_hash = predictor.checkpoint_hash
        scan.reservations = self._reservations(resident.volume, predictor)
        scan.answers += 1

    def _reservations(self, volume: Volume, predictor: CAISegPredictor) -> list[str]:
        offered = {card["name"]: card["modality"] for card in self._models.cards}
        return reservations(volume, predictor.preprocessing, offered)

    def _encoded(
        self, predictor: CAISegPredictor, volume: Volume, view: View
    ) -> Generator[gr.HTML, None, ResidentScan]:
        """A scan of which a mask is on screen already."""
        near = _middle(volume) if view is None else view
        encoded = yield from self._network.encode(predictor, volume, near=near)
        return ResidentScan(volume, encoded)


def _required(scan: OpenScan | None) -> OpenScan:
    if scan is None:
        raise NoScanOpen
    return scan


def _session(
    document: SessionFile | None, predictor: CAISegPredictor, segment: Segment, volume: Volume
) -> AnnotationSession:
    if document is None:
        return AnnotationSession(segment, volume.spacing)
    document.check_checkpoint(predictor.checkpoint_hash)
    return AnnotationSession.from_log(document.log, segment, volume.spacing)


def _middle(volume: Volume) -> tuple[float, float, float]:
    """The voxel that the page shows first."""
    i, j, k = volume.shape
    return i / 2, j / 2, k / 2
