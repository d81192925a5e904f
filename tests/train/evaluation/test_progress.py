"""The progress bar of an evaluation, as it stands on the screen."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from train.evaluation.progress import EvaluationProgress


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(screen: io.StringIO) -> EvaluationProgress:
    """Four cases of five rounds each."""
    console = Console(file=screen, width=120, force_terminal=False)
    return EvaluationProgress(console, "caiseg", cases=4, rounds=5)


def last_line(screen: io.StringIO) -> str:
    return screen.getvalue().strip().splitlines()[-1]


def test_rounds_are_counted_and_the_case_is_named(
    screen: io.StringIO, progress: EvaluationProgress
) -> None:
    with progress:
        progress.begin("a large one")
        progress.step()
        progress.step()
    assert "caiseg" in last_line(screen)
    assert "a large one" in last_line(screen)
    assert " 10%" in last_line(screen)


def test_a_case_that_was_kept_or_failed_leaves_the_others_to_be_done(
    screen: io.StringIO, progress: EvaluationProgress
) -> None:
    with progress:
        progress.end(worked=False)
        progress.end(worked=False)
        progress.begin("third")
        progress.step()
        progress.end(worked=True)
    assert " 50%" in last_line(screen)
    assert "third" not in last_line(screen)


def test_a_case_that_failed_half_way_spoils_no_estimate(
    screen: io.StringIO, progress: EvaluationProgress
) -> None:
    with progress:
        progress.end(worked=True)
        progress.step()
        progress.step()
        progress.end(worked=False)
    assert " 33%" in last_line(screen)


def test_the_bar_is_full_when_all_cases_are_done(
    screen: io.StringIO, progress: EvaluationProgress
) -> None:
    with progress:
        for worked in (False, True, True, False):
            progress.end(worked=worked)
    assert "100%" in last_line(screen)
