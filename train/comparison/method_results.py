"""What one method reached: the result folder of an evaluation, read and checked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from caiseg.errors import InvalidInput
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.results import RoundRecord, read_results

Session = Sequence[RoundRecord]
"""Rows of one case and one seed, by round."""


class _Part(BaseModel):
    """A part of a summary; what is not needed here is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Failure(_Part):
    """A case that a method could not be evaluated on, and why."""

    case: str
    reason: str


class EvaluatedData(_Part):
    """What an evaluation says about its data."""

    manifest: str
    split: str
    split_hash: str
    content_hash: str
    cases: int


class Weights(_Part):
    """The checkpoint of a method."""

    file: str = ""
    sha256: str = ""
    licence: str = ""
    provenance: dict[str, Any] = {}
    """How they were made, as the checkpoint says: config, epochs, hours, command, commit."""


class EvaluationSummary(_Part):
    """The parts of ``summary.json`` that a comparison rests on."""

    method: str
    data: EvaluatedData
    settings: EvaluationProtocol
    failed: tuple[Failure, ...] = ()
    checkpoint: Weights | None = None
    machine: dict[str, Any] = {}
    versions: dict[str, Any] = {}


@dataclass(frozen=True)
class MethodResults:
    """One method's rows and what its evaluation says about itself.

    Attributes:
        label: What the method is called in the comparison.
        sessions: Rows of every case and seed, by round; all of ``clicks + 1`` rows.
        summary: Where they come from; of several trainings, the first one's.
        weights: Of every training; none for a method without any.
        trainings: How many there are, each with the same number of seeds, one after the other.
    """

    label: str
    sessions: dict[tuple[str, int], Session]
    summary: EvaluationSummary
    weights: tuple[Weights, ...] = ()
    trainings: int = 1

    @property
    def cases(self) -> list[str]:
        """Names of the evaluated cases, sorted."""
        return sorted({case for case, _ in self.sessions})

    @property
    def seeds(self) -> list[int]:
        """Seeds of every case, sorted."""
        return sorted({seed for _, seed in self.sessions})

    @property
    def repeats(self) -> list[list[int]]:
        """Seeds by what their spread is taken over: trainings, or single seeds of one training."""
        each = len(self.seeds) // self.trainings if self.trainings > 1 else 1
        return [self.seeds[start : start + each] for start in range(0, len(self.seeds), each)]

    @property
    def lesion_ml(self) -> dict[str, float]:
        """Lesion volume of each case, which tells the same truth from another one."""
        return {case: rows[0].lesion_ml for (case, _), rows in self.sessions.items()}


def read_method_results(folder: Path, label: str | None = None) -> MethodResults:
    """Read the folder that ``python -m train evaluate`` wrote.

    Args:
        folder: Holds ``results.csv`` and ``summary.json``.
        label: What to call the method; its own name when left out.

    Raises:
        InvalidInput: A file is missing or damaged, or a case lacks rounds or seeds.
    """
    summary_path, rows_path = folder / "summary.json", folder / "results.csv"
    if not (summary_path.is_file() and rows_path.is_file()):
        if (folder / "cases").is_dir():
            finished = len(list((folder / "cases").glob("*.csv")))
            raise InvalidInput(
                f"The evaluation in {folder} ended after {finished} cases; run it again with "
                "--resume, which keeps them."
            )
        raise InvalidInput(
            f"{folder} holds no summary.json and results.csv; name a folder that "
            "python -m train evaluate wrote."
        )
    try:
        summary = EvaluationSummary.model_validate(json.loads(summary_path.read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise InvalidInput(
            f"{summary_path} is not the summary of an evaluation by this version; evaluate again."
        ) from error
    records = read_results(rows_path)
    if not records and summary.failed:
        raise InvalidInput(
            f"None of its {summary.data.cases} cases could be evaluated. {summary.failed[0].reason}"
        )
    if not records:
        raise InvalidInput(f"{rows_path} holds no case; evaluate again and see why cases failed.")
    return MethodResults(
        label or summary.method,
        grouped(records, summary.settings, rows_path),
        summary,
        () if summary.checkpoint is None else (summary.checkpoint,),
    )


def grouped(
    records: Sequence[RoundRecord], protocol: EvaluationProtocol, source: Path
) -> dict[tuple[str, int], Session]:
    """Rows by case and seed, each session complete and every case with the same seeds.

    Raises:
        InvalidInput: Rows are missing or come twice; ``source`` is named.
    """
    sessions: dict[tuple[str, int], list[RoundRecord]] = {}
    for row in sorted(records, key=lambda row: (row.case, row.seed, row.round)):
        sessions.setdefault((row.case, row.seed), []).append(row)
    rounds = list(range(protocol.clicks + 1))
    for (case, _), rows in sessions.items():
        if [row.round for row in rows] != rounds:
            raise InvalidInput(
                f"{source}: case {case} does not have one row for each of {len(rounds)} rounds; "
                "evaluate again."
            )
        if protocol.measures_surface(protocol.clicks) and rows[-1].hd95_mm is None:
            raise InvalidInput(
                f"{source}: case {case} lacks surface distances in the last round; evaluate again."
            )
    seeds = Counter(case for case, _ in sessions)
    for case, count in seeds.items():
        if count != protocol.seeds:
            raise InvalidInput(
                f"{source}: case {case} has {count} of {protocol.seeds} seeds; evaluate again."
            )
    return dict(sessions)
