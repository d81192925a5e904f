"""Which methods are evaluated with which weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from caiseg import InvalidInput
from tests.networks import write_small_checkpoint
from train.evaluation.choice import choose_methods


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_small_checkpoint(tmp_path / "small.safetensors")


def test_a_checkpoint_says_whose_weights_it_holds(checkpoint: Path) -> None:
    assert choose_methods([], [str(checkpoint)]) == [("caiseg", checkpoint)]


def test_methods_keep_their_order_and_get_their_own_weights(checkpoint: Path) -> None:
    chosen = choose_methods(
        ["graph_cuts", "caiseg", "nnunet"], [str(checkpoint), "nnunet=folds/of it"]
    )
    assert chosen == [
        ("graph_cuts", None),
        ("caiseg", checkpoint),
        ("nnunet", Path("folds/of it")),
    ]


def test_weights_that_no_method_asks_for_are_refused(checkpoint: Path) -> None:
    with pytest.raises(InvalidInput, match="weights of caiseg, which --method does not name"):
        choose_methods(["graph_cuts"], [str(checkpoint)])


def test_two_checkpoints_of_one_method_are_refused(checkpoint: Path) -> None:
    with pytest.raises(InvalidInput, match="both weights of caiseg"):
        choose_methods([], [str(checkpoint), str(checkpoint)])


def test_nothing_to_evaluate_and_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"Name what to evaluate: .*random_walker"):
        choose_methods([], [])
    with pytest.raises(InvalidInput, match="'sam' is not a method"):
        choose_methods(["sam"], [])
