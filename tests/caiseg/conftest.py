"""What tests of several modules of ``caiseg`` share."""

from __future__ import annotations

from pathlib import Path

import pytest

from caiseg.checkpoint import save_checkpoint
from tests.caiseg.checkpoint_files import info_of, small_network


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    network = small_network()
    save_checkpoint(path, network, info_of(network))
    return path
