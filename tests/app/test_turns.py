"""The network works for one at a time, in order of arrival, and long work gives way."""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.turns import Turns


def in_line(turns: Turns, work: Callable[[], None]) -> threading.Thread:
    """Somebody who waits for their turn; returns once they stand in line."""
    before = turns.waiting

    def run() -> None:
        with turns.turn():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    while turns.waiting == before:
        pass
    return thread


def test_those_who_wait_are_served_in_order_of_arrival() -> None:
    turns, served = Turns(), []
    with turns.turn():
        threads = [in_line(turns, lambda n=n: served.append(n)) for n in range(8)]  # type: ignore[misc]
        assert turns.waiting == 8
        assert served == []
    for thread in threads:
        thread.join()
    assert served == list(range(8))
    assert turns.waiting == 0


def test_a_click_comes_between_the_patches_of_a_scan() -> None:
    turns, order = Turns(), []
    with turns.turn():
        order.append("patch 1")
        clicks = [in_line(turns, lambda n=n: order.append(f"click {n}")) for n in (1, 2)]  # type: ignore[misc]
        turns.give_way()
        order.append("patch 2")
        turns.give_way()
        order.append("patch 3")
    for thread in clicks:
        thread.join()
    assert order == ["patch 1", "click 1", "click 2", "patch 2", "patch 3"]


def test_two_scans_take_turns() -> None:
    turns, order = Turns(), []

    def encode() -> None:
        for patch in range(3):
            order.append(f"other {patch}")
            turns.give_way()

    with turns.turn():
        other = in_line(turns, encode)
        for patch in range(3):
            order.append(f"own {patch}")
            turns.give_way()
    other.join()
    assert order == ["own 0", "other 0", "own 1", "other 1", "own 2", "other 2"]


def test_a_turn_that_fails_is_handed_on() -> None:
    turns, served = Turns(), []

    def fail() -> None:
        raise ZeroDivisionError

    try:
        with turns.turn():
            waiting = in_line(turns, lambda: served.append("next"))
            fail()
    except ZeroDivisionError:
        pass
    waiting.join()
    with turns.turn():
        served.append("again")
    assert served == ["next", "again"]
