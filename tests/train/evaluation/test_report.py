"""Figures from rows."""

from __future__ import annotations

import numpy as np
import pytest

from train.evaluation.report import figures
from train.evaluation.results import RoundRecord


def record(case: str = "a", number: int = 0, dice: float = 0.5, **others: object) -> RoundRecord:
    fields: dict[str, object] = {
        "method": "m", "case": case, "patient": case, "lesion_ml": 1.0, "seed": 0,
        "round": number, "dice": dice, "jaccard": 0.4, "precision": 0.6, "recall": 0.7,
        "encode_seconds": 3.0,
    }  # fmt: skip
    return RoundRecord.model_validate(fields | others)


def test_dice_is_averaged_over_cases_and_seeds_with_both_spreads() -> None:
    values = {("a", 0): 0.2, ("a", 1): 0.4, ("b", 0): 0.6, ("b", 1): 0.6}
    rows = [record(case, seed=seed, dice=dice) for (case, seed), dice in values.items()]
    found = figures(rows, clicks=0)["dice"]["0"]
    assert found["mean"] == pytest.approx(0.45)
    assert found["sd_cases"] == pytest.approx(np.std([0.3, 0.6], ddof=1))
    assert found["sd_seeds"] == pytest.approx(np.std([0.4, 0.5], ddof=1))


def test_one_seed_has_no_spread_over_seeds() -> None:
    found = figures([record("a"), record("b", dice=0.7)], clicks=0)["dice"]["0"]
    assert found["sd_seeds"] is None


def test_a_case_that_never_reaches_the_target_counts_as_all_clicks_and_as_failed() -> None:
    curves = {"a": [0.7, 0.82, 0.86, 0.88], "b": [0.9, 0.95, 0.95, 0.95], "c": [0.1, 0.2, 0.2, 0.3]}
    rows = [
        record(case, number, dice)
        for case, curve in curves.items()
        for number, dice in enumerate(curve)
    ]
    found = figures(rows, clicks=3)["noc"]
    assert found["80"]["mean"] == pytest.approx((1 + 0 + 3) / 3)
    assert found["80"]["failure_rate"] == pytest.approx(1 / 3)
    assert found["90"]["mean"] == pytest.approx((3 + 0 + 3) / 3)
    assert found["90"]["failure_rate"] == pytest.approx(2 / 3)


def test_dice_is_given_at_the_clicks_of_the_protocol() -> None:
    rows = [record(number=number, dice=number / 10) for number in range(8)]
    found = figures(rows, clicks=7)
    assert list(found["dice"]) == ["0", "1", "2", "3", "5", "7"]
    assert found["dice"]["5"]["mean"] == pytest.approx(0.5)
    assert found["dice_by_clicks"] == pytest.approx([n / 10 for n in range(8)])


def test_shares_of_clicks_are_over_the_clicks_that_were_made() -> None:
    rows = [
        record(number=0),
        record(number=1, click_label="fg", obeyed=True, harmful=False),
        record(number=2, click_label="bg", obeyed=True, harmful=True),
        record(number=3, click_label="fg", obeyed=False, harmful=True),
        record(number=4),
    ]
    found = figures(rows, clicks=4)["clicks"]
    assert found == {"total": 3, "obeyed": pytest.approx(2 / 3), "harmful": pytest.approx(2 / 3)}
    assert figures([record()], clicks=0)["clicks"] == {"total": 0, "obeyed": None, "harmful": None}


def test_speed_compares_a_click_with_encoding_and_answering_the_same_scan() -> None:
    rows = [
        record(number=0, click_seconds=9.0),
        record(number=1, click_label="fg", click_seconds=0.5),
        record(number=2, click_label="fg", click_seconds=1.5),
        record(number=3),
    ]
    found = figures(rows, clicks=3)["seconds"]
    assert found["encode"]["median"] == 3.0
    assert found["first_mask"]["median"] == 9.0
    assert (found["click"]["median"], found["click"]["max"]) == (1.0, 1.5)
    assert found["speed_up"]["median"] == pytest.approx((3 + 1) / 1)
