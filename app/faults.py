"""Faults of the program in its log: where they happened, not what was being worked on."""

from __future__ import annotations

import logging
import traceback


def log_fault(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Log the kind of an error and the lines of code that led to it.

    Its own words stay out unless the logger shows debugging output: they may hold the name of a
    file, and so that of a patient.

    Args:
        logger: Where to.
        what: What has failed.
        error: The error.
    """
    lines = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s: %s\n%s", what, type(error).__name__, lines)
    logger.debug("%s: what the error says", what, exc_info=error)
