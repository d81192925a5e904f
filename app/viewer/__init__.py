"""The viewer: three linked slices and the mask's surface, drawn by the browser.

The scan is sent once; slices, zoom, window and crosshair cost no network traffic. The page says
everything in the component's value (:class:`app.messages.PageMessage`), the server answers by
setting the other properties (:mod:`app.replies`).
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import gradio as gr
import plotly
from gradio.events import EventListener

_HERE = Path(__file__).parent

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
"""The JavaScript that draws the surface."""

# One scope, in this order: each file uses only names from files above it.
_SCRIPTS = (
    "geometry.js",
    "codec.js",
    "volume.js",
    "mask.js",
    "glyphs.js",
    "slice_view.js",
    "pointer.js",
    "dialogue.js",
    "panel.js",
    "surface.js",
    "files.js",
    "keyboard.js",
    "viewer.js",
)
_STYLES = ("page.css", "layout.css", "controls.css", "views.css", "panel.css", "messages.css")


class VolumeViewer(gr.HTML):
    """Three orthogonal views, the surface, and the tools around them.

    Events, each bound with ``viewer.<event>(handler, …)``: ``open`` (a scan or checkpoint is asked
    for), ``act`` (the person clicked, undid, …), ``details`` (the page wants the surface), ``save``
    (the mask is asked for).

    Args:
        models: Names of the checkpoints on offer, the one to start with first.
        upload_mb: MiB that an uploaded file may have.
        props: What the server has said so far, see :mod:`app.replies`.
    """

    EVENT_NAMES = ("open", "act", "details", "save")

    def __init__(self, models: list[str], upload_mb: int, **props: Any):
        given = {"elem_id": "viewer", **props}
        super().__init__(
            html_template=_read("viewer.html"),
            js_on_load=script(),
            apply_default_css=False,
            models=models,
            upload_mb=upload_mb,
            **given,
        )

    def __getattr__(self, name: str) -> Any:
        # gr.HTML takes every name that the script puts in quotes for an event, properties included.
        if name in self.EVENT_NAMES:
            return partial(EventListener(event_name=name).listener, self)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def get_block_name(self) -> str:
        """The component of Gradio's front end that draws this one."""
        return "html"


@cache
def script() -> str:
    """The viewer's JavaScript, all files in one scope."""
    return '"use strict";\n' + "\n".join(_read(f"scripts/{name}") for name in _SCRIPTS)


@cache
def head() -> str:
    """What the page's ``<head>`` needs: the styles, and a description for small screens.

    The styles are here because Gradio parses a component's own CSS again at each of its updates.
    """
    styles = "\n".join(_read(f"styles/{name}") for name in _STYLES)
    return f"<style>{styles}</style>"


@cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
