"""Result folders written by the code that writes them, from chosen Dice curves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.results import RoundRecord, write_results

Curves = Mapping[str, Sequence[Sequence[float]]]
"""Per case, one Dice curve per seed."""


def rows_of(method: str, curves: Curves) -> list[RoundRecord]:
    """Rows with those Dice values; other metrics follow from Dice."""
    rows = []
    for case, seeds in curves.items():
        for seed, curve in enumerate(seeds):
            for count, dice in enumerate(curve):
                clicked = {"click_i": 3, "click_j": 4, "click_k": 2, "click_label": "fg"}
                clicked |= {"obeyed": dice > 0.5, "harmful": count > 0 and dice < curve[count - 1]}
                rows.append(
                    RoundRecord.model_validate(
                        {
                            "method": method, "case": case, "patient": f"patient of {case}",
                            "lesion_ml": 1.0 + sum(case.encode()) % 7,
                            "seed": seed, "round": count,
                            "dice": dice, "jaccard": dice / (2 - dice), "precision": dice,
                            "recall": dice, "hd95_mm": 20 * (1 - dice), "asd_mm": 5 * (1 - dice),
                            "nsd": dice, "encode_seconds": 1.0, "click_seconds": 0.25,
                        }
                        | (clicked if count else {})
                    )
                )  # fmt: skip
    return rows


def write_folder(
    folder: Path,
    method: str,
    curves: Curves,
    *,
    content: str = "files",
    failed: Mapping[str, str] | None = None,
    sha256: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """A result folder as an evaluation writes it."""
    rows = rows_of(method, curves)
    failed = failed or {}
    first = next(iter(curves.values()))
    protocol = EvaluationProtocol.model_validate(
        {"clicks": len(first[0]) - 1, "seeds": len(first)} | settings
    )
    named = content + ",".join(sorted(curves))
    summary = {
        "method": method,
        "checkpoint": None
        if sha256 is None
        else {
            "file": f"{method}.pt",
            "sha256": sha256,
            "licence": "CC BY 4.0",
            "provenance": dict(provenance or {}),
        },
        "data": {
            "manifest": "cases.csv",
            "split": "val",
            "split_hash": "0123456789abcdef",
            "content_hash": hashlib.sha256(named.encode()).hexdigest(),
            "cases": len(curves) + len(failed),
            "evaluated": len(curves),
            "without_lesion": [],
        },
        "settings": protocol.model_dump(mode="json"),
        "failed": [{"case": case, "reason": why} for case, why in failed.items()],
        "machine": {"device": "cpu", "processor": "a processor", "threads": 2},
        "versions": {"commit": "abcdef0", "torch": "2.13.0"},
    }
    write_results(folder / "results.csv", rows)
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def curves(seed: int, cases: int = 8, clicks: int = 5, better: float = 0.0) -> Curves:
    """Curves that rise, with some noise; ``better`` is added to all of them."""
    rng = np.random.default_rng(seed)
    found = {}
    for case in range(cases):
        start = rng.uniform(0.55, 0.75)
        gains = np.sort(rng.uniform(0, 0.18, clicks + 1))
        found[f"case{case}"] = [np.clip(start + gains + better, 0, 1).tolist()]
    return found
