"""Requests that a page has taken back."""

from __future__ import annotations

from app.store import SessionKey


class Cancellations:
    """Which of its requests to open something each page has taken back.

    A page numbers its requests, because the wish to cancel one may arrive before the server has
    begun with it, or after it is done with it and the next one waits.
    """

    def __init__(self) -> None:
        self._tickets: dict[SessionKey, int] = {}

    def add(self, key: SessionKey, ticket: int) -> None:
        """Take back a page's request of this number, and those before it."""
        self._tickets[key] = ticket

    def include(self, key: SessionKey, ticket: int) -> bool:
        """Whether the page has taken back its request of this number."""
        return key in self._tickets and ticket <= self._tickets[key]

    def forget(self, key: SessionKey) -> None:
        """Forget a page that has closed."""
        self._tickets.pop(key, None)
