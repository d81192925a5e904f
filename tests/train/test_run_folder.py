"""A run folder: what it keeps, what it refuses, and what a full disk leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from caiseg.errors import InvalidInput
from train.files import CannotWrite
from train.run_folder import RunFolder

A_FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from caiseg import CheckpointInfo, save_checkpoint
from caiseg.errors import InvalidInput
from caiseg.network import CAISeg
from caiseg.network_config import compact
from caiseg.preprocessing import PreprocessingConfig
from train.board import Board
from train.run_folder import RunFolder

folder, what = RunFolder(Path(sys.argv[1])), sys.argv[2]
board = Board(folder.board_path) if what == "board" else None
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    if what == "state":
        folder.save(folder.state_path, {"network": torch.rand(100_000)})
    elif what == "checkpoint":
        preprocessing = PreprocessingConfig(modality="MR", spacing=(1, 1, 1), patch_size=(32,) * 3)
        info = CheckpointInfo(name="a", network=compact(), preprocessing=preprocessing)
        save_checkpoint(folder.path / "a.safetensors", CAISeg(compact()), info)
    elif what == "metrics":
        folder.log({"epoch": 2, "dice": [0.5] * 2000})
    else:
        for step in range(1000):
            board.scalars({"loss": 1.0}, step)
        board.flush()
    print("written")
except InvalidInput as error:
    print(error)
"""
"""A limit on the size of files refuses to write as a full disk does, at the same place."""


def log(folder: RunFolder, *epochs: int) -> None:
    for epoch in epochs:
        folder.log({"epoch": epoch, "loss": 1.0 / epoch})


def epochs_of(folder: RunFolder) -> list[int]:
    return [json.loads(line)["epoch"] for line in folder.metrics_path.read_text().splitlines()]


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.refuse_a_second_run()
    folder.save(folder.state_path, {"epoch": 1})
    with pytest.raises(InvalidInput, match="already holds a run; go on with --resume, or name"):
        folder.refuse_a_second_run()


def test_what_ended_before_its_first_state_is_cleared(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    log(folder, 1)
    folder.board_path.mkdir()
    (tmp_path / "notes.txt").write_text("my own")
    folder.clear()
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


KILLED_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path
import torch
from train.run_folder import RunFolder

class Fatal:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)

folder = RunFolder(Path(sys.argv[1]))
folder.save(folder.state_path, {"network": torch.zeros(100_000), "fatal": Fatal()})
"""


@pytest.mark.parametrize("how", ["clear", "sweep"])
def test_what_a_kill_left_half_written_is_taken_out_by_the_next_start(
    tmp_path: Path, how: str, repository: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    log(folder, 1)
    command = [sys.executable, "-c", KILLED_WHILE_SAVING, str(folder.path)]
    subprocess.run(command, cwd=repository, check=False)
    left = list(folder.path.glob(".*.part"))
    assert len(left) == 1
    (folder.path / ".notes.part").write_text("my own")
    getattr(folder, how)()
    assert [path.name for path in folder.path.glob(".*.part")] == [".notes.part"]
    assert folder.metrics_path.exists() == (how == "sweep")


def test_records_after_the_state_are_forgotten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.forget_after(3)
    log(folder, 1, 2, 3, 4)
    folder.forget_after(2)
    assert epochs_of(folder) == [1, 2]
    log(folder, 3)
    assert epochs_of(folder) == [1, 2, 3]


@pytest.mark.parametrize("what", ["state", "checkpoint", "metrics", "board"])
def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing_half_written(
    tmp_path: Path, what: str, repository: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.save(folder.state_path, {"network": torch.zeros(2)})
    log(folder, 1)
    done = subprocess.run(
        [sys.executable, "-c", A_FULL_DISK, str(tmp_path), what],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (sentence,) = done.stdout.splitlines()
    assert "cannot be written" in sentence
    assert "free some disk space" in sentence
    assert "Traceback" not in done.stderr
    assert torch.equal(folder.read(folder.state_path)["network"], torch.zeros(2))
    assert epochs_of(folder) == [1]
    assert not [file for file in tmp_path.iterdir() if file.suffix in (".part", ".safetensors")]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = RunFolder(tmp_path / "file" / "run")
    writes: list[Any] = [
        lambda: folder.save(folder.state_path, {}),
        lambda: folder.log({"epoch": 1}),
        lambda: folder.write_provenance({}),
    ]
    for write in writes:
        with pytest.raises(CannotWrite, match="cannot be written"):
            write()
