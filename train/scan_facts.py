"""What training samples ask of a whole scan, found once so that nobody reads it whole again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from train.config import DataConfig
from train.crops import CropFacts


@dataclass(frozen=True)
class ScanFacts:
    """Facts of a prepared scan.

    Attributes:
        mean: Of all intensities, a float32 scalar.
        sd: Their standard deviation, likewise.
        crops: What choosing a crop asks.
    """

    mean: Tensor
    sd: Tensor
    crops: CropFacts

    @classmethod
    def of(cls, image: Tensor, lesion: Tensor, config: DataConfig) -> ScanFacts:
        """Read a scan whole.

        Args:
            image: Prepared intensities ``(I, J, K)``.
            lesion: ``(I, J, K)`` bool.
            config: Where crops may lie.
        """
        return cls(image.mean(), image.std(), CropFacts.of(image, lesion, config))


@contextmanager
def as_a_worker_computes() -> Iterator[None]:
    """One thread: the last bits of a sum depend on their number, and samples on those bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
