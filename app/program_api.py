"""The same steps for programs: named endpoints for ``gradio_client``.

Each client has a scan of its own, like each page. ``examples/annotate.py`` shows all of them.
"""

# No "from __future__ import annotations": Gradio documents return types from the real ones.

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import gradio as gr
from gradio.events import api

from app import replies
from app.exports import FileKind
from app.faults import log_fault
from app.handlers import session_key
from app.measurements import measure_all
from app.messages import PageMessage
from app.page_actions import FAILED
from app.queues import ANSWERING, OPENING
from app.store import OpenScan, SessionKey, SessionStore
from app.work import Work
from caiseg import Click, InvalidInput, Label
from caiseg.annotation.actions import Action, Add, Undo

_log = logging.getLogger(__name__)


class ProgramApi:
    """The endpoints.

    Args:
        work: What is done.
        store: Everybody's open scans.
        first_model: The checkpoint that answers where none is named.
    """

    def __init__(self, work: Work, store: SessionStore, first_model: str):
        self._work = work
        self._store = store
        self._first_model = first_model

    def offer(self) -> None:
        """Add the endpoints to the page that is being built."""
        api(self.load, api_name="load", **OPENING)
        for endpoint in (self.click, self.undo, self.result, self.download):
            api(endpoint, api_name=endpoint.__name__, **ANSWERING)

    def load(
        self,
        request: gr.Request,
        scan: gr.FileData,
        model: str = "",
        series: str = "",
        volume: int = -1,
    ) -> dict[str, Any]:
        """Open a scan and get its first mask, without a click.

        Args:
            request: Who asks; Gradio fills it in.
            scan: A file, given with gradio_client.handle_file: .nii, .nii.gz, .nrrd, .mha, or a
                .zip of DICOM images.
            model: Name of the checkpoint; empty for the first one on offer.
            series: UID of the DICOM series, where the file holds several.
            volume: Which volume of a 4-D scan, from 0; -1 where there is only one.

        Returns:
            The state of the scan, see result.
        """
        upload = {
            "kind": "upload",
            "file": scan,
            "series": series or None,
            "volume": None if volume < 0 else volume,
        }
        message = {"model": model or self._first_model, "request": upload}
        key = session_key(request)

        def opened() -> None:
            for update in self._work.open(PageMessage.parse(message), key):
                _refuse_choice(update)

        return self._after(opened, key)

    def click(
        self, request: gr.Request, i: int, j: int, k: int, label: Literal["fg", "bg"] = "fg"
    ) -> dict[str, Any]:
        """Place a click and get its answer.

        Args:
            request: Who asks; Gradio fills it in.
            i: Voxel index to the patient's right, of the scan in closest canonical (RAS+) order.
            j: Voxel index to the front.
            k: Voxel index to the head.
            label: fg where the mask misses the lesion, bg where it spills.

        Returns:
            The state of the scan, see result.
        """
        key = session_key(request)
        return self._after(partial(self._do, key, lambda: _one_click((i, j, k), label)), key)

    def undo(self, request: gr.Request) -> dict[str, Any]:
        """Take back the last step, exactly.

        Returns:
            The state of the scan, see result.
        """
        key = session_key(request)
        return self._after(partial(self._do, key, Undo), key)

    def result(self, request: gr.Request) -> dict[str, Any]:
        """Say what is known about the scan now.

        Returns:
            shape and spacing (mm) of the scan, model, clicks, warnings, and objects with name,
            volume (millilitres), longest axial diameter and perpendicular (mm), components, mean
            intensity and number of clicks.
        """
        return self._after(lambda: None, session_key(request))

    def download(self, request: gr.Request, kind: FileKind = "labels") -> gr.FileData:
        """Get a file.

        Args:
            request: Who asks; Gradio fills it in.
            kind: labels (one mask file), masks (one for each object, zipped), stl or ply
                (surface in mm, RAS+), csv (measurements), session (replays to the same mask).

        Returns:
            The file.
        """
        message = PageMessage.parse({"layout": kind})
        said: dict[str, Any] = {}

        def written() -> None:
            for update in self._work.save(message, session_key(request)):
                said.update(replies.documents(update))

        _spoken(written)
        return gr.FileData(path=said["server_download"]["file"]["path"])

    def _do(self, key: SessionKey, action: Callable[[], Action]) -> None:
        for _ in self._work.do(action(), key):
            pass

    def _after(self, step: Callable[[], None], key: SessionKey) -> dict[str, Any]:
        _spoken(step)
        scan = self._store.get(key)
        if scan is None:
            raise gr.Error("No scan is open; call load first.", print_exception=False)
        return _state(scan)


def _state(scan: OpenScan) -> dict[str, Any]:
    data = scan.resident.volume.data if scan.resident else None
    scene = scan.session.scene
    return {
        "shape": list(scan.grid.shape),
        "spacing": list(scan.grid.spacing),
        "model": scan.model,
        "clicks": [click.to_json() for click in scan.session.current.clicks],
        "warnings": scan.warnings,
        "objects": [
            {"name": found.name, **found.to_json()} for found in measure_all(scene, scan.grid, data)
        ],
    }


def _one_click(voxel: Iterable[int], label: str) -> Add:
    i, j, k = voxel
    return Add((Click((i, j, k), Label.parse(label)),))


def _refuse_choice(update: gr.HTML) -> None:
    """A program cannot be asked back: it is told what it can choose from."""
    choice = replies.documents(update).get("server_choice")
    if choice is None:
        return
    options = ", ".join(
        f"{option['label']}: "
        + (
            f"series={option['series']}"
            if option["volume"] is None
            else f"volume={option['volume']}"
        )
        for option in choice["options"]
    )
    raise InvalidInput(f"{choice['question']} Say so: {options}.")


def _spoken(step: Callable[[], None]) -> None:
    try:
        step()
    except InvalidInput as error:
        raise gr.Error(str(error), print_exception=False) from None
    except Exception as error:
        log_fault(_log, "A request of a program failed", error)
        raise gr.Error(FAILED, print_exception=False) from None
