"""Where labelled scans come from: one file per format, all with one contract.

A reader takes a folder or file and what the config says about data, and gives the cases that it
lists. It reads listings only: whether scans and masks can be used shows when they are prepared.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from train.config import DataConfig
from train.manifest import Case
from train.sources.csv_manifest import read_csv_manifest
from train.sources.decathlon import read_decathlon
from train.sources.nnunet import read_nnunet

__all__ = ["Source", "read_csv_manifest", "read_decathlon", "read_nnunet"]

Source = Callable[[Path, DataConfig], list[Case]]
"""From a place and a config to its cases, with the channel to read decided.

Their split is empty where the format has none, for one to be drawn. Raises ``InvalidInput`` where
the place is not of the format, or does not have the channel or the labels of the config."""
