"""How a method is clicked and judged, and what that gives for one case."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from caiseg.clicks import Click
from caiseg.preprocessing import Intensities
from caiseg.volume import Volume
from train.click_simulation import Mask, Spacing
from train.evaluation.metrics import overlap, surface_agreement
from train.evaluation.modality import check_modality
from train.evaluation.results import RoundRecord
from train.evaluation.simulated_session import ClickRule, Method, Round, simulate, timed_encode
from train.evaluation.target import Target
from train.manifest import Case


class EvaluationProtocol(BaseModel):
    """How a method is clicked and judged; results of one protocol are comparable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clicks: int = Field(20, ge=0)
    """Most clicks per case."""
    rule: ClickRule = ClickRule.CENTRE
    """Where the next click lies."""
    seeds: int = Field(1, ge=1)
    """Sessions per case; more than one makes sense under the random rule alone."""
    surface_rounds: tuple[int, ...] | None = None
    """Rounds in which surface distances are measured; the first, the fifth and the last when
    left out."""
    surface_tolerance_mm: float = Field(2.0, gt=0)
    """Tolerance of the normalised surface Dice."""
    label_values: tuple[int, ...] | None = None
    """Mask values that count as lesion; all above 0 when left out."""
    channel: int | None = Field(None, ge=0)
    """Volume of a 4-D scan, from 0, where the manifest does not say; the first when left out."""

    def aimed_at(self, target: Target) -> EvaluationProtocol:
        """The same protocol for another lesion or another volume of the scans."""
        return self.model_copy(update=dict(target))

    @property
    def target(self) -> Target:
        """Which lesion in which volume."""
        return Target(label_values=self.label_values, channel=self.channel)

    def load(self, case: Case) -> tuple[Volume, Mask]:
        """The scan and its lesion, both on the display grid.

        Raises:
            InvalidInput: The case cannot be read.
        """
        return case.load(self.label_values, self.channel)

    def measures_surface(self, number: int) -> bool:
        """Whether surface distances are measured in that round."""
        rounds = (0, 5, self.clicks) if self.surface_rounds is None else self.surface_rounds
        return number in rounds


def evaluate_case(
    method: Method[Any],
    name: str,
    case: Case,
    protocol: EvaluationProtocol,
    step: Callable[[], None] = lambda: None,
    *,
    modality: Intensities | None = None,
) -> list[RoundRecord]:
    """Encode a case once and click it once per seed.

    The truth, the clicks and the metrics all lie on the voxels of the scan as it came.

    Args:
        method: What answers the clicks.
        name: What it is called in the rows.
        case: Scan and truth.
        protocol: How to click and what to measure.
        step: Called after every round.
        modality: The only modality that the method knows; ``None`` for any.

    Returns:
        ``protocol.clicks + 1`` rows per seed.

    Raises:
        InvalidInput: The case cannot be used.
    """
    volume, lesion = protocol.load(case)
    check_modality(case, volume, modality)
    scan, encode_seconds = timed_encode(method, volume)
    of_case = {
        "method": name,
        "case": case.name,
        "patient": case.patient,
        "lesion_ml": float(lesion.sum()) * math.prod(volume.spacing) / 1000,
        "encode_seconds": encode_seconds,
    }
    records = []
    for seed in range(protocol.seeds):
        choose = protocol.rule.chooser(volume.spacing, case.name, seed)
        session = simulate(method, scan, lesion, choose, protocol.clicks)
        for row in _measured(session, lesion, volume.spacing, protocol):
            records.append(RoundRecord(**of_case, seed=seed, **row))
            step()
    return records


def _measured(
    session: Iterator[Round], lesion: Mask, spacing: Spacing, protocol: EvaluationProtocol
) -> Iterator[dict[str, Any]]:
    """The measured fields of every round.

    A session that ends early has a perfect mask, which the remaining rounds repeat.
    """
    mask, dice = np.zeros_like(lesion), 0.0
    for number, answer in itertools.zip_longest(range(protocol.clicks + 1), session):
        if answer is not None:
            mask = answer.mask
        before, agreement = dice, overlap(mask, lesion)
        dice = agreement.dice
        row = {"round": number, **asdict(agreement)}
        if protocol.measures_surface(number):
            tolerance = protocol.surface_tolerance_mm
            row |= asdict(surface_agreement(mask, lesion, spacing, tolerance))
        if answer is not None:
            row["click_seconds"] = answer.seconds
            if answer.click is not None:
                row |= _click_fields(answer.click, mask)
                row["harmful"] = dice < before
        yield row


def _click_fields(click: Click, mask: Mask) -> dict[str, Any]:
    i, j, k = click.voxel
    obeyed = bool(mask[click.voxel]) == bool(click.label)
    return {
        "click_i": i, "click_j": j, "click_k": k, "click_label": click.label.short,
        "obeyed": obeyed,
    }  # fmt: skip
