"""``python -m train explain``: the maps behind every click of one case, as in Fig. 4."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from caiseg.checkpoint import CAISEG
from caiseg.clicks import Click
from caiseg.errors import InvalidInput
from caiseg.predictor import CAISegPredictor, SegmentationResult
from caiseg.volume import Volume
from train.click_simulation import Mask, next_click
from train.drawing.page import write_page
from train.drawing.slices import SliceView, draw_slice, grey, heat, legend, scale_bar, view_of
from train.evaluation.choice import target_of
from train.evaluation.metrics import dice_score
from train.evaluation.modality import check_modality
from train.evaluation.target import AS_TRAINED, AskedTarget
from train.manifest import Case, read_manifest


@dataclass(frozen=True)
class ExplainOptions:
    """What is explained, and where the page goes.

    Attributes:
        checkpoint: CAISeg's weights.
        manifest: Lists the case.
        case: Its name.
        out: Folder for ``explanation.html``.
        clicks: Most clicks, each at the centre of the largest error.
        asked: Which lesion and which volume of a 4-D scan; what the checkpoint was trained for
            where left out.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """

    checkpoint: Path
    manifest: Path
    case: str
    out: Path
    clicks: int = 5
    asked: AskedTarget = AS_TRAINED
    device: str = "auto"


@dataclass(frozen=True)
class ExplainedRound:
    """One row of the page: the maps on the slice of the newest click.

    Attributes:
        title: Which click this was, and what came of it.
        panels: Pictures and what they show.
    """

    title: str
    panels: list[tuple[Markup, str]]


def explain(options: ExplainOptions) -> Path:
    """Click a case, and draw after every click what the network made of it.

    Returns:
        The page.

    Raises:
        InvalidInput: The checkpoint, the manifest or the case cannot be used, the case is of
            another modality than the checkpoint, or the page cannot be written.
    """
    case = _named(read_manifest(options.manifest), options.case)
    predictor = CAISegPredictor.from_checkpoint(options.checkpoint, options.device)
    target = target_of([(CAISEG, options.checkpoint)], options.asked)
    volume, lesion = case.load(target.label_values, target.channel)
    check_modality(case, volume, predictor.preprocessing.modality)
    rounds = list(explained(predictor, volume, lesion, options.clicks))
    page = options.out / "explanation.html"
    name = predictor.info.name if predictor.info else options.checkpoint.stem
    write_page(
        page, "explanation.html", title=f"{name} on {case.name}", rounds=rounds, legend=legend(),
        scale=scale_bar(),
    )  # fmt: skip
    return page


def explained(
    predictor: CAISegPredictor, volume: Volume, lesion: Mask, clicks: int
) -> Iterator[ExplainedRound]:
    """Rounds without a click, then with one click more each, until the mask is perfect.

    Args:
        predictor: CAISeg.
        volume: The scan.
        lesion: Ground truth ``(I, J, K)`` on the display grid.
        clicks: Most clicks.
    """
    scan = predictor.encode(volume)
    result = predictor.segment(scan, [])
    placed: list[Click] = []
    yield _round(volume, lesion, result, placed)
    for _ in range(clicks):
        click = next_click(result.mask, lesion, volume.spacing)
        if click is None:
            return
        placed.append(click)
        result = predictor.segment(scan, placed, result.mask)
        yield _round(volume, lesion, result, placed)


def _round(
    volume: Volume, lesion: Mask, result: SegmentationResult, placed: list[Click]
) -> ExplainedRound:
    newest = placed[-1] if placed else None
    view = view_of([lesion, result.mask], volume.spacing, through=newest.voxel if newest else None)
    dice = f"Dice {100 * dice_score(result.mask, lesion):.1f} %"
    if newest is None:
        title = f"Without clicks: {dice}"
    else:
        kind = "foreground" if newest.label else "background"
        title = f"Click {len(placed)}, {kind} at {newest.voxel}: {dice}"
    scan = draw_slice(
        view, grey(view.cut(volume.data)), label=title, truth=lesion, mask=result.mask,
        clicks=placed,
    )  # fmt: skip
    panels = [(scan, "scan, truth, mask and clicks")]
    for values, caption in _maps(view, result):
        svg = draw_slice(view, heat(values), label=caption, truth=lesion, clicks=placed)
        panels.append((svg, caption))
    return ExplainedRound(title, panels)


def _maps(
    view: SliceView, result: SegmentationResult
) -> Iterator[tuple[npt.NDArray[np.float32], str]]:
    """What the network computed, each map in [0, 1]; there is no affinity without a click."""
    background, foreground = result.affinity
    before, after = result.coarse
    if foreground.any():
        yield view.cut(foreground), "affinity to the best foreground click"
    if background.any():
        yield view.cut(background), "affinity to the best background click"
    yield view.cut(before), "coarse prediction before the adjustment"
    if foreground.any() or background.any():
        yield view.cut(after), "coarse prediction after the adjustment"
    yield view.cut(result.probability), "probability of the mask"


def _named(cases: list[Case], name: str) -> Case:
    for case in cases:
        if case.name == name:
            return case
    raise InvalidInput(
        f"The manifest has no case '{name}'; its first ones are "
        f"{', '.join(case.name for case in cases[:3])}."
    )
