"""From result rows to figures: means and spreads, a terminal table, lines for a model card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from train.evaluation.metrics import mean_over_clicks, number_of_clicks
from train.evaluation.results import RoundRecord

DICE_ROUNDS = (0, 1, 2, 3, 5, 10, 20)
"""Numbers of clicks at which mean Dice is given."""
NOC_TARGETS = (80, 85, 90)
"""Dice, in percent, to which clicks are counted."""
ROUND_METRICS = ("dice", "jaccard", "precision", "recall", "hd95_mm", "asd_mm", "nsd")

Session = Sequence[RoundRecord]
"""Rows of one case and one seed, by round."""


def figures(records: Sequence[RoundRecord], clicks: int) -> dict[str, Any]:
    """Everything that is said about a method, from its rows alone.

    Spreads are sample standard deviations: ``sd_cases`` over cases, each averaged over its seeds;
    ``sd_seeds``, where there are several, over the seeds' means of all cases.

    Args:
        records: Rows of at least one case; every case with the same seeds.
        clicks: Clicks of the protocol, which NoC counts when a target is never reached.

    Returns:
        A JSON document: ``dice`` by clicks, ``dice_over_clicks`` (the area under its curve),
        ``rounds`` with all metrics, ``noc``, ``clicks``, ``seconds``.
    """
    sessions = _sessions(records)
    seeds = len({seed for _, seed in sessions})
    shown = sorted({count for count in (*DICE_ROUNDS, clicks) if count <= clicks})
    measured = [row.round for row in next(iter(sessions.values())) if row.hd95_mm is not None]

    def over_sessions(value: Callable[[Session], float]) -> dict[str, Any]:
        return _statistics([value(session) for session in sessions.values()], seeds)

    def at_round(count: int, metric: str) -> dict[str, Any]:
        return over_sessions(lambda session: float(getattr(session[count], metric)))

    return {
        "dice": {str(count): at_round(count, "dice") for count in shown},
        "dice_by_clicks": [at_round(count, "dice")["mean"] for count in range(clicks + 1)],
        "dice_over_clicks": over_sessions(
            lambda session: mean_over_clicks([row.dice for row in session])
        ),
        "rounds": {
            str(count): {metric: at_round(count, metric) for metric in ROUND_METRICS}
            for count in measured
        },
        "noc": {
            str(target): {
                **over_sessions(partial(_noc, target=target, clicks=clicks)),
                "failure_rate": _mean([_failed(s, target) for s in sessions.values()]),
            }
            for target in NOC_TARGETS
        },
        "clicks": _click_shares(records),
        "seconds": _seconds(sessions),
    }


def figures_for_card(summary: dict[str, Any]) -> dict[str, Any]:
    """The lines of a model card: the measure in words, and its value.

    Args:
        summary: What an evaluation wrote into ``summary.json``.
    """
    found, data, machine = summary["figures"], summary["data"], summary["machine"]
    settings = summary["settings"]
    card: dict[str, Any] = {
        "measured on": f"split {data['split']}, {data['evaluated']} of {data['cases']} cases, "
        f"native grid, clicks by the {settings['rule']} rule",
        "Dice after": {
            _clicks(count): round(value["mean"], 4) for count, value in found["dice"].items()
        },
    }
    for target, noc in found["noc"].items():
        card[f"clicks to {target} % Dice (failure rate)"] = (
            f"{noc['mean']:.1f} ({noc['failure_rate']:.0%})"
        )
    for count, metrics in found["rounds"].items():
        card[f"HD95, ASD in mm; surface Dice after {_clicks(count)}"] = (
            f"{metrics['hd95_mm']['mean']:.1f}, {metrics['asd_mm']['mean']:.2f}; "
            f"{metrics['nsd']['mean']:.3f}"
        )
    clicks, seconds = found["clicks"], found["seconds"]
    card["clicked voxels that took the clicked label"] = _share(clicks["obeyed"])
    card["clicks that lowered Dice"] = _share(clicks["harmful"])
    card["seconds to encode (median)"] = round(seconds["encode"]["median"], 3)
    if seconds["click"] is not None:
        card["seconds per click (median)"] = round(seconds["click"]["median"], 3)
        card["faster than encoding anew (median)"] = f"{seconds['speed_up']['median']:.1f} times"
    card["timed on"] = f"{machine['device']}, {machine['threads']} threads"
    return card


def summary_table(summary: dict[str, Any]) -> Table:
    """The figures as a table for the terminal."""
    found = summary["figures"]
    data = summary["data"]
    cases = f"{data['evaluated']} of {data['cases']} cases of {data['split']}"
    table = Table(title=f"{summary['method']}: {cases}")
    for heading in ("", "mean", "SD of cases", "SD of seeds"):
        table.add_column(heading, justify="left" if not heading else "right")
    for count, value in found["dice"].items():
        _add(table, f"Dice, {_clicks(count)}", value, ".3f")
    _add(table, "Dice, mean over clicks", found["dice_over_clicks"], ".3f")
    table.add_section()
    for target, noc in found["noc"].items():
        _add(table, f"NoC@{target} ({noc['failure_rate']:.0%} failed)", noc, ".1f")
    for count, metrics in found["rounds"].items():
        table.add_section()
        for name, metric in (("HD95 mm", "hd95_mm"), ("ASD mm", "asd_mm"), ("NSD", "nsd")):
            _add(table, f"{name}, {_clicks(count)}", metrics[metric], ".2f")
    table.add_section()
    clicks, seconds = found["clicks"], found["seconds"]
    table.add_row("obeyed clicks", _share(clicks["obeyed"]))
    table.add_row("harmful clicks", _share(clicks["harmful"]))
    table.add_row("median encode, s", f"{seconds['encode']['median']:.3f}")
    if seconds["click"] is not None:
        table.add_row("median click, s", f"{seconds['click']['median']:.3f}")
        table.add_row("encode + click / click", f"{seconds['speed_up']['median']:.1f}")
    return table


def _sessions(records: Sequence[RoundRecord]) -> dict[tuple[str, int], Session]:
    """Rows by case and seed, cases in order and the seeds of one case side by side."""
    sessions: dict[tuple[str, int], list[RoundRecord]] = {}
    for record in sorted(records, key=lambda row: (row.case, row.seed, row.round)):
        sessions.setdefault((record.case, record.seed), []).append(record)
    return dict(sessions)


def _statistics(values: Sequence[float], seeds: int) -> dict[str, Any]:
    """Mean and spreads of values that are ordered by case, then seed."""
    table = np.asarray(values, dtype=np.float64).reshape(-1, seeds)
    return {
        "mean": float(table.mean()),
        "sd_cases": _sd(table.mean(axis=1)),
        "sd_seeds": _sd(table.mean(axis=0)) if seeds > 1 else None,
    }


def _sd(values: npt.NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _mean(values: Sequence[float | bool]) -> float:
    return float(np.mean(values))


def _noc(session: Session, target: int, clicks: int) -> float:
    reached = number_of_clicks([row.dice for row in session], target / 100)
    return float(clicks if reached is None else reached)


def _failed(session: Session, target: int) -> bool:
    return number_of_clicks([row.dice for row in session], target / 100) is None


def _click_shares(records: Sequence[RoundRecord]) -> dict[str, Any]:
    """How often clicks were obeyed and did harm; ``None`` where nothing was clicked."""
    clicked = [row for row in records if row.click_label is not None]
    return {
        "total": len(clicked),
        "obeyed": _mean([bool(row.obeyed) for row in clicked]) if clicked else None,
        "harmful": _mean([bool(row.harmful) for row in clicked]) if clicked else None,
    }


def _seconds(sessions: dict[tuple[str, int], Session]) -> dict[str, Any]:
    """Time of the method alone: encoding, a click, and both against the click.

    ``speed_up`` says how many times faster than encoding and answering a click is, per case.
    """
    encode = {case: session[0].encode_seconds for (case, _), session in sessions.items()}
    click: dict[str, list[float]] = {}
    for (case, _), session in sessions.items():
        times = [row.click_seconds for row in session if row.click_label is not None]
        click.setdefault(case, []).extend(time for time in times if time is not None)
    speed_up = [
        (encode[case] + np.mean(times)) / np.mean(times) for case, times in click.items() if times
    ]
    return {
        "encode": _spread(list(encode.values())),
        "first_mask": _spread([session[0].click_seconds or 0.0 for session in sessions.values()]),
        "click": _spread([time for times in click.values() for time in times]),
        "speed_up": _spread([float(ratio) for ratio in speed_up]),
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "median": float(np.median(values)),
        "mean": _mean(values),
        "p95": float(np.percentile(values, 95)),
        "min": float(min(values)),
        "max": float(max(values)),
    }


def _clicks(count: str) -> str:
    return "1 click" if count == "1" else f"{count} clicks"


def _share(value: float | None) -> str:
    return "none made" if value is None else f"{value:.1%}"


def _add(table: Table, name: str, value: dict[str, Any], form: str) -> None:
    seeds = "" if value["sd_seeds"] is None else format(value["sd_seeds"], form)
    table.add_row(name, format(value["mean"], form), format(value["sd_cases"], form), seeds)
