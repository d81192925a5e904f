"""``python -m train`` in this process, which is quicker than another one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from train import cli


def run_train(monkeypatch: pytest.MonkeyPatch, *words: str | Path, status: int = 0) -> None:
    """Run a command, which must end with this exit status.

    Its tables are wide enough for every sentence, and threads that it sets are set back.
    """
    threads = torch.get_num_threads()
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(sys, "argv", ["train", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    torch.set_num_threads(threads)
    assert ended.value.code == status
