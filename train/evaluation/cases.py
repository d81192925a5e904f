"""From cases to rows: one after the other, finished ones kept, failed ones named."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from caiseg.errors import InvalidInput
from caiseg.preprocessing import Intensities
from train.circumstances import code_hash, libraries
from train.evaluation.begun import begun
from train.evaluation.progress import EvaluationProgress
from train.evaluation.protocol import EvaluationProtocol, evaluate_case
from train.evaluation.results import RoundRecord, read_results, write_results
from train.evaluation.simulated_session import Method
from train.files import CannotWrite
from train.full_memory import says_memory_is_full
from train.manifest import Case

INTERRUPTED = "The evaluation was interrupted before this case was finished; go on with --resume."


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
        modality: The only modality that the method knows; ``None`` for any.
        device: What it computes on.
    """

    method: Method[Any]
    name: str
    identity: str
    protocol: EvaluationProtocol
    parts: Path
    modality: Intensities | None = None
    device: str = "cpu"

    @property
    def rounds(self) -> int:
        """Rounds of one case, over all its seeds."""
        return self.protocol.seeds * (self.protocol.clicks + 1)

    def part(self, case: Case, content: str) -> Path:
        """The file that keeps a case's rows; another one for other files or circumstances."""
        circumstances = [
            self.name, self.identity, self.protocol.model_dump(mode="json"), case.name,
            case.patient, content, code_hash(), libraries(), self.device,
        ]  # fmt: skip
        key = hashlib.sha256(json.dumps(circumstances, sort_keys=True).encode()).hexdigest()
        return self.parts / f"{re.sub(r'[^A-Za-z0-9._-]', '_', case.name)[:80]}-{key[:16]}.csv"


@dataclass(frozen=True)
class CaseOutcome:
    """What came of one case.

    Attributes:
        case: Its name.
        records: Its rows; none where it failed.
        content: Hash of its files; empty where it failed.
        failure: Why it could not be evaluated; empty where it could.
        kept: Whether an earlier run had finished it.
    """

    case: str
    records: tuple[RoundRecord, ...] = ()
    content: str = ""
    failure: str = ""
    kept: bool = False


@dataclass
class Outcome:
    """What came of a set of cases.

    Attributes:
        records: Rows of the evaluated cases.
        content: Hash of the files of every evaluated case, by name.
        failed: Why the other cases could not be evaluated, by name.
        interrupted: Whether cases are missing because a person stopped the run.
    """

    records: list[RoundRecord] = field(default_factory=list)
    content: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    @classmethod
    def of(cls, outcomes: Iterable[CaseOutcome], cases: Sequence[Case]) -> Outcome:
        """The outcomes of ``cases``, in their order; those without one were interrupted."""
        by_name = {outcome.case: outcome for outcome in outcomes}
        together = cls(interrupted=len(by_name) < len(cases))
        for case in cases:
            outcome = by_name.get(case.name, CaseOutcome(case.name, failure=INTERRUPTED))
            if outcome.failure:
                together.failed[outcome.case] = outcome.failure
            else:
                together.records += outcome.records
                together.content[outcome.case] = outcome.content
        return together


def run_cases(
    evaluation: Evaluation, cases: Sequence[Case], *, resume: bool, console: Console
) -> Outcome:
    """Evaluate cases one after the other; one that fails is named, and the rest goes on.

    Ctrl-C ends it with what is finished.

    Args:
        evaluation: Method and protocol.
        cases: What to evaluate.
        resume: Keep the cases that an earlier run finished under the same circumstances.
        console: Where progress is shown.

    Raises:
        InvalidInput: Rows cannot be written.
    """
    outcomes = []
    with (
        EvaluationProgress(console, evaluation.name, len(cases), evaluation.rounds) as progress,
        suppress(KeyboardInterrupt),
    ):
        for case in cases:
            progress.begin(case.name)
            outcome = attempt(evaluation, case, resume=resume, step=progress.step)
            progress.end(worked=not (outcome.kept or outcome.failure))
            outcomes.append(outcome)
    return Outcome.of(outcomes, cases)


def attempt(
    evaluation: Evaluation,
    case: Case,
    *,
    resume: bool,
    step: Callable[[], None] = lambda: None,
) -> CaseOutcome:
    """Evaluate one case and write its rows, or say why that cannot be.

    Args:
        evaluation: Method and protocol.
        case: The case.
        resume: Keep the rows of an earlier run under the same circumstances, and give the case up
            if such runs ended at it.
        step: Called after every round.

    Raises:
        CannotWrite: Rows cannot be written, which is no fault of the case.
    """
    try:
        content = content_hash(case)
        part = evaluation.part(case, content)
        kept = _kept(part) if resume else None
        if kept is not None:
            return CaseOutcome(case.name, tuple(kept), content, kept=True)
        with begun(part, resume=resume):
            records = evaluate_case(
                evaluation.method, evaluation.name, case, evaluation.protocol, step,
                modality=evaluation.modality,
            )  # fmt: skip
        write_results(part, records)
    except CannotWrite:
        raise
    except InvalidInput as error:
        return CaseOutcome(case.name, failure=str(error))
    except (MemoryError, RuntimeError) as error:
        if not says_memory_is_full(error):
            raise
        return CaseOutcome(case.name, failure="There is not enough memory for this case.")
    return CaseOutcome(case.name, tuple(records), content)


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
        return read_results(part) or None
    except InvalidInput:
        return None
