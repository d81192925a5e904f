"""The viewer: three linked slices and the mask's surface, drawn by the browser.

The scan is sent once; slices, zoom, window and crosshair cost no network traffic. The page says
everything in the component's value, a text of JSON (:class:`app.messages.PageMessage`), the server
answers by setting the other properties (:mod:`app.replies`).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

_HERE = Path(__file__).parent

_EVENTS = ("open", "cancel", "act", "measure", "chart", "save")

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
"""The JavaScript that draws the surface."""

# One scope, in this order: each file uses only names from files above it.
_SCRIPTS = (
    "geometry.js",
    "codec.js",
    "storage.js",
    "volume.js",
    "mask.js",
    "layers.js",
    "glyphs.js",
    "brush.js",
    "dialogue.js",
    "objects.js",
    "stage.js",
    "slice_view.js",
    "click_tool.js",
    "pointer.js",
    "touch.js",
    "wheel.js",
    "tap.js",
    "click_list.js",
    "object_list.js",
    "panel.js",
    "growing.js",
    "surface.js",
    "files.js",
    "gate.js",
    "opening.js",
    "connection.js",
    "recovery.js",
    "shortcuts.js",
    "keyboard.js",
    "tabs.js",
    "theme.js",
    "moving.js",
    "looking.js",
    "annotating.js",
    "measurements.js",
    "maps.js",
    "session_keeper.js",
    "done_marks.js",
    "worklist.js",
    "arrivals.js",
    "model_cards.js",
    "parts.js",
    "controls.js",
    "viewer.js",
)
_STYLES = (
    "page.css",
    "layout.css",
    "controls.css",
    "views.css",
    "panel.css",
    "objects.css",
    "knowing.css",
    "messages.css",
    "low_window.css",
    "touch.css",
)


def volume_viewer(models: list[dict[str, Any]], upload_mb: int) -> gr.HTML:
    """Make the viewer.

    Its events are bound with ``viewer.<event>(handler, …)``: ``open`` (a scan or another
    checkpoint is asked for), ``cancel`` (it is no longer wanted), ``act`` (the person clicked,
    undid, …), ``measure`` (the page wants figures and surface of the mask), ``chart`` (a map is
    asked for), ``save`` (a file is asked for).

    The component itself holds one call; what it calls is in :func:`head`. Gradio's page compiles
    a component's template, and its server searches the component's script, several times an event.

    It is no subclass, because Gradio writes a ``.pyi`` file beside the source of each.

    Args:
        models: Cards of the checkpoints on offer (:func:`app.model_cards.model_card`), the one
            to start with first.
        upload_mb: MiB that an uploaded file may have.
    """
    # Every name in quotation marks is an event to Gradio, and no other is.
    events = ", ".join(f'"{event}"' for event in _EVENTS)
    return gr.HTML(
        elem_id="viewer",
        html_template="",
        js_on_load=f"startViewer(element, props, trigger, watch, upload); // fires {events}",
        apply_default_css=False,
        models=json.dumps(models),
        upload_mb=upload_mb,
    )


@cache
def head() -> str:
    """What the page's ``<head>`` needs: the viewer's styles and its script."""
    styles = "\n".join(_read(f"styles/{name}") for name in _STYLES)
    return f"<style>{styles}</style><script>{script()}</script>"


@cache
def script() -> str:
    """A function that fills an element with the viewer: all files of JavaScript in its scope."""
    # So escaped, nothing in it can end the script that it stands in.
    page = json.dumps(_read("viewer.html")).replace("<", "\\u003c")
    files = "\n".join(_read(f"scripts/{name}") for name in _SCRIPTS)
    return (
        "function startViewer(element, props, trigger, watch, upload) {\n"
        f'"use strict";\nelement.innerHTML = {page};\n{files}\n}}'
    )


@cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
