"""Worker processes do what this process would do, and are missed when they are gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caiseg.errors import InvalidInput
from tests.train.preparing import CONFIG, empty_mask, pair
from train.prepare import PrepareOptions, prepare
from train.workers import map_in_workers


def test_worker_processes_find_what_this_process_finds(tmp_path: Path) -> None:
    cases = [pair(tmp_path, name, seed) for seed, name in enumerate("abc")]
    empty_mask(cases[1])
    here = prepare(CONFIG, cases, PrepareOptions(tmp_path / "here", workers=0))
    there = prepare(CONFIG, cases, PrepareOptions(tmp_path / "there", workers=1))
    assert there == here


def test_a_lost_worker_ends_in_one_sentence() -> None:
    with pytest.raises(InvalidInput, match=r"A worker process was lost.*fewer --workers"):
        list(map_in_workers(os._exit, [1], workers=1))
