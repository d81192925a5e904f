"""``python -m train ablate``: train and evaluate variants of a config, and compare them.

All variants get the same data, schedule and seeds. What is finished is kept: the same command goes
on where an earlier one stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from caiseg.checkpoint import read_description
from caiseg.errors import InvalidInput
from train.comparison.comparison import Comparison, compare_methods
from train.comparison.drawn_cases import draw_cases
from train.comparison.gallery import Gallery
from train.comparison.method_results import MethodResults, read_method_results
from train.comparison.page import Part, write_report
from train.comparison.studies import FULL, STUDIES, Study, Variant, read_studies
from train.comparison.trainings import merged
from train.comparison.written import write_numbers
from train.config import ExperimentConfig, load_config
from train.evaluation.evaluate import EvaluateOptions, evaluate
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.target import Target
from train.export import export
from train.files import CannotWrite
from train.fit import FitOptions, fit
from train.run_folder import RunFolder


@dataclass(frozen=True)
class AblateOptions:
    """What is trained on what, and where it goes.

    Attributes:
        config: Name of a built-in config, or a YAML file: the full model.
        manifest: Labelled scans, with the splits ``train`` and ``val`` and that of ``split``.
        out: Folder for runs, evaluations and the report.
        overrides: ``section.key=value`` for every variant, a shorter schedule, say.
        studies: File with the variants.
        names: Which studies; all when empty.
        seeds: Trainings of each variant, with the seeds 0, 1, ...
        split: What is evaluated.
        protocol: How; which lesion and which volume of 4-D scans are the config's own.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        workers: Processes that prepare samples.
        case_workers: Processes that share the cases of an evaluation.
    """

    config: str
    manifest: Path
    out: Path
    overrides: Sequence[str] = ()
    studies: Path = STUDIES
    names: Sequence[str] = ()
    seeds: int = 3
    split: str = "val"
    protocol: EvaluationProtocol = field(default_factory=EvaluationProtocol)
    accelerator: str = "auto"
    workers: int = 1
    case_workers: int = 0


def ablate(options: AblateOptions) -> dict[str, Comparison]:
    """Run the studies; write ``report.html`` and, per study, the numbers.

    A variant that cannot be trained or evaluated is named in the report, and the rest goes on.

    Returns:
        The comparison of each study.

    Raises:
        InvalidInput: The config, a variant or the manifest cannot be used, the full model cannot
            be trained, or the folder holds runs of another config.
    """
    full = load_config(options.config, options.overrides)
    options = replace(options, protocol=options.protocol.aimed_at(Target.of_config(full.data)))
    studies = read_studies(options.studies, options.names)
    variants = {variant.folder: variant for study in studies for variant in study.variants}
    runs = [run for seed in range(options.seeds) for run in _runs(variants.values(), options, seed)]
    for run in runs:
        run.refuse_another_config()
    console, failed = Console(), dict[str, str]()
    for number, run in enumerate(runs, start=1):
        console.print(f"{number} of {len(runs)}: {run.variant.label}, seed {run.config.seed}")
        try:
            run.train_and_evaluate(options)
        except CannotWrite:
            raise
        except InvalidInput as error:
            if run.variant.label == FULL:
                raise
            failed[run.variant.folder] = str(error)
            console.print(f"[red]{error}[/]")
    results = {
        folder: merged(variant.label, [run.results() for run in runs if run.variant is variant])
        for folder, variant in variants.items()
        if folder not in failed
    }
    return _report(studies, results, failed, options)


@dataclass(frozen=True)
class _Run:
    """One training of one variant, and its evaluation."""

    variant: Variant
    config: ExperimentConfig
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """Exported once the training is finished, so that its presence says so."""
        return self.folder / "checkpoint.safetensors"

    def refuse_another_config(self) -> None:
        """Refuse to take the checkpoint of another config for this one's.

        Raises:
            InvalidInput: The folder holds one.
        """
        if not self.checkpoint.is_file():
            return
        kept = read_description(self.checkpoint).provenance.get("experiment")
        if ExperimentConfig.model_validate(kept) != self.config:
            raise InvalidInput(
                f"{self.folder} holds a run of another config; give the same config and --set, or "
                "choose another folder."
            )

    def train_and_evaluate(self, options: AblateOptions) -> None:
        """Do what is not done yet.

        Raises:
            InvalidInput: The variant cannot be trained or evaluated.
        """
        if not self.checkpoint.is_file():
            training = self.folder / "run"
            fit(
                self.config,
                FitOptions(
                    config_name=options.config, out=training, cache=options.out / "cache",
                    manifest=options.manifest, resume=RunFolder(training).state_path.is_file(),
                    accelerator=options.accelerator, workers=options.workers,
                ),
            )  # fmt: skip
            export(training, self.checkpoint)
        evaluate(
            EvaluateOptions(
                self.checkpoint, options.manifest, options.split, self.folder / "evaluation",
                options.protocol, resume=True, device=options.accelerator,
                workers=options.case_workers,
            )
        )  # fmt: skip

    def results(self) -> MethodResults:
        """What the evaluation wrote."""
        return read_method_results(self.folder / "evaluation", self.variant.label)


def _runs(variants: Iterable[Variant], options: AblateOptions, seed: int) -> list[_Run]:
    """Every variant with one seed."""
    return [
        _Run(
            variant,
            load_config(options.config, [*options.overrides, *variant.overrides, f"seed={seed}"]),
            options.out / "variants" / variant.folder / f"seed{seed}",
        )
        for variant in variants
    ]


def _report(
    studies: Sequence[Study],
    results: dict[str, MethodResults],
    failed: dict[str, str],
    options: AblateOptions,
) -> dict[str, Comparison]:
    title = f"Ablations of {Path(options.config).stem} on {options.manifest.stem}, {options.split}"
    comparisons, parts = {}, []
    for study in studies:
        trained = [variant for variant in study.variants if variant.folder in results]
        comparison = compare_methods([results[variant.folder] for variant in trained], FULL)
        write_numbers(options.out / study.name, comparison, study.title)
        comparisons[study.name] = comparison
        changes = [(item.label, ", ".join(item.overrides)) for item in study.variants[1:]]
        lost = [
            (item.label, f"could not be compared: {failed[item.folder]}")
            for item in study.variants
            if item.folder in failed
        ]
        pictures = _pictures(comparison, trained, options)
        parts.append(Part(comparison, study.name, study.title, [*changes, *lost], *pictures))
    times = "once" if options.seeds == 1 else f"{options.seeds} times"
    budget = (
        f"Every variant was trained {times} with the same data and schedule; a variant "
        "differs from the full model in the keys named with it."
    )
    write_report(options.out / "report.html", title, budget, parts)
    return comparisons


def _pictures(
    comparison: Comparison, trained: Iterable[Variant], options: AblateOptions
) -> tuple[list[Gallery], str]:
    """Cases drawn with the first training of each variant, or why there are none.

    Hours of training are behind a report, which pictures must not cost.
    """
    checkpoints = {run.variant.label: run.checkpoint for run in _runs(trained, options, seed=0)}
    try:
        return draw_cases(comparison, options.manifest, checkpoints, options.accelerator)
    except InvalidInput as error:
        return [], f"No pictures were drawn: {error}"
