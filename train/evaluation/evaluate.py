"""``python -m train evaluate``: judge a checkpoint on one split with simulated clicks."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from caiseg.errors import InvalidInput
from caiseg.predictor import CAISegPredictor
from train.circumstances import machine, versions
from train.evaluation.protocol import EvaluationProtocol, evaluate_case
from train.evaluation.report import figures, summary_table
from train.evaluation.results import RoundRecord, read_results, write_results, write_text
from train.evaluation.simulated_session import Method
from train.manifest import Case, read_manifest, select, split_hash


@dataclass(frozen=True)
class EvaluateOptions:
    """What is evaluated on what, and where results go."""

    checkpoint: Path
    manifest: Path
    split: str
    out: Path
    protocol: EvaluationProtocol
    resume: bool = False
    device: str = "auto"


@dataclass(frozen=True)
class Evaluation:
    """One method under one protocol.

    Attributes:
        method: What answers the clicks.
        name: What it is called in the results.
        identity: Tells its weights from all others; a resumed run keeps only what an identical
            method gave.
        protocol: How it is clicked and judged.
        parts: Folder with one file per finished case.
    """

    method: Method[Any]
    name: str
    identity: str
    protocol: EvaluationProtocol
    parts: Path

    def part(self, case: Case, content: str) -> Path:
        """The file that keeps a case's rows; another one for other files or circumstances."""
        circumstances = [
            self.name, self.identity, self.protocol.model_dump(mode="json"), case.name,
            case.patient, content,
        ]  # fmt: skip
        key = hashlib.sha256(json.dumps(circumstances, sort_keys=True).encode()).hexdigest()
        return self.parts / f"{re.sub(r'[^A-Za-z0-9._-]', '_', case.name)[:80]}-{key[:16]}.csv"


@dataclass
class Outcome:
    """What came of a set of cases.

    Attributes:
        records: Rows of the evaluated cases.
        content: Hash of the files of every evaluated case, by name.
        failed: Why the other cases could not be evaluated, by name.
    """

    records: list[RoundRecord] = field(default_factory=list)
    content: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Evaluate a checkpoint; write ``results.csv`` and ``summary.json``.

    Returns:
        The summary.

    Raises:
        InvalidInput: The checkpoint or the manifest cannot be used, or not one case could be
            evaluated.
    """
    cases = read_manifest(options.manifest)
    chosen = select(cases, options.split)
    predictor = CAISegPredictor.from_checkpoint(options.checkpoint, options.device)
    evaluation = Evaluation(
        predictor, "caiseg", predictor.checkpoint_hash, options.protocol, options.out / "cases"
    )
    console = Console(file=sys.stdout)
    outcome = run_cases(evaluation, chosen, resume=options.resume, console=console)
    records = outcome.records
    summary = {
        "method": evaluation.name,
        "checkpoint": {
            "file": options.checkpoint.name,
            "name": predictor.info.name if predictor.info else "",
            "sha256": predictor.checkpoint_hash,
        },
        "data": {
            "manifest": options.manifest.name,
            "split": options.split,
            "split_hash": split_hash(cases),
            "content_hash": hashlib.sha256(
                json.dumps(outcome.content, sort_keys=True).encode()
            ).hexdigest(),
            "cases": len(chosen),
            "evaluated": len(outcome.content),
            "without_lesion": sorted({row.case for row in records if row.lesion_ml == 0}),
        },
        "settings": options.protocol.model_dump(mode="json"),
        "failed": [{"case": case, "reason": why} for case, why in outcome.failed.items()],
        "figures": figures(records, options.protocol.clicks) if records else None,
        "machine": machine(predictor.device),
        "versions": versions(),
    }
    write_results(options.out / "results.csv", records)
    write_text(options.out / "summary.json", json.dumps(summary, indent=2) + "\n")
    if not records:
        raise InvalidInput(
            f"None of the {len(chosen)} cases could be evaluated. "
            f"{next(iter(outcome.failed.values()))}"
        )
    console.print(summary_table(summary))
    return summary


def run_cases(
    evaluation: Evaluation, cases: Sequence[Case], *, resume: bool, console: Console
) -> Outcome:
    """Evaluate cases one after the other; one that fails is named, and the rest goes on.

    Args:
        evaluation: Method and protocol.
        cases: What to evaluate.
        resume: Keep the cases that an earlier run finished under the same circumstances.
        console: Where progress is shown.

    Raises:
        InvalidInput: Rows cannot be written.
    """
    outcome = Outcome()
    rounds = evaluation.protocol.seeds * (evaluation.protocol.clicks + 1)
    with _progress(console) as progress:
        task = progress.add_task(evaluation.name, total=rounds * len(cases), case="")
        evaluated = 0
        for left, case in zip(range(len(cases) - 1, -1, -1), cases, strict=True):
            progress.update(task, case=case.name)
            try:
                content = content_hash(case)
                part = evaluation.part(case, content)
                kept = _kept(part) if resume else None
                records = kept or evaluate_case(
                    evaluation.method, evaluation.name, case, evaluation.protocol,
                    lambda: progress.advance(task),
                )  # fmt: skip
            except InvalidInput as error:
                outcome.failed[case.name] = str(error)
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                outcome.failed[case.name] = "There is not enough memory for this case."
            else:
                if kept is None:
                    write_results(part, records)
                    evaluated += rounds
                outcome.records += records
                outcome.content[case.name] = content
            # Cases that were kept or failed took no time: counting them would spoil the estimate.
            progress.update(task, completed=evaluated, total=evaluated + left * rounds)
        progress.update(task, case="")
    return outcome


def content_hash(case: Case) -> str:
    """SHA-256 of the bytes of a case's scan and mask.

    Raises:
        InvalidInput: One of them cannot be read.
    """
    digest = hashlib.sha256()
    for path in (case.image, case.mask):
        try:
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise InvalidInput(
                f"Case {case.name}: {path} cannot be read: {error.strerror}."
            ) from error
    return digest.hexdigest()


def _kept(part: Path) -> list[RoundRecord] | None:
    """Rows of an earlier run; ``None`` if there are none that this version reads."""
    if not part.is_file():
        return None
    try:
        return read_results(part)
    except InvalidInput:
        return None


def _out_of_memory(error: Exception) -> bool:
    """PyTorch has a type for a full accelerator but only a message for full main memory."""
    full = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return full or "can't allocate memory" in str(error)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[case]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )
