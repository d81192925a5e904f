"""The page: the viewer, and which handler answers which of its events."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.handlers import Handlers
from app.program_api import ProgramApi
from app.queues import ANSWERING, OPENING
from app.viewer import volume_viewer

# Gradio looks for files to delete this often, and deletes those older than this.
_CLEANING_SECONDS = (3600, 86_400)


def build_page(
    models: list[dict[str, Any]], upload_mb: int, handlers: Handlers, api: ProgramApi
) -> gr.Blocks:
    """Lay out the page.

    Args:
        models: Cards of the checkpoints on offer (:func:`app.model_cards.model_card`), the one
            to start with first.
        upload_mb: MiB that an uploaded file may have.
        handlers: The server's side of the page's events.
        api: The same for programs.
    """
    page = gr.Blocks(
        title="CAISeg",
        analytics_enabled=False,
        delete_cache=_CLEANING_SECONDS,
        fill_width=True,
        fill_height=True,
    )
    with page:
        viewer = volume_viewer(models, upload_mb)
        # The value carries the whole list of actions, so of several quick events the last is
        # enough; "once", the default, would lose those that come while one is answered.
        common = {
            "inputs": viewer,
            "outputs": viewer,
            "trigger_mode": "always_last",
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        viewer.open(handlers.open, **common, **OPENING)
        viewer.act(handlers.act, **common, **ANSWERING)
        # Beside the queue in which the work waits that it is to end.
        viewer.cancel(handlers.cancel, inputs=viewer, queue=False, api_visibility="private")
        viewer.measure(handlers.measure, **common)
        viewer.save(handlers.save, **common)
        viewer.chart(handlers.chart, **common, **ANSWERING)
        api.offer()
        page.unload(handlers.close)
    return page
