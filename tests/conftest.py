"""What tests of several packages share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="session")
def _few_torch_threads() -> Iterator[None]:
    """Small tensors are slower on many threads, and CI machines have few cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(min(threads, 2))
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real scans, named by the environment variable CAISEG_DATA."""
    folder = os.environ.get("CAISEG_DATA")
    if not folder:
        pytest.skip("CAISEG_DATA names no folder of real scans")
    path = Path(folder)
    assert path.is_dir(), f"CAISEG_DATA names {path}, which is no folder"
    return path


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A Chromium or Chrome, named by the environment variable CHROMIUM or found on the path."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    pytest.skip("no Chromium was found; `make test` installs one, or set CHROMIUM")
