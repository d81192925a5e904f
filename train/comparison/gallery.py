"""Pictures of the best, the median and the worst case: what the clicks made of the mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from caiseg.clicks import Click, Label
from caiseg.errors import InvalidInput
from caiseg.volume import Volume
from train.click_simulation import Mask
from train.comparison.comparison import Comparison
from train.comparison.measures import clicks
from train.comparison.method_results import Session
from train.drawing.slices import draw_slice, grey, view_of
from train.evaluation.metrics import dice_score
from train.evaluation.simulated_session import Method
from train.manifest import Case

SAME_DICE = 0.01
"""How far a replayed mask may lie from the recorded one, in Dice: another machine rounds otherwise.
The hash of the checkpoint would not do, for a card that is added later changes it."""
EARLY = 3
"""Clicks of the picture between the first mask and the last."""


@dataclass(frozen=True)
class Panel:
    """One picture."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Gallery:
    """The pictures of one case."""

    title: str
    panels: Sequence[Panel]


def telling_cases(comparison: Comparison) -> dict[str, str]:
    """The reference's best, median and worst case by Dice after all clicks; each case once.

    Of an even number of cases the lower of the two in the middle is the median.
    """
    key = f"dice_after_{comparison.protocol.clicks}"
    dice = comparison.cells[comparison.reference, key].values.mean(axis=1)
    order = np.argsort(dice, kind="stable")
    places = {"Best case": -1, "Median case": (len(order) - 1) // 2, "Worst case": 0}
    named = {title: comparison.cases[int(order[place])] for title, place in places.items()}
    # With one case or two, the median is the best or the worst.
    for title in ("Median case", "Worst case"):
        if list(named.values()).count(named[title]) > 1:
            del named[title]
    return named


def gallery(
    comparison: Comparison, title: str, case: Case, methods: Mapping[str, Method[Any]]
) -> Gallery:
    """Replay the recorded clicks of one case, and draw what they gave.

    The reference is shown without clicks, after a few and after all; other methods after all. All
    pictures show the same slice: the one with most lesion.

    Args:
        comparison: Holds the clicks.
        title: Which case this is.
        case: Scan and truth.
        methods: The methods to draw, by label.

    Raises:
        InvalidInput: The case cannot be read, or a method does not give what was recorded.
    """
    volume, lesion = comparison.protocol.load(case)
    last = comparison.protocol.clicks
    drawn: list[tuple[str, int, list[Click], Mask]] = []
    for number, found in enumerate(comparison.methods):
        if found.label not in methods:
            continue
        session = found.sessions[case.name, found.seeds[0]]
        counts = sorted({0, min(EARLY, last), last}) if number == 0 else [last]
        masks = replayed(methods[found.label], volume, session, counts)
        check_same(found.label, masks, lesion, session)
        placed = clicks_of(session)
        drawn += [(found.label, count, placed[:count], masks[count]) for count in counts]
    view = view_of([lesion, *(mask for *_, mask in drawn)], volume.spacing)
    pixels = grey(view.cut(volume.data))
    panels = []
    for label, count, placed, mask in drawn:
        caption = f"{label}, {clicks(count)}: Dice {100 * dice_score(mask, lesion):.1f} %"
        svg = draw_slice(view, pixels, label=caption, truth=lesion, mask=mask, clicks=placed)
        panels.append(Panel(svg, caption))
    millilitres = next(iter(comparison.methods)).lesion_ml[case.name]
    return Gallery(f"{title}: {case.name}, {millilitres:.1f} mL", panels)


def clicks_of(session: Session) -> list[Click]:
    """The clicks of a recorded session, in time order."""
    placed = []
    for row in session:
        if row.click_label is not None:
            i, j, k = (int(index or 0) for index in (row.click_i, row.click_j, row.click_k))
            placed.append(Click((i, j, k), Label.parse(row.click_label)))
    return placed


def replayed(
    method: Method[Any], volume: Volume, session: Session, counts: Sequence[int]
) -> dict[int, Mask]:
    """Masks after so many clicks of a recorded session, each mask fed back as ``S_p``.

    A session that ended early had a perfect mask, which stays.
    """
    scan = method.encode(volume)
    placed = clicks_of(session)
    mask = method.segment(scan, ()).mask
    masks = {0: mask}
    for count in range(1, max(counts) + 1):
        if count <= len(placed):
            mask = method.segment(scan, tuple(placed[:count]), mask).mask
        if count in counts:
            masks[count] = mask
    return masks


def check_same(
    label: str,
    masks: dict[int, Mask],
    lesion: Mask,
    session: Session,
) -> None:
    """Refuse a method that answers the recorded clicks with other masks than were evaluated.

    Args:
        label: What the method is called.
        masks: Its masks, by number of clicks.
        lesion: The truth.
        session: What was recorded.
    """
    for count, mask in masks.items():
        dice, recorded = dice_score(mask, lesion), session[count].dice
        if abs(dice - recorded) > SAME_DICE:
            raise InvalidInput(
                f"{label} does not give the masks of its results: on {session[0].case} it reaches "
                f"a Dice of {dice:.3f} after {count} clicks, but {recorded:.3f} was recorded; name "
                "the checkpoint and the manifest that were evaluated."
            )
