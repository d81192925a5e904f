"""What the server says to the viewer: each reply sets some of its properties.

A property is a JSON document: all of it as one ``text``, but for the files, which stand beside the
text because Gradio looks for them. Its page copies the viewer's properties several times an event,
value by value.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic_core import to_json

from app import measurements
from app.maps import HeatMap, MapKind, Uncertainty
from app.store import OpenScan
from app.viewer import PLOTLY
from caiseg.annotation.objects import AnnotatedObject, Scene
from caiseg.annotation.packed_mask import PackedMask
from caiseg.errors import Series
from caiseg.grids import Grid

Updates = Generator[gr.HTML, None, None]
"""Updates of the viewer, sent to the page one by one."""


def working(
    stage: str, fraction: float | None = None, so_far: tuple[str, PackedMask] | None = None
) -> gr.HTML:
    """Long work is under way.

    Args:
        stage: What is being done, in words for the person.
        fraction: How much of it is done, where that is known.
        so_far: Which scan waits for its first mask, and what is known of it.
    """
    work = _work("busy", stage=stage, fraction=fraction)
    if so_far is None:
        return _reply(server_work=work)
    scan_id, mask = so_far
    return _reply(server_work=work, server_growing={"scan": scan_id, "mask": mask.to_json()})


def refused(sentence: str, *, lost: bool = False) -> gr.HTML:
    """What was asked for was not done; what was on screen stays.

    Args:
        sentence: Why.
        lost: Whether that is because the server does not know the page's scan.
    """
    return _reply(server_work=_work("refused", sentence=sentence, lost=lost))


def cancelled() -> gr.HTML:
    """The person took back what they had asked for; what was on screen stays."""
    return _reply(server_work=_work("cancelled"))


def documents(update: gr.HTML) -> dict[str, dict[str, Any]]:
    """The properties that a reply sets, by name."""
    read = {}
    for name, written in update.constructor_args.items():
        files = dict(written)
        read[name] = {**json.loads(files.pop("text")), **files}
    return read


def is_answer(update: gr.HTML) -> bool:
    """Whether a reply is one of :func:`answer`."""
    return "server_answer" in update.constructor_args


def preview(payload: dict[str, Any]) -> gr.HTML:
    """A scan to show while it is encoded; see :func:`app.scan_payload.scan_payload`."""
    return _reply(server_scan=payload)


def answer(scan: OpenScan, seconds: float, sentence: str = "") -> gr.HTML:
    """The objects on screen, the active one's clicks, and which of the page's actions led here.

    Args:
        scan: The scan that was worked on.
        seconds: How long that took.
        sentence: What went wrong on the way, if anything did.
    """
    session, scene = scan.session, scan.session.scene
    return _reply(
        server_work=_work("refused", sentence=sentence) if sentence else _work("idle"),
        server_answer={
            "scan": scan.scan_id,
            "seq": scan.answers,
            "applied": scan.applied,
            "model": scan.model,
            "clicks": [click.to_json() for click in session.current.clicks],
            "undo": session.can_undo,
            "redo": session.can_redo,
            "seconds": seconds,
            "millilitres": measurements.millilitres(scene.masks[scene.active_id], scan.grid),
            "active": scene.active_id,
            "warnings": scan.warnings,
            "session": scan.document.model_dump(mode="json"),
            "objects": [_object(scene, item, scan.grid) for item in scene.objects],
        },
    )


def _object(scene: Scene, item: AnnotatedObject, grid: Grid) -> dict[str, Any]:
    mask = scene.masks[item.object_id]
    return {
        "id": item.object_id,
        "name": item.name,
        "colour": item.colour,
        "accepted": item.accepted is not None,
        "clicks": len(item.round.clicks),
        "changed": item.round.step is not None,
        "millilitres": measurements.millilitres(mask, grid),
        "mask": mask.to_json(),
    }


def details(scan: OpenScan) -> gr.HTML:
    """What takes longer to work out than a click may wait: measurements and surface."""
    # Another thread may answer a click or evict the scan meanwhile: each is read once, the number
    # first, because answers change it last, and older masks must not bear the newer number.
    seq, scene, resident = scan.answers, scan.session.scene, scan.resident
    mask = scene.masks[scene.active_id]
    data = resident.volume.data if resident else None
    return _reply(
        server_details={
            "scan": scan.scan_id,
            "seq": seq,
            "objects": [
                found.to_json() for found in measurements.measure_all(scene, scan.grid, data)
            ],
            "history": measurements.volume_history(scene.active, scan.grid),
            "surface": measurements.surface(mask, scan.grid),
            "plotly": _served(PLOTLY),
        }
    )


def chart(
    scan: OpenScan, kind: MapKind, heat: HeatMap, uncertainty: Uncertainty | None, path: Path
) -> gr.HTML:
    """A map to lay over the scan.

    Args:
        scan: The scan.
        kind: Which map.
        heat: Its values.
        uncertainty: What is undecided, where the map can tell.
        path: The file that holds :meth:`HeatMap.payload`.
    """
    undecided = None
    if uncertainty is not None:
        undecided = {"mask": uncertainty.mask.to_json(), "most": uncertainty.most}
    return _reply(
        server_work=_work("idle"),
        server_map={
            "id": secrets.token_urlsafe(6),
            "scan": scan.scan_id,
            "seq": scan.answers,
            "kind": kind,
            "uncertain": undecided,
            "file": _served(path),
            **heat.to_json(),
        },
    )


def choose_series(series: Sequence[Series]) -> gr.HTML:
    """An archive holds several series; the person has to say which to open."""
    return _choice(
        "This archive holds several series. Which one?",
        [
            {
                "label": f"{one.description or 'No description'} ({one.images} images)",
                "series": one.uid,
                "volume": None,
            }
            for one in series
        ],
    )


def choose_volume(volumes: int, series: str | None) -> gr.HTML:
    """A file holds several volumes; the person has to say which to open."""
    return _choice(
        f"This file holds {volumes} volumes. Which one?",
        [
            {"label": f"Volume {index + 1}", "series": series, "volume": index}
            for index in range(volumes)
        ],
    )


def _choice(question: str, options: list[dict[str, Any]]) -> gr.HTML:
    return _reply(
        server_work=_work("idle"),
        server_choice={
            "id": secrets.token_urlsafe(6),
            "question": question,
            "options": options,
        },
    )


def cumulative(updates: Updates) -> Updates:
    """Each update with everything that those before it have set.

    Gradio's client applies the differences between the updates of an event to one object, so of
    those that arrive faster than they are shown the page sees the last one only.
    """
    properties: dict[str, Any] = {}
    with closing(updates):
        for update in updates:
            properties |= update.constructor_args
            yield gr.HTML(**properties)


def nothing() -> gr.HTML:
    """There is nothing to say."""
    return gr.HTML()


def download(path: Path) -> gr.HTML:
    """A file for the person to keep."""
    return _reply(server_download={"name": path.name, "file": _served(path)})


def _reply(**properties: dict[str, Any]) -> gr.HTML:
    written: dict[str, Any] = {name: _written(value) for name, value in properties.items()}
    return gr.HTML(**written)


def _written(document: dict[str, Any]) -> dict[str, Any]:
    files = {name: value for name, value in document.items() if _is_file(value)}
    rest = {name: value for name, value in document.items() if name not in files}
    # What the page's JSON has no word for, an overflow say, it shows as unknown.
    return {"text": to_json(rest, inf_nan_mode="null").decode(), **files}


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and "meta" in value


def _work(state: str, **more: Any) -> dict[str, Any]:
    """How far the work is, which the page hears of even if it is the same as before."""
    return {"id": secrets.token_urlsafe(6), "state": state, **more}


def _served(path: Path) -> dict[str, Any]:
    """A file for the page to fetch; Gradio adds the address."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}
