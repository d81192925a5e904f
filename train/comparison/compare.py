"""``python -m train compare``: from result folders, or methods, to tables, plots and a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from caiseg.errors import InvalidInput
from train.comparison.comparison import Comparison, compare_methods
from train.comparison.drawn_cases import draw_cases
from train.comparison.gallery import Gallery
from train.comparison.gathered import EvaluationAtHand, Gathered, ResultFolders, gather
from train.comparison.page import Part, write_report
from train.comparison.plots import dice_by_clicks
from train.comparison.tables import verdict
from train.comparison.written import write_numbers
from train.drawing.static_figure import write_static_figure
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.rules import RANDOM_FOLDER
from train.evaluation.target import AS_TRAINED, AskedTarget


@dataclass(frozen=True)
class CompareOptions:
    """What is compared, and where the comparison goes.

    Attributes:
        results: Result folders of each method.
        out: Folder for the report and its numbers.
        methods: Methods at hand, and their checkpoints, by label. They are drawn in the pictures,
            and evaluated first where no results of that label are given.
        manifest: Where their cases are; nothing is evaluated or drawn without it.
        split: Cases to evaluate methods on.
        protocols: How to evaluate them, once for each click rule.
        asked: Which lesion and which volume of 4-D scans then counts; what the weights were trained
            for where left out.
        reference: Label of the method that the others are tested against.
        title: Heading of the report.
        figure: Where to write Dice against clicks as a picture, too.
        device: Where methods compute.
        workers: Processes that share the cases of an evaluation; 0 for this one.
    """

    results: Sequence[ResultFolders]
    out: Path
    methods: Mapping[str, Path | None] = field(default_factory=dict)
    manifest: Path | None = None
    split: str = "val"
    protocols: Sequence[EvaluationProtocol] = (EvaluationProtocol(),)
    asked: AskedTarget = AS_TRAINED
    reference: str | None = None
    title: str | None = None
    figure: Path | None = None
    device: str = "auto"
    workers: int = 0


def compare(options: CompareOptions) -> Comparison:
    """Compare methods and write the report, its numbers and, where asked for, the figure.

    A method without usable results is named with the reason, and the others are compared. Results
    of the random rule that lie beside those of the centre rule become a part of their own.

    Returns:
        The comparison; of two, that by the centre rule.

    Raises:
        InvalidInput: No results can be used, or they cannot be compared, or a file cannot be
            written.
    """
    how = EvaluationAtHand(
        options.out / "evaluations", options.manifest, options.split, options.protocols,
        options.asked, options.device, options.workers,
    )  # fmt: skip
    found = gather(options.results, options.methods, how)
    comparison, *others = [_compared(gathered, options.reference) for gathered in found]
    data = comparison.methods[0].summary.data
    title = options.title or f"Interactive segmentation on {Path(data.manifest).stem}, {data.split}"
    galleries, note = _galleries(comparison, options)
    write_numbers(options.out, comparison, title)
    part = Part(comparison, galleries=galleries, gallery_note=note)
    parts = [part] if not others else [replace(part, heading=_rule(comparison))]
    for other in others:
        write_numbers(options.out / RANDOM_FOLDER, other, f"{title}: {_rule(other).lower()}")
        parts.append(Part(other, key=RANDOM_FOLDER, heading=_rule(other)))
    lead = "Measured by two click rules, one after the other." if others else verdict(comparison)
    write_report(options.out / "report.html", title, lead, parts)
    if options.figure is not None:
        write_static_figure(options.figure, dice_by_clicks(comparison))
    return comparison


def named_folders(text: str) -> ResultFolders:
    """Read ``FOLDER``, ``NAME=FOLDER`` or, one for each training, ``NAME=FOLDER,FOLDER``."""
    name, separator, rest = text.partition("=")
    if separator and name:
        return ResultFolders([Path(folder) for folder in rest.split(",")], name)
    return ResultFolders([Path(text)])


def named_method(text: str) -> tuple[str, Path | None]:
    """Read ``NAME`` or ``NAME=CHECKPOINT``."""
    name, _, checkpoint = text.partition("=")
    return name, Path(checkpoint) if checkpoint else None


def _compared(gathered: Gathered, reference: str | None) -> Comparison:
    if not gathered.results:
        raise InvalidInput(
            "There is nothing to compare; name result folders of python -m train evaluate, or "
            "methods with --method and --manifest."
            + "".join(f" {name}: {why}" for name, why in gathered.absent.items())
        )
    if reference in gathered.absent:
        raise InvalidInput(
            f"The reference {reference} cannot be compared: {gathered.absent[reference]}"
        )
    return replace(compare_methods(gathered.results, reference), absent=gathered.absent)


def _rule(comparison: Comparison) -> str:
    """What the part of one rule is headed."""
    protocol = comparison.protocol
    if protocol.seeds == 1:
        return f"Clicks by the {protocol.rule.value} rule"
    return f"Clicks by the {protocol.rule.value} rule, {protocol.seeds} sessions a case"


def _galleries(comparison: Comparison, options: CompareOptions) -> tuple[list[Gallery], str]:
    """Pictures, and what is to be said about them."""
    if options.manifest is None or not options.methods:
        return [], (
            "No pictures were drawn: masks are not kept with results. Name --manifest and "
            "--method NAME=CHECKPOINT to draw them from the recorded clicks."
        )
    return draw_cases(comparison, options.manifest, options.methods, options.device)
