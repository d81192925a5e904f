"""Cases shared by processes: the same rows, and a lost process costs one case."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from caiseg import Volume
from tests.train.evaluation.test_evaluate import synthetic_case, write_manifest
from tests.train.scripted import HALF, Scripted, write_case
from train.evaluation.cases import CaseOutcome, Evaluation, attempt, run_cases
from train.evaluation.parallel import LOST, Recipe, run_in_workers, surviving
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.results import read_results
from train.manifest import Case

ROOT = Path(__file__).resolve().parents[3]
TIMES = {"encode_seconds", "click_seconds"}


def case(name: str) -> Case:
    return Case(name, name, Path(name), Path(name), "val")


def deadly(case: Case) -> CaseOutcome:
    """Work that the kernel kills for some cases, as it does when memory is full."""
    if case.name.startswith("large"):
        os._exit(9)
    return CaseOutcome(case.name, content=str(os.getpid()))


def test_a_lost_process_costs_the_case_that_it_was_at_and_no_other() -> None:
    cases = [case(name) for name in ("one", "large", "two", "larger", "three")]
    outcomes = {outcome.case: outcome for outcome in surviving(deadly, cases, workers=2)}
    assert len(outcomes) == 5
    lost = {name for name, outcome in outcomes.items() if outcome.failure == LOST}
    assert lost == {"large", "larger"}
    assert all(outcomes[name].content for name in ("one", "two", "three"))


class Fatal(Scripted):
    """Ends its process while it encodes."""

    def encode(self, volume: Volume) -> str:
        os._exit(9)


def fatal(case: Case) -> CaseOutcome:
    """A resumed evaluation of a case that is too large for the memory."""
    parts = case.image.parent / "cases"
    protocol = EvaluationProtocol(clicks=1)
    method = Fatal([HALF]) if case.name == "large" else Scripted([HALF])
    return attempt(Evaluation(method, "m", "weights", protocol, parts), case, resume=True)


@pytest.mark.slow
def test_a_case_that_ended_two_runs_is_named_by_the_third(tmp_path: Path) -> None:
    cases = [write_case(tmp_path, name) for name in ("one", "large", "two")]
    outcomes = {found.case: found for found in surviving(fatal, cases, workers=1)}
    assert outcomes["large"].failure == LOST
    assert outcomes["one"].content
    assert outcomes["two"].content
    (again,) = surviving(fatal, [cases[1]], workers=1)
    assert again.failure == LOST
    given_up = fatal(cases[1])
    assert re.match(r"2 runs ended while .* delete cases/large-\w+\.begun", given_up.failure)
    assert len(list((tmp_path / "cases").glob("*.begun"))) == 1


LOSING = """
import os, sys
from types import SimpleNamespace
import torch.distributed
from train.evaluation.cases import Outcome
from train.evaluation.machines import merged
rank = int(sys.argv[1])
torch.distributed.init_process_group(
    "gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2
)
if rank == 1:
    os._exit(9)
merged(Outcome(), [], SimpleNamespace(world_size=2))
"""


@pytest.mark.slow
def test_processes_do_not_wait_for_one_that_is_lost(tmp_path: Path) -> None:
    first, lost = (
        subprocess.Popen(
            [sys.executable, "-c", LOSING, str(rank), str(tmp_path / "store")],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    )  # fmt: skip
    assert lost.wait() == 9
    _, complaint = first.communicate()
    assert "InvalidInput: Another process was lost" in complaint
    lost.communicate()


def test_workers_give_the_rows_of_one_process_and_name_what_fails(tmp_path: Path) -> None:
    cases = [synthetic_case(tmp_path, name, seed) for seed, name in enumerate(("first", "second"))]
    cases.insert(1, case("missing"))
    quiet = Console(quiet=True)
    protocol = EvaluationProtocol(clicks=1)

    def recipe(folder: str) -> Recipe:
        return Recipe("graph_cuts", None, "cpu", protocol, tmp_path / folder)

    alone = run_cases(recipe("alone").evaluation(), cases, resume=False, console=quiet)
    shared = run_in_workers(recipe("shared"), cases, workers=2, resume=False, console=quiet)
    assert [row.model_dump(exclude=TIMES) for row in shared.records] == [
        row.model_dump(exclude=TIMES) for row in alone.records
    ]
    assert shared.content == alone.content
    assert list(shared.failed) == ["missing"]
    kept = run_in_workers(recipe("shared"), cases, workers=1, resume=True, console=quiet)
    assert kept.records == shared.records, "times included: nothing was played again"


@pytest.mark.slow
def test_two_processes_of_fabric_share_the_cases(tmp_path: Path) -> None:
    cases = [synthetic_case(tmp_path, name, seed) for seed, name in enumerate(("a", "b", "c"))]
    cases.insert(1, Case("bad", "bad", tmp_path / "bad.nii.gz", tmp_path / "bad.nii.gz", "val"))
    command = [
        sys.executable, "-m", "train", "evaluate", "--manifest", write_manifest(tmp_path, cases),
        "--method", "graph_cuts", "--clicks", "1", "--device", "cpu", "--threads", "1",
        "--devices", "2", "--out", tmp_path / "out",
    ]  # fmt: skip
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = read_results(tmp_path / "out" / "results.csv")
    assert [(row.case, row.round) for row in rows] == [(n, r) for n in "abc" for r in (0, 1)]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [failure["case"] for failure in summary["failed"]] == ["bad"]
    assert summary["data"]["evaluated"] == 3
    assert summary["machine"]["processes"] == 2
    assert done.stdout.count("3 of 4 cases") == 1, "one of the processes speaks"
