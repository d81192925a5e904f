"""``python -m train evaluate``: judge a method on one split with simulated clicks."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric
from rich.console import Console

from caiseg.errors import InvalidInput
from train.circumstances import machine, versions
from train.evaluation.cases import Outcome, run_cases
from train.evaluation.choice import choose_methods
from train.evaluation.machines import launch, merged, share
from train.evaluation.parallel import Recipe, run_in_workers
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.report import figures, summary_table
from train.evaluation.results import write_results, write_text
from train.manifest import Case, read_manifest, select, split_hash
from train.methods import LoadedMethod, load_method
from train.workers import threads_of


@dataclass(frozen=True)
class EvaluateOptions:
    """What is evaluated on what, and where results go.

    Attributes:
        checkpoint: Weights; ``None`` for a method without any.
        manifest: Lists the cases.
        split: Which of them.
        out: Folder for ``results.csv`` and ``summary.json``.
        protocol: How to click and what to measure.
        resume: Keep the cases that an earlier run finished under the same circumstances.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        method: Key of :data:`train.methods.METHODS`; that of the checkpoint when left out.
        workers: Processes that share the cases; 0 evaluates them in this one, which ends where the
            kernel runs out of memory.
        devices: Processes of Fabric on each machine.
        nodes: Machines.
    """

    checkpoint: Path | None
    manifest: Path
    split: str
    out: Path
    protocol: EvaluationProtocol
    resume: bool = False
    device: str = "auto"
    method: str | None = None
    workers: int = 0
    devices: int = 1
    nodes: int = 1


def evaluate(options: EvaluateOptions, fabric: Fabric | None = None) -> dict[str, Any]:
    """Evaluate one method; write ``results.csv`` and ``summary.json``.

    Args:
        options: What, on what, and how.
        fabric: Launched processes that share the cases; launched here when left out, which works
            once in a run where there are several.

    Returns:
        The summary.

    Raises:
        InvalidInput: The checkpoint or the manifest cannot be used, or not one case could be
            evaluated.
        KeyboardInterrupt: Ctrl-C ended it; what was finished is written, and the rest named.
    """
    cases = read_manifest(options.manifest)
    chosen = select(cases, options.split)
    ((name, _),) = choose_methods(
        [options.method] if options.method else [],
        [] if options.checkpoint is None or options.method else [str(options.checkpoint)],
    )
    if fabric is None:
        fabric = launch(options.device, options.devices, options.nodes)
    device = options.device if fabric.world_size == 1 else str(fabric.device)
    loaded = load_method(name, options.checkpoint, device)
    recipe = Recipe(name, options.checkpoint, device, options.protocol, options.out / "cases")
    console = Console(file=sys.stdout, quiet=not fabric.is_global_zero)
    mine = share(chosen, fabric)
    if options.workers:
        outcome = run_in_workers(
            recipe, mine, workers=options.workers, resume=options.resume, console=console
        )
    else:
        evaluation = recipe.evaluation_of(loaded)
        outcome = run_cases(evaluation, mine, resume=options.resume, console=console)
    outcome = merged(outcome, chosen, fabric)
    summary = summarise(options, loaded, cases, chosen, outcome)
    if fabric.is_global_zero:
        write_results(options.out / "results.csv", outcome.records)
        write_text(options.out / "summary.json", json.dumps(summary, indent=2) + "\n")
    if outcome.interrupted:
        raise KeyboardInterrupt
    if not outcome.records:
        raise InvalidInput(
            f"None of the {len(chosen)} cases could be evaluated. "
            f"{next(iter(outcome.failed.values()))}"
        )
    console.print(summary_table(summary))
    return summary


def summarise(
    options: EvaluateOptions,
    loaded: LoadedMethod,
    cases: Sequence[Case],
    chosen: Sequence[Case],
    outcome: Outcome,
) -> dict[str, Any]:
    """Everything about an evaluation but its rows, as JSON types.

    Args:
        options: What was asked for.
        loaded: The method.
        cases: The whole manifest.
        chosen: Its cases of the split.
        outcome: What came of them.
    """
    records = outcome.records
    content = json.dumps(outcome.content, sort_keys=True)
    checkpoint = options.checkpoint
    return {
        "method": loaded.name,
        "checkpoint": None
        if checkpoint is None
        else {
            "file": checkpoint.name,
            "name": loaded.title,
            "sha256": loaded.identity,
            "licence": loaded.licence,
            "provenance": dict(loaded.provenance),
        },
        "identity": loaded.identity,
        "data": {
            "manifest": options.manifest.name,
            "split": options.split,
            "split_hash": split_hash(cases),
            "content_hash": hashlib.sha256(content.encode()).hexdigest(),
            "cases": len(chosen),
            "evaluated": len(outcome.content),
            "failed": len(outcome.failed),
            "without_lesion": sorted({row.case for row in records if row.lesion_ml == 0}),
        },
        "settings": options.protocol.model_dump(mode="json"),
        "failed": [{"case": case, "reason": why} for case, why in outcome.failed.items()],
        "figures": figures(records, options.protocol.clicks) if records else None,
        "machine": {
            **machine(loaded.device),
            "threads": threads_of(options.workers),
            # Cases that are evaluated at once slow each other down.
            "processes": options.devices * options.nodes * max(1, options.workers),
        },
        "versions": versions(),
    }
