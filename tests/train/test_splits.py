"""Who is trained on, validated on and tested on."""

from __future__ import annotations

from collections import Counter

import pytest

from train.splits import draw_split

THIRDS = (0.6, 0.2, 0.2)


def names(count: int) -> list[str]:
    return [f"patient {number}" for number in range(count)]


def test_every_patient_is_in_one_split_whatever_the_order_of_the_list() -> None:
    patients = names(50)
    split = draw_split(patients, THIRDS, seed=1)
    assert set(split) == set(patients)
    assert draw_split([*reversed(patients), *patients], THIRDS, seed=1) == split


def test_the_seed_decides_the_split() -> None:
    patients = names(50)
    assert draw_split(patients, THIRDS, seed=1) != draw_split(patients, THIRDS, seed=2)


def test_the_split_stays_the_same_over_versions_of_the_code() -> None:
    split = draw_split(names(8), (0.5, 0.25, 0.25), seed=0)
    assert [split[name] for name in names(8)] == [
        "train", "test", "train", "test", "train", "val", "val", "train",
    ]  # fmt: skip


def test_one_patient_more_moves_few_others() -> None:
    before = draw_split(names(100), THIRDS, seed=0)
    after = draw_split(names(101), THIRDS, seed=0)
    assert sum(before[patient] != after[patient] for patient in before) <= 2


def test_the_split_is_a_matter_of_chance() -> None:
    counts = Counter(draw_split(names(10), THIRDS, seed=seed)["patient 3"] for seed in range(200))
    assert 90 < counts["train"] < 150
    assert 20 < counts["val"] < 60


@pytest.mark.parametrize(
    ("patients", "proportions", "sizes"),
    [
        (3, (0.7, 0.15, 0.15), {"train": 1, "val": 1, "test": 1}),
        (2, (0.7, 0.15, 0.15), {"train": 2}),
        (1, (0.1, 0.9, 0), {"train": 1}),
        (3, (0.01, 0.5, 0.49), {"train": 1, "val": 2}),
        (10, (0.8, 0.2, 0), {"train": 8, "val": 2}),
        (10, (1, 0, 0), {"train": 10}),
    ],
)
def test_small_sets_and_shares_of_nothing(
    patients: int, proportions: tuple[float, float, float], sizes: dict[str, int]
) -> None:
    assert Counter(draw_split(names(patients), proportions, seed=0).values()) == sizes
