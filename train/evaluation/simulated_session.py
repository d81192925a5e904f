"""One simulated annotation session: a method, a scan, and someone who clicks at the errors.

Every method is clicked by the code in this file, so that methods are compared with equal clicks.
"""

from __future__ import annotations

import enum
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch

from caiseg.clicks import Click
from caiseg.volume import Volume
from train.click_simulation import Mask, Spacing, next_click, next_random_click

Scan = TypeVar("Scan")

ChooseClick = Callable[[Mask, Mask], Click | None]
"""From prediction and truth, both on the display grid, to the next click; None without error."""


class Answer(Protocol):
    """What a method gives back; :class:`caiseg.SegmentationResult` is one."""

    @property
    def mask(self) -> Mask:
        """Bool ``(I, J, K)`` on the display grid."""


class Method(Protocol[Scan]):
    """A way to segment with clicks; :class:`caiseg.CAISegPredictor` is one.

    ``Scan`` is whatever the method keeps of a scan between clicks.
    """

    def encode(self, volume: Volume) -> Scan:
        """Do everything that does not depend on clicks."""

    def segment(
        self, scan: Scan, clicks: Sequence[Click], previous_mask: Mask | None = None
    ) -> Answer:
        """Answer all clicks so far, given the mask before the last one."""


class ClickRule(str, enum.Enum):
    """Where in the largest error component the next click lies."""

    CENTRE = "centre"
    """At the voxel farthest from the component's border; the same on every run."""
    RANDOM = "random"
    """At a random voxel, the paper's own rule; repeated with several seeds."""

    def chooser(self, spacing: Spacing, case: str, seed: int) -> ChooseClick:
        """The rule for one session.

        Random places follow from the seed and the case's name alone, so neither the order of
        cases nor an interruption changes them.
        """
        if self is ClickRule.CENTRE:
            return lambda prediction, lesion: next_click(prediction, lesion, spacing)
        digest = hashlib.sha256(case.encode()).digest()
        rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
        return lambda prediction, lesion: next_random_click(prediction, lesion, rng)


@dataclass(frozen=True)
class Round:
    """The answer to one more click.

    Attributes:
        click: The click that was added; ``None`` in round 0.
        mask: ``(I, J, K)`` on the display grid.
        seconds: Time of the method alone, from the clicks to the mask.
    """

    click: Click | None
    mask: Mask
    seconds: float


def timed_encode(method: Method[Scan], volume: Volume) -> tuple[Scan, float]:
    """Encode a scan, and how many seconds that took."""
    began = time.perf_counter()
    scan = method.encode(volume)
    _wait_for_device()
    return scan, time.perf_counter() - began


def simulate(
    method: Method[Scan], scan: Scan, lesion: Mask, choose: ChooseClick, clicks: int
) -> Iterator[Round]:
    """Click until the mask is perfect or ``clicks`` are spent, each mask fed back as ``S_p``.

    Args:
        method: What answers the clicks.
        scan: Its encoded scan.
        lesion: Ground truth ``(I, J, K)`` on the display grid.
        choose: Places the next click.
        clicks: Most clicks.

    Yields:
        Round 0, without clicks, then one round per click.
    """
    placed: list[Click] = []
    mask, seconds = _timed_mask(method, scan, placed, None)
    yield Round(None, mask, seconds)
    while len(placed) < clicks and (click := choose(mask, lesion)) is not None:
        placed.append(click)
        mask, seconds = _timed_mask(method, scan, placed, mask)
        yield Round(click, mask, seconds)


def _timed_mask(
    method: Method[Scan], scan: Scan, clicks: Sequence[Click], previous_mask: Mask | None
) -> tuple[Mask, float]:
    began = time.perf_counter()
    mask = method.segment(scan, tuple(clicks), previous_mask).mask
    return mask, time.perf_counter() - began


def _wait_for_device() -> None:
    """Accelerators work on after a call returns; what is still running belongs to that call."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
