"""``python -m train card``: the card of a checkpoint with pictures of the cases it did worst on."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from caiseg.checkpoint import read_checkpoint_info
from caiseg.errors import InvalidInput
from train.card import FailureCase, model_card
from train.comparison.gallery import check_same, clicks_of, replayed
from train.comparison.method_results import MethodResults, Session, read_method_results
from train.drawing.slices import draw_slice, grey, view_of
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.simulated_session import Method
from train.files import replacing
from train.manifest import Case, read_manifest
from train.methods import load_method

FEW_CLICKS = 5
"""A mask that is still bad after so many clicks is a failure."""


@dataclass(frozen=True)
class CardOptions:
    """What ``python -m train card`` is asked for.

    Attributes:
        checkpoint: The checkpoint; its card has the suffix ``.md``.
        results: Folder of its evaluation.
        manifest: Lists the cases that were evaluated.
        cases: How many of the worst to show.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        tried: A document on what else was tried, or ``FILE#SECTION`` of one.
    """

    checkpoint: Path
    results: Path
    manifest: Path
    cases: int = 3
    device: str = "auto"
    tried: str | None = None


def write_card(options: CardOptions) -> Path:
    """Write the card anew; the pictures go into a folder beside it, instead of those there.

    Returns:
        The card.

    Raises:
        InvalidInput: A file is missing or damaged, or the results are not of this checkpoint.
    """
    info = read_checkpoint_info(options.checkpoint)
    card = options.checkpoint.with_suffix(".md")
    tried = None if options.tried is None else _link(options.tried, card)
    results = read_method_results(options.results)
    last = results.summary.settings.clicks
    counts = sorted({0, min(FEW_CLICKS, last)})
    worst = worst_sessions(results, counts[-1], options.cases)
    listed = {case.name: case for case in read_manifest(options.manifest)}
    if missing := [name for name in worst if name not in listed]:
        raise InvalidInput(
            f"{options.manifest} does not list the case {missing[0]} of the results; name the "
            "manifest that they were evaluated on."
        )
    method = load_method(results.summary.method, options.checkpoint, options.device).method
    protocol = results.summary.settings
    drawn = {
        name: _drawn(
            str(options.checkpoint), method, listed[name], session, [*counts, last], protocol
        )
        for name, session in worst.items()
    }
    folder = card.with_name(f"{card.stem}-failures")
    for old in folder.glob("*.svg"):
        old.unlink()
    failures = []
    for name, session in worst.items():
        paths = {count: folder / f"{_plain(name)}-{count}.svg" for count in counts}
        for count, path in paths.items():
            with replacing(path) as partial:
                partial.write_text(drawn[name][count], encoding="utf-8")
        pictures = {count: f"{folder.name}/{path.name}" for count, path in paths.items()}
        dice = {count: session[count].dice for count in counts}
        failures.append(FailureCase(name, session[0].lesion_ml, dice, pictures))
    with replacing(card) as partial:
        partial.write_text(model_card(info, failures, tried), encoding="utf-8")
    return card


def _link(document: str, card: Path) -> str:
    """The address of a document, or of a section of it, as seen from the card."""
    name, sign, section = document.partition("#")
    path = Path(name)
    if not path.is_file():
        raise InvalidInput(f"{name} is no file; name the document that the card should link to.")
    relative = Path(os.path.relpath(path.resolve(), card.resolve().parent))
    return f"{relative.as_posix()}{sign}{section}"


def worst_sessions(results: MethodResults, clicks: int, cases: int) -> dict[str, Session]:
    """The sessions with the lowest Dice after so many clicks, by case; of the first seed."""
    sessions = {case: results.sessions[case, results.seeds[0]] for case in results.cases}
    worst = sorted(sessions, key=lambda case: sessions[case][clicks].dice)[:cases]
    return {case: sessions[case] for case in worst}


def _drawn(
    label: str,
    method: Method[Any],
    case: Case,
    session: Session,
    counts: list[int],
    protocol: EvaluationProtocol,
) -> dict[int, Markup]:
    """One slice with the mask after each number of recorded clicks."""
    volume, lesion = protocol.load(case)
    masks = replayed(method, volume, session, counts)
    check_same(label, masks, lesion, session)
    view = view_of([lesion, *masks.values()], volume.spacing)
    pixels = grey(view.cut(volume.data))
    placed = clicks_of(session)
    return {
        count: draw_slice(
            view,
            pixels,
            label=f"{case.name} after {count} clicks",
            truth=lesion,
            mask=mask,
            clicks=placed[:count],
        )
        for count, mask in masks.items()
    }


def _plain(name: str) -> str:
    """A name that every file system and every link takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
