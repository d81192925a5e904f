"""What the page asks of the session, read and done in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.faults import log_fault
from app.store import OpenScan
from caiseg import InvalidInput, Volume
from caiseg.annotation.actions import Action, StartFrom, parse_action
from caiseg.annotation.packed_mask import PackedMask
from caiseg.annotation.rounds import Segment
from caiseg.volume import read_labels

_log = logging.getLogger(__name__)

FAILED = "Something went wrong on the server; its log says what. Try again, or reload the page."
"""What a person is told about a fault of the program."""


def do_new(
    scan: OpenScan,
    entries: list[Any],
    volume: Volume,
    segment: Segment,
    uploaded: Callable[[Path], Path],
) -> str:
    """Do what the page asked for and has not been done yet.

    An action that fails counts as answered, or the page would ask for it for ever.

    Args:
        scan: The scan that the page shows.
        entries: Everything that the page has asked for since the scan was opened, see
            :func:`caiseg.annotation.actions.parse_action`. ``start`` names an uploaded mask by
            ``{"file": {"path": …}}`` in place of ``masks``.
        volume: The scan as read.
        segment: The network, on this scan.
        uploaded: Finds the file that a page has uploaded.

    Returns:
        What to tell the person about it, if anything.
    """
    sentence = ""
    for entry in entries[scan.applied :]:
        try:
            scan.session.apply(_read(entry, volume, scan.source.max_bytes, uploaded), segment)
        except InvalidInput as error:
            sentence = str(error)
        except Exception as error:
            log_fault(_log, "An action failed", error)
            sentence = FAILED
        scan.applied += 1
    scan.answers += 1
    return sentence


def _read(
    entry: Any, volume: Volume, max_bytes: int | None, uploaded: Callable[[Path], Path]
) -> Action:
    match entry:
        case {"do": "start", "file": {"path": str(path)}}:
            labels = read_labels(uploaded(Path(path)), volume, max_bytes=max_bytes)
            first, *further = (PackedMask.pack(mask) for _, mask in labels)
            return StartFrom(first, tuple(further))
    return parse_action(entry)
