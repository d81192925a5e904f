"""Which click rules an evaluation plays, and where the results of each go."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path

from caiseg.errors import InvalidInput
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.simulated_session import ClickRule

SEEDS = 10
"""Sessions per case under the random rule, where the command line does not say."""
RANDOM_FOLDER = ClickRule.RANDOM.value
"""Where the random rule's results lie, in the folder with those of the centre rule."""


class Rules(str, enum.Enum):
    """What ``--rule`` takes."""

    CENTRE = "centre"
    RANDOM = "random"
    BOTH = "both"


def chosen_protocols(
    protocol: EvaluationProtocol, rules: Rules | None, seeds: int | None
) -> list[EvaluationProtocol]:
    """One protocol for each rule, the centre rule first.

    Args:
        protocol: All but rule and seeds.
        rules: Of ``--rule``; the centre rule when left out, and both where seeds are asked for.
        seeds: Of ``--seeds``.

    Raises:
        InvalidInput: Seeds are asked for of the centre rule alone.
    """
    if rules is Rules.CENTRE and seeds is not None:
        raise InvalidInput(
            "--seeds counts sessions of the random rule, and the centre rule gives the same clicks "
            "each time; leave --seeds out, or add the random rule with --rule both."
        )
    if rules is None:
        rules = Rules.CENTRE if seeds is None else Rules.BOTH
    chosen = []
    if rules is not Rules.RANDOM:
        chosen.append(protocol.model_copy(update={"rule": ClickRule.CENTRE, "seeds": 1}))
    if rules is not Rules.CENTRE:
        several = {"rule": ClickRule.RANDOM, "seeds": SEEDS if seeds is None else seeds}
        chosen.append(protocol.model_copy(update=several))
    return chosen


def folders(
    out: Path, protocols: Sequence[EvaluationProtocol]
) -> list[tuple[Path, EvaluationProtocol]]:
    """Where the results of each protocol go: the first one's into ``out`` itself."""
    return [
        (out if number == 0 else out / protocol.rule.value, protocol)
        for number, protocol in enumerate(protocols)
    ]
