"""A CSV manifest, whose ``split`` column may be left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from train.config import DataConfig
from train.manifest import Case, read_manifest


def read_csv_manifest(path: Path, data: DataConfig) -> list[Case]:
    """The cases of a manifest; the config's channel counts where the manifest states none.

    Raises:
        InvalidInput: See :func:`train.manifest.read_manifest`.
    """
    cases = read_manifest(path, split_required=False)
    return [replace(case, channel=case.volume_index(data.channel)) for case in cases]
