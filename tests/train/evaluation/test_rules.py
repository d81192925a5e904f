"""Which click rules are played, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from caiseg import InvalidInput
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.rules import Rules, chosen_protocols, folders


@pytest.mark.parametrize(
    ("rules", "seeds", "played"),
    [
        (None, None, [("centre", 1)]),
        (None, 4, [("centre", 1), ("random", 4)]),
        (Rules.RANDOM, None, [("random", 10)]),
        (Rules.RANDOM, 4, [("random", 4)]),
        (Rules.BOTH, None, [("centre", 1), ("random", 10)]),
    ],
)
def test_seeds_are_of_the_random_rule_and_ask_for_it(
    rules: Rules | None, seeds: int | None, played: list[tuple[str, int]]
) -> None:
    chosen = chosen_protocols(EvaluationProtocol(clicks=3), rules, seeds)
    assert [(protocol.rule.value, protocol.seeds) for protocol in chosen] == played
    assert {protocol.clicks for protocol in chosen} == {3}


def test_seeds_of_the_centre_rule_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"leave --seeds out, or add .* --rule both"):
        chosen_protocols(EvaluationProtocol(), Rules.CENTRE, 10)


def test_the_first_rule_s_results_lie_in_the_folder_itself() -> None:
    both = chosen_protocols(EvaluationProtocol(), Rules.BOTH, None)
    assert [folder for folder, _ in folders(Path("out"), both)] == [Path("out"), Path("out/random")]
    random = chosen_protocols(EvaluationProtocol(), Rules.RANDOM, None)
    assert [folder for folder, _ in folders(Path("out"), random)] == [Path("out")]
