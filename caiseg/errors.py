"""The one exception type that input from outside may cause."""

from __future__ import annotations


class InvalidInput(ValueError):
    """A file, click or setting that cannot be used.

    Its message is one sentence that says what is wrong and what to do next;
    the app and the command lines show it to the person as it is.
    """
