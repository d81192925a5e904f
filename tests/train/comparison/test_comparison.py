"""Who is compared with whom, and what the comparison then says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caiseg import InvalidInput
from tests.train.comparison.made_up_results import curves, write_folder
from train.comparison.comparison import Comparison, compare_methods
from train.comparison.method_results import read_method_results
from train.comparison.notes import method_notes
from train.comparison.statistics import holm, wilcoxon_p
from train.comparison.tables import TextCell, difference_tables, score_tables, verdict
from train.evaluation.metrics import mean_over_clicks, number_of_clicks


def compared(*folders: Path, reference: str | None = None) -> Comparison:
    return compare_methods([read_method_results(folder) for folder in folders], reference)


def cell(comparison: Comparison, table: int, method: str, column: str) -> TextCell:
    shown = score_tables(comparison)[table]
    return dict(shown.rows)[method][shown.headings.index(column)]


def three_methods(folder: Path) -> Comparison:
    return compared(
        write_folder(folder / "a", "ritm3d", curves(1)),
        write_folder(folder / "b", "caiseg", curves(0, better=0.1)),
        write_folder(folder / "c", "vnet", curves(2, better=-0.2)),
    )


def test_every_number_follows_from_the_rows(tmp_path: Path) -> None:
    comparison = three_methods(tmp_path)
    mine, other = curves(0, better=0.1), curves(1)
    last = np.array([[mine[case][0][-1], other[case][0][-1]] for case in sorted(mine)])
    found = comparison.cells["ritm3d", "dice_after_5"]
    assert found.spread.mean == pytest.approx(last[:, 1].mean())
    assert found.spread.sd_cases == pytest.approx(last[:, 1].std(ddof=1))
    assert found.test is not None
    assert found.test.difference == pytest.approx((last[:, 1] - last[:, 0]).mean())
    assert found.test.p == pytest.approx(wilcoxon_p(last[:, 1] - last[:, 0]))
    over = comparison.cells["ritm3d", "dice_over_clicks"]
    areas = [mean_over_clicks(other[case][0]) for case in sorted(other)]
    assert over.spread.mean == pytest.approx(np.mean(areas))
    counts = [number_of_clicks(other[case][0], 0.8) for case in sorted(other)]
    noc = comparison.cells["ritm3d", "noc_80"]
    assert noc.spread.mean == pytest.approx(np.mean([5 if c is None else c for c in counts]))
    assert noc.failure_rate == pytest.approx(np.mean([c is None for c in counts]))
    assert comparison.curves["ritm3d"].mean == pytest.approx(
        np.mean([other[case][0] for case in other], axis=0).tolist()
    )


def test_the_correction_counts_every_test_of_the_comparison(tmp_path: Path) -> None:
    comparison = three_methods(tmp_path)
    tested = [found for found in comparison.cells.values() if found.test is not None]
    assert comparison.tests == len(tested) == 2 * 10
    raw = [found.test.p for found in tested if found.test is not None and found.test.p is not None]
    assert [found.p_holm for found in tested] == pytest.approx(holm(raw))


def test_what_follows_from_dice_alone_takes_no_test(tmp_path: Path) -> None:
    comparison = three_methods(tmp_path)
    assert comparison.cells["ritm3d", "jaccard_after_5"].test is None
    assert cell(comparison, 0, "ritm3d", "Jaccard, %").text
    agreement, on_the_way = difference_tables(comparison)
    assert "Jaccard, %" not in agreement.headings
    assert on_the_way.headings[0] == "mean Dice over 0 to 5 clicks, %"
    assert comparison.cells["ritm3d", "dice_over_clicks"].test is not None


def test_intervals_of_few_differences_are_said_to_be_unstable(tmp_path: Path) -> None:
    mine = curves(0)
    other = {case: seeds for case, seeds in mine.items()}
    other["case1"] = [[*mine["case1"][0][:-1], 0.99]]
    comparison = compared(
        write_folder(tmp_path / "a", "caiseg", mine), write_folder(tmp_path / "b", "vnet", other)
    )
    (note,) = (text for text in method_notes(comparison) if "unstable" in text)
    assert note.startswith("Fewer than 5 cases differ in vnet: Dice, % (1), ")


def test_seeds_are_averaged_before_cases_are_compared(tmp_path: Path) -> None:
    first = {"one": [[0.2, 0.6], [0.4, 0.8]], "two": [[0.5, 0.9], [0.5, 0.5]]}
    comparison = compared(write_folder(tmp_path, "caiseg", first, rule="random"))
    spread = comparison.cells["caiseg", "dice_after_1"].spread
    assert spread.mean == pytest.approx(0.7)
    assert spread.sd_cases == pytest.approx(0.0)
    assert spread.sd_seeds == pytest.approx(np.std([0.75, 0.65], ddof=1))
    assert cell(comparison, 0, "caiseg", "Dice, %").detail == "seeds ± 7.1"
    assert any("averaged over its 2 seeds" in note for note in method_notes(comparison))


def test_the_reference_stands_first_and_best_and_second_are_marked(tmp_path: Path) -> None:
    comparison = three_methods(tmp_path)
    assert comparison.labels == ["caiseg", "ritm3d", "vnet"]
    places = [cell(comparison, 0, label, "Dice, %").place for label in comparison.labels]
    assert places == [1, 2, 3]
    farther = [cell(comparison, 0, label, "HD95, mm").place for label in comparison.labels]
    assert farther == [1, 2, 3]


def test_nobody_is_best_where_all_are_equal(tmp_path: Path) -> None:
    comparison = compared(
        write_folder(tmp_path / "a", "caiseg", curves(0)),
        write_folder(tmp_path / "b", "ritm3d", curves(0)),
    )
    assert cell(comparison, 0, "caiseg", "Dice, %").place is None
    assert not cell(comparison, 0, "ritm3d", "Dice, %").differs
    assert verdict(comparison).endswith("ritm3d reaches the same.")


def test_a_clear_difference_is_marked_and_stated(tmp_path: Path) -> None:
    mine, other = curves(0, cases=14, better=0.1), curves(0, cases=14)
    comparison = compared(
        write_folder(tmp_path / "a", "caiseg", mine), write_folder(tmp_path / "b", "vnet", other)
    )
    assert cell(comparison, 0, "vnet", "Dice, %").differs
    assert not cell(comparison, 0, "caiseg", "Dice, %").differs
    (agreement, on_the_way) = difference_tables(comparison)
    assert [label for label, _ in agreement.rows] == ["vnet"]
    assert agreement.rows[0][1][0].text.startswith("−")
    assert on_the_way.rows[0][1][0].text.startswith("−")
    assert on_the_way.rows[0][1][1].text.startswith("+")
    assert "a difference that is significant" in verdict(comparison)


def test_another_reference_can_be_chosen_but_only_one_that_is_there(tmp_path: Path) -> None:
    folders = [
        write_folder(tmp_path / name, name, curves(seed))
        for seed, name in enumerate(("caiseg", "ritm3d"))
    ]
    assert compared(*folders, reference="ritm3d").reference == "ritm3d"
    with pytest.raises(InvalidInput, match="The reference dins3d is none of the compared methods"):
        compared(*folders, reference="dins3d")


def test_a_failed_case_is_left_out_for_all_and_named(tmp_path: Path) -> None:
    mine, other = dict(curves(0)), dict(curves(1))
    del other["case3"]
    comparison = compared(
        write_folder(tmp_path / "a", "caiseg", mine),
        write_folder(
            tmp_path / "b", "graph_cuts", other,
            failed={"case3": "There is not enough memory for this case."},
        ),
    )  # fmt: skip
    assert "case3" not in comparison.cases
    assert (len(comparison.cases), comparison.attempted) == (7, 8)
    notes = method_notes(comparison)
    assert any(note.startswith("1 of 8 cases") for note in notes)
    assert "graph_cuts failed on case3: There is not enough memory for this case." in notes
    expected = np.mean([mine[case][0][-1] for case in mine if case != "case3"])
    assert comparison.cells["caiseg", "dice_after_5"].spread.mean == pytest.approx(expected)


def test_a_single_case_is_shown_but_not_tested(tmp_path: Path) -> None:
    comparison = compared(
        write_folder(tmp_path / "a", "caiseg", curves(0, cases=1)),
        write_folder(tmp_path / "b", "vnet", curves(1, cases=1)),
    )
    assert comparison.tests == 0
    assert "±" not in cell(comparison, 0, "caiseg", "Dice, %").text
    assert "One case alone has no spread, and nothing can be tested on it." in method_notes(
        comparison
    )
    assert verdict(comparison).endswith("one case allows no test.")


def test_too_few_cases_for_any_significance_are_said_to_be_so(tmp_path: Path) -> None:
    comparison = compared(
        write_folder(tmp_path / "a", "caiseg", curves(0, cases=4)),
        write_folder(tmp_path / "b", "vnet", curves(1, cases=4)),
    )
    assert any("4 cases cannot show a significant" in note for note in method_notes(comparison))


def test_results_of_another_protocol_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"different protocols \(clicks: 5 and 4\)"):
        compared(
            write_folder(tmp_path / "a", "caiseg", curves(0)),
            write_folder(tmp_path / "b", "vnet", curves(1, clicks=4)),
        )


def test_results_on_other_cases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="vnet lacks case6, which caiseg has, and 1 more differ"):
        compared(
            write_folder(tmp_path / "a", "caiseg", curves(0)),
            write_folder(tmp_path / "b", "vnet", curves(1, cases=6)),
        )


def test_results_on_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="other content under the same names"):
        compared(
            write_folder(tmp_path / "a", "caiseg", curves(0)),
            write_folder(tmp_path / "b", "vnet", curves(1), content="other files"),
        )


def test_two_results_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "caiseg", curves(0))
    with pytest.raises(InvalidInput, match="Two results are called caiseg"):
        compared(folder, folder)
    twice = [read_method_results(folder), read_method_results(folder, "caiseg-large")]
    assert compare_methods(twice).labels == ["caiseg", "caiseg-large"]


def test_no_common_case_is_refused(tmp_path: Path) -> None:
    one, other = dict(curves(0, cases=2)), dict(curves(1, cases=2))
    del one["case0"], other["case1"]
    with pytest.raises(InvalidInput, match="No case was evaluated for every method"):
        compared(
            write_folder(tmp_path / "a", "caiseg", one, failed={"case0": "It is damaged."}),
            write_folder(tmp_path / "b", "vnet", other, failed={"case1": "It is damaged."}),
        )


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"holds no summary.json and results.csv"):
        read_method_results(tmp_path)


def test_a_summary_of_something_else_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "caiseg", curves(0))
    (folder / "summary.json").write_text(json.dumps({"method": "caiseg"}))
    with pytest.raises(InvalidInput, match="not the summary of an evaluation"):
        read_method_results(folder)


@pytest.mark.parametrize(("lines", "sentence"), [(1, "holds no case"), (4, "one row for each of")])
def test_rows_that_end_early_are_refused(tmp_path: Path, lines: int, sentence: str) -> None:
    folder = write_folder(tmp_path, "caiseg", curves(0))
    rows = (folder / "results.csv").read_text().splitlines(keepends=True)
    (folder / "results.csv").write_text("".join(rows[:lines]))
    with pytest.raises(InvalidInput, match=sentence):
        read_method_results(folder)


def test_a_missing_seed_is_refused(tmp_path: Path) -> None:
    rows = {"one": [[0.5, 0.6], [0.5, 0.7]], "two": [[0.4, 0.5]]}
    folder = write_folder(tmp_path, "caiseg", rows, rule="random")
    with pytest.raises(InvalidInput, match="case two has 1 of 2 seeds"):
        read_method_results(folder)
