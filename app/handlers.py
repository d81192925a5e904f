"""What happens when the page asks for something."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import gradio as gr

from app import replies
from app.cancellation import Cancellations
from app.faults import log_fault
from app.messages import PageMessage
from app.page_actions import FAILED
from app.replies import Updates
from app.store import SessionKey, SessionStore
from app.work import NoScanOpen, Work
from caiseg import InvalidInput

_log = logging.getLogger(__name__)


class Handlers:
    """The server's side of the page's events.

    Every public method takes the viewer's value and Gradio's request. Whatever is wrong is said
    in a sentence on the page; nothing is raised.

    Args:
        work: What is done.
        store: Everybody's open scans.
    """

    def __init__(self, work: Work, store: SessionStore):
        self._work = work
        self._store = store
        self._cancellations = Cancellations()

    def open(self, value: Any, request: gr.Request) -> Updates:
        """Open a scan, go on with another checkpoint, or do a session again."""
        yield from _spoken(self._open, value, request)

    def act(self, value: Any, request: gr.Request) -> Updates:
        """Answer the actions that have not been answered yet."""
        yield from _spoken(self._work.act, value, request)

    def measure(self, value: Any, request: gr.Request) -> Updates:
        """Measure the masks on screen and triangulate the active one's surface."""
        yield from _spoken(self._work.measure, value, request)

    def chart(self, value: Any, request: gr.Request) -> Updates:
        """Make a map to lay over the scan."""
        yield from _spoken(self._work.chart, value, request)

    def save(self, value: Any, request: gr.Request) -> Updates:
        """Write a file to keep: masks, surfaces, measurements or the session."""
        yield from _spoken(self._work.save, value, request)

    def cancel(self, value: Any, request: gr.Request) -> None:
        """Give up what the page asked to open last; what it had open before stays."""
        with suppress(InvalidInput):
            message = PageMessage.parse(value)
            self._cancellations.add(session_key(request), message.ticket)

    def close(self, request: gr.Request) -> None:
        """Free what a page held that was closed or reloaded."""
        self._cancellations.forget(session_key(request))
        self._store.drop(session_key(request))

    def _open(self, message: PageMessage, key: SessionKey) -> Updates:
        if self._cancellations.include(key, message.ticket):
            yield replies.cancelled()
            return
        # Closing it ends the work that is under way and deletes what it had written.
        with closing(self._work.open(message, key)) as updates:
            for update in updates:
                yield update
                # After an answer nothing is left to cancel.
                if replies.is_answer(update):
                    continue
                if self._cancellations.include(key, message.ticket):
                    yield replies.cancelled()
                    return


def session_key(request: gr.Request) -> SessionKey:
    """Whose scan a request is about."""
    return SessionKey(user=request.username or "", page=str(request.session_hash))


def _spoken(
    steps: Callable[[PageMessage, SessionKey], Updates], value: Any, request: gr.Request
) -> Updates:
    return replies.cumulative(_in_words(steps, value, request))


def _in_words(
    steps: Callable[[PageMessage, SessionKey], Updates], value: Any, request: gr.Request
) -> Updates:
    try:
        yield from steps(PageMessage.parse(value), session_key(request))
    except InvalidInput as error:
        yield replies.refused(str(error), lost=isinstance(error, NoScanOpen))
    except Exception as error:
        log_fault(_log, "A request failed", error)
        yield replies.refused(FAILED)
