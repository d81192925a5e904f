"""``python -m train compare``: from result folders, or methods, to tables, plots and a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from caiseg.errors import InvalidInput
from train.comparison.comparison import Comparison, compare_methods
from train.comparison.gallery import Gallery, gallery, telling_cases
from train.comparison.method_results import MethodResults, read_method_results
from train.comparison.page import Part, write_report
from train.comparison.plots import dice_by_clicks
from train.comparison.tables import verdict
from train.comparison.written import write_numbers
from train.drawing.static_figure import write_static_figure
from train.evaluation.evaluate import EvaluateOptions, evaluate
from train.evaluation.protocol import EvaluationProtocol
from train.files import CannotWrite
from train.manifest import read_manifest
from train.methods import load_method


@dataclass(frozen=True)
class CompareOptions:
    """What is compared, and where the comparison goes.

    Attributes:
        results: Result folders, by the label that each method gets; ``None`` for its own name.
        out: Folder for the report and its numbers.
        methods: Methods at hand, and their checkpoints, by label. They are drawn in the pictures,
            and evaluated first where no results of that label are given.
        manifest: Where their cases are; nothing is evaluated or drawn without it.
        split: Cases to evaluate methods on.
        protocol: How to evaluate them.
        reference: Label of the method that the others are tested against.
        title: Heading of the report.
        figure: Where to write Dice against clicks as a picture, too.
        device: Where methods compute.
    """

    results: Sequence[tuple[str | None, Path]]
    out: Path
    methods: Mapping[str, Path | None] = field(default_factory=dict)
    manifest: Path | None = None
    split: str = "val"
    protocol: EvaluationProtocol = field(default_factory=EvaluationProtocol)
    reference: str | None = None
    title: str | None = None
    figure: Path | None = None
    device: str = "auto"


def compare(options: CompareOptions) -> Comparison:
    """Compare methods and write the report, its numbers and, where asked for, the figure.

    Raises:
        InvalidInput: Results are missing, damaged or cannot be compared, or a file cannot be
            written.
    """
    results = [read_method_results(folder, label) for label, folder in options.results]
    evaluated, absent = _evaluated(options, {found.label for found in results})
    results += evaluated
    if not results:
        raise InvalidInput(
            "There is nothing to compare; name result folders of python -m train evaluate, or "
            "methods with --method and --manifest."
            + "".join(f" {name}: {why}" for name, why in absent.items())
        )
    comparison = replace(compare_methods(results, options.reference), absent=absent)
    data = comparison.methods[0].summary.data
    title = options.title or f"Interactive segmentation on {Path(data.manifest).stem}, {data.split}"
    galleries, note = _galleries(comparison, options)
    write_numbers(options.out, comparison, title)
    part = Part(comparison, galleries=galleries, gallery_note=note)
    write_report(options.out / "report.html", title, verdict(comparison), [part])
    if options.figure is not None:
        write_static_figure(options.figure, dice_by_clicks(comparison))
    return comparison


def named_folder(text: str) -> tuple[str | None, Path]:
    """Read ``FOLDER`` or ``NAME=FOLDER``."""
    name, separator, folder = text.partition("=")
    return (name, Path(folder)) if separator and name else (None, Path(text))


def named_method(text: str) -> tuple[str, Path | None]:
    """Read ``NAME`` or ``NAME=CHECKPOINT``."""
    name, _, checkpoint = text.partition("=")
    return name, Path(checkpoint) if checkpoint else None


def _evaluated(
    options: CompareOptions, given: set[str]
) -> tuple[list[MethodResults], dict[str, str]]:
    """Evaluate the methods without results, keeping what an earlier run finished.

    Returns:
        Their results, and why there are none of the others.
    """
    results, absent = [], {}
    for name, checkpoint in options.methods.items():
        if name in given:
            continue
        if options.manifest is None:
            raise InvalidInput(
                f"There are no results of {name}; name the manifest to evaluate it on with "
                "--manifest, or its result folder."
            )
        folder = options.out / "evaluations" / name
        try:
            evaluate(
                EvaluateOptions(
                    checkpoint, options.manifest, options.split, folder,
                    options.protocol, resume=True, device=options.device, method=name,
                )
            )  # fmt: skip
        except CannotWrite:
            raise
        except InvalidInput as error:
            absent[name] = str(error)
        else:
            results.append(read_method_results(folder, name))
    return results, absent


def _galleries(comparison: Comparison, options: CompareOptions) -> tuple[list[Gallery], str]:
    """Pictures, and what is to be said about them."""
    if options.manifest is None or not options.methods:
        return [], (
            "No pictures were drawn: masks are not kept with results. Name --manifest and "
            "--method NAME=CHECKPOINT to draw them from the recorded clicks."
        )
    loaded = {
        found.label: load_method(
            found.summary.method, options.methods[found.label], options.device
        ).method
        for found in comparison.methods
        if found.label in options.methods
    }
    cases = {case.name: case for case in read_manifest(options.manifest)}
    chosen = telling_cases(comparison)
    if missing := [name for name in chosen.values() if name not in cases]:
        raise InvalidInput(
            f"{options.manifest} does not list the case {missing[0]} of the results; name the "
            "manifest that they were evaluated on."
        )
    drawn = [gallery(comparison, title, cases[name], loaded) for title, name in chosen.items()]
    return drawn, (
        f"By Dice of {comparison.reference} after all clicks; clicks of the first seed, on the "
        "slice with most lesion."
    )
