"""Which requests wait for each other in Gradio's queue, each of which is answered in order.

Whose turn it is at the network itself, :class:`app.turns.Turns` decides.
"""

from __future__ import annotations

from typing import Any

OPENING: dict[str, Any] = {"concurrency_id": "opening", "concurrency_limit": 1}
"""One scan is read and encoded at a time, because only then memory has a bound."""

ANSWERING: dict[str, Any] = {"concurrency_id": "answering", "concurrency_limit": 4}
"""A few at once: while a click's scan is read again after an eviction, others are answered."""
