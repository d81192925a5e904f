"""``python -m train prepare``: from a data set as downloaded to a manifest and a cache."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from caiseg.errors import InvalidInput
from train.bars import progress_bar
from train.config import ExperimentConfig
from train.examination import Examiner, Finding, refuse_repeated_scans
from train.files import replacing
from train.manifest import Case, split_hash, write_manifest
from train.prepare_report import show_findings
from train.splits import draw_split, in_order
from train.workers import map_in_workers


@dataclass(frozen=True)
class PrepareOptions:
    """Where prepared data goes, and how it is made.

    Attributes:
        out: Folder for ``manifest.csv``, ``split.json`` and ``cache``.
        seed: Decides the split.
        workers: Processes that read scans; 0 reads them in this one.
    """

    out: Path
    seed: int = 0
    workers: int = 1

    @property
    def manifest(self) -> Path:
        """What ``fit`` and ``evaluate`` read."""
        return self.out / "manifest.csv"

    @property
    def split(self) -> Path:
        """Who is in which split, why, and who was refused."""
        return self.out / "split.json"

    @property
    def cache(self) -> Path:
        """Preprocessed scans."""
        return self.out / "cache"


def prepare(
    config: ExperimentConfig, cases: Sequence[Case], options: PrepareOptions
) -> list[Finding]:
    """Examine and preprocess every case, split the patients, and write a manifest.

    A case that cannot be used is shown with the reason and left out. What is finished is kept, so
    a command that was cut short goes on where it stopped.

    Args:
        config: Preprocessing, labels, channel and proportions of the split.
        cases: From one of :mod:`train.sources`; splits that they name are kept.
        options: Where to write, seed and processes.

    Returns:
        What was found, in the order of ``cases``.

    Raises:
        InvalidInput: No case can be used, two cases bear one name, the disk is full or a worker
            was lost.
    """
    _check_names(cases)
    console = Console(file=sys.stdout)
    findings = refuse_repeated_scans(_examine(config, cases, options, console))
    refused = {finding.case.name: finding.refusal for finding in findings if finding.refusal}
    usable = [finding.case for finding in findings if not finding.refusal]
    if not usable:
        show_findings(console, findings)
        raise InvalidInput(
            f"None of the cases ({len(cases)}) can be used. {next(iter(refused.values()))}"
        )
    drawn = not usable[0].split
    if drawn:
        proportions = config.data.split_proportions
        split = draw_split((case.patient for case in usable), proportions, options.seed)
        findings = [
            finding if finding.refusal else _assigned(finding, split) for finding in findings
        ]
        usable = [finding.case for finding in findings if not finding.refusal]
    show_findings(console, findings)
    document = _split_document(usable) | {"refused": refused}
    if drawn:
        document |= {"seed": options.seed, "proportions": config.data.split_proportions}
    with replacing(options.split) as partial:
        partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    write_manifest(options.manifest, usable)
    return findings


def _check_names(cases: Sequence[Case]) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            raise InvalidInput(f"The case {case.name} is listed twice; give each its own name.")
        seen.add(case.name)


def _examine(
    config: ExperimentConfig, cases: Sequence[Case], options: PrepareOptions, console: Console
) -> list[Finding]:
    examiner = Examiner(config, options.cache)
    with progress_bar(console) as progress:
        found = map_in_workers(examiner, cases, options.workers)
        return list(progress.track(found, total=len(cases), description="preparing"))


def _assigned(finding: Finding, split: dict[str, str]) -> Finding:
    return replace(finding, case=replace(finding.case, split=split[finding.case.patient]))


def _split_document(cases: Sequence[Case]) -> dict[str, Any]:
    """Cases by patient by split, and the hash that run and evaluation name the split by."""
    splits: dict[str, dict[str, list[str]]]
    splits = {name: {} for name in in_order(case.split for case in cases)}
    for case in cases:
        splits[case.split].setdefault(case.patient, []).append(case.name)
    return {"splits": splits, "split_hash": split_hash(cases)}
