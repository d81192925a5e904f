"""Clicks, and the rows that they give."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from caiseg import Click, InvalidInput, Label
from tests.train.scripted import HALF, LESION, NOTHING, SHAPE, SPACING, Scripted, block, write_case
from train.click_simulation import Mask
from train.evaluation import simulated_session
from train.evaluation.protocol import EvaluationProtocol, evaluate_case
from train.evaluation.results import RoundRecord, read_results, write_results
from train.evaluation.simulated_session import ClickRule
from train.manifest import Case


def rows_of(method: Scripted, case: Case, **protocol: object) -> list[RoundRecord]:
    return evaluate_case(method, "scripted", case, EvaluationProtocol.model_validate(protocol))


def test_each_round_adds_one_click_and_feeds_the_mask_before_it_back(tmp_path: Path) -> None:
    method = Scripted([NOTHING, HALF, HALF])
    rows_of(method, write_case(tmp_path), clicks=3)
    assert method.encoded == ["one_image.nii.gz"]
    assert [len(clicks) for clicks, _ in method.asked] == [0, 1, 2, 3]
    for (before, _), (after, _) in zip(method.asked, method.asked[1:], strict=False):
        assert after[: len(before)] == before
    previous = [mask for _, mask in method.asked]
    assert previous[0] is None
    for fed, given in zip(previous[1:], [NOTHING, HALF, HALF], strict=True):
        np.testing.assert_array_equal(fed, given)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SLA"])
def test_clicks_lie_in_the_error_and_bear_the_label_of_the_truth(
    tmp_path: Path, codes: str
) -> None:
    method = Scripted([NOTHING, block(slice(0, 11), slice(2, 7), slice(2, 6))])
    rows = rows_of(method, write_case(tmp_path, codes=codes), clicks=2)
    missed, wrong = method.asked[-1][0]
    assert (missed.label, wrong.label) == (Label.FOREGROUND, Label.BACKGROUND)
    assert LESION[missed.voxel]
    assert not LESION[wrong.voxel]
    assert method.masks[1][wrong.voxel]
    placed = [(row.click_i, row.click_j, row.click_k, row.click_label) for row in rows[1:]]
    assert placed == [(*missed.voxel, "fg"), (*wrong.voxel, "bg")]
    assert (rows[0].click_i, rows[0].click_label) == (None, None)


def test_a_perfect_mask_ends_the_clicks_and_its_metrics_stay(tmp_path: Path) -> None:
    method = Scripted([HALF, LESION])
    rows = rows_of(method, write_case(tmp_path), clicks=4, surface_rounds=(4,))
    assert [row.round for row in rows] == [0, 1, 2, 3, 4]
    assert [row.dice for row in rows] == [pytest.approx(2 / 3), 1, 1, 1, 1]
    assert len(method.asked) == 2
    assert [row.click_label for row in rows] == [None, "fg", None, None, None]
    assert [row.click_seconds is None for row in rows] == [False, False, True, True, True]
    assert (rows[-1].hd95_mm, rows[-1].asd_mm, rows[-1].nsd) == (0, 0, 1)


def test_obeyed_and_harmful_clicks_are_told_apart(tmp_path: Path) -> None:
    rows = rows_of(Scripted([HALF, NOTHING, LESION]), write_case(tmp_path), clicks=3)
    assert [row.obeyed for row in rows] == [None, False, True, None]
    assert [row.harmful for row in rows] == [None, True, False, None]


def test_a_click_that_changes_nothing_is_not_harmful(tmp_path: Path) -> None:
    rows = rows_of(Scripted([HALF, HALF]), write_case(tmp_path), clicks=1)
    assert (rows[1].obeyed, rows[1].harmful) == (False, False)


def test_surface_distances_are_measured_in_the_first_fifth_and_last_round(tmp_path: Path) -> None:
    rows = rows_of(Scripted([HALF]), write_case(tmp_path), clicks=7)
    assert [row.round for row in rows if row.hd95_mm is not None] == [0, 5, 7]
    assert rows[0].hd95_mm == pytest.approx(3 * SPACING[0])


def test_chosen_label_values_alone_are_lesion(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    labels = nib.load(case.mask)
    two_labels = np.where(HALF, 2, LESION).astype(np.uint8)
    nib.save(nib.Nifti1Image(two_labels, labels.affine), case.mask)
    assert rows_of(Scripted([HALF]), case, clicks=0)[0].dice < 1
    assert rows_of(Scripted([HALF]), case, clicks=0, label_values=(2,))[0].dice == 1


def test_a_case_without_lesion_follows_the_rule_for_empty_masks(tmp_path: Path) -> None:
    case = write_case(tmp_path, lesion=NOTHING)
    (right,) = rows_of(Scripted([NOTHING]), case, clicks=0)
    assert (right.dice, right.hd95_mm, right.lesion_ml) == (1, 0, 0)
    (wrong,) = rows_of(Scripted([HALF]), case, clicks=0)
    diagonal = np.linalg.norm(np.multiply(SHAPE, SPACING))
    assert wrong.dice == 0
    assert wrong.hd95_mm == pytest.approx(diagonal)


def test_random_clicks_depend_on_seed_and_case_alone(tmp_path: Path) -> None:
    def clicks(case: Case) -> dict[int, list[tuple[int | None, ...]]]:
        placed: dict[int, list[tuple[int | None, ...]]] = {}
        for row in rows_of(Scripted([NOTHING]), case, clicks=3, rule=ClickRule.RANDOM, seeds=3):
            placed.setdefault(row.seed, []).append((row.click_i, row.click_j, row.click_k))
        return placed

    one, other = write_case(tmp_path, "one"), write_case(tmp_path, "other")
    first = clicks(one)
    assert sorted(first) == [0, 1, 2]
    assert len({tuple(places) for places in first.values()}) == 3
    assert clicks(other) != first
    assert clicks(one) == first


def test_all_seeds_share_one_encoding(tmp_path: Path) -> None:
    method = Scripted([NOTHING])
    rows = rows_of(method, write_case(tmp_path), clicks=1, rule=ClickRule.RANDOM, seeds=4)
    assert len(method.encoded) == 1
    assert len({row.encode_seconds for row in rows}) == 1
    assert [(row.seed, row.round) for row in rows] == [(s, r) for s in range(4) for r in (0, 1)]


def test_only_the_method_s_own_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    class Slow(Scripted):
        def segment(self, *words: Any) -> SimpleNamespace:
            clock[0] += 1
            return super().segment(*words)

    def choose(_: Mask, __: Mask) -> Click:
        clock[0] += 100
        return Click((3, 3, 3), Label.FOREGROUND)

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    rounds = list(simulated_session.simulate(Slow([HALF]), "scan", LESION, choose, clicks=3))
    assert [answer.seconds for answer in rounds] == [1, 1, 1, 1]
    assert clock[0] == 304


def test_rows_survive_the_file(tmp_path: Path) -> None:
    rows = rows_of(Scripted([HALF, NOTHING, LESION]), write_case(tmp_path), clicks=3)
    write_results(tmp_path / "new" / "results.csv", rows)
    assert read_results(tmp_path / "new" / "results.csv") == rows


def test_rows_that_cannot_be_written_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "results.csv").mkdir()
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_results(tmp_path / "results.csv", [])
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]
