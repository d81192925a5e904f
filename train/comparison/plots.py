"""The plots of a comparison, as Plotly figures that the page colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from train.comparison.comparison import Comparison
from train.comparison.measures import clicks
from train.comparison.statistics import Values
from train.drawing.page import PageFigure

COLOURS = ("#e69f00", "#4aa3df", "#2fae85", "#d07fb0", "#e0662f", "#8f8cf0", "#9aa14a", "#8c969f")
"""Told apart by people with colour-blindness, readable on white and on near-black."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "hexagon")
TARGET = 85
"""Dice, in percent, of the plot of cases that are done."""


def figures_of(comparison: Comparison, prefix: str = "") -> list[PageFigure]:
    """All plots; a single method has none of differences.

    Args:
        comparison: What to draw.
        prefix: Begins the keys, where a page holds several comparisons.
    """
    figures = [dice_by_clicks(comparison, prefix), share_of_cases_done(comparison, prefix)]
    if len(comparison.methods) > 1:
        figures.append(differences(comparison, prefix))
    return figures


def dice_by_clicks(comparison: Comparison, prefix: str = "") -> PageFigure:
    """Mean Dice after 0, 1, 2, ... clicks, with the confidence band of the mean."""
    figure = _figure("clicks", "Dice, %")
    counts = list(range(comparison.protocol.clicks + 1))
    for number, (label, curve) in enumerate(comparison.curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        if curve.low is not None and curve.high is not None:
            figure.add_scatter(
                x=[*counts, *reversed(counts)],
                y=_percent([*curve.high, *reversed(curve.low)]),
                fill="toself", fillcolor=_transparent(colour, 0.2 if number == 0 else 0.1),
                line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup=label,
            )  # fmt: skip
        _add_line(figure, label, number, counts, _percent(curve.mean), "Dice %{y:.1f} %")
    caption = (
        f"Mean Dice over {len(comparison.cases)} cases against the number of clicks. "
        + ("Bands: 95 % confidence interval of the mean (bootstrap over cases). "
           if len(comparison.cases) > 1 else "")
        + "A click on the legend hides a method."
    )  # fmt: skip
    return PageFigure(f"{prefix}dice-by-clicks", caption, figure)


def share_of_cases_done(comparison: Comparison, prefix: str = "") -> PageFigure:
    """Share of sessions whose mask has reached the target after so many clicks."""
    figure = _figure("clicks", f"cases at Dice {TARGET} %, %")
    counts = list(range(comparison.protocol.clicks + 1))
    for number, method in enumerate(comparison.methods):
        curves = np.array(
            [
                [row.dice for row in method.sessions[case, seed]]
                for case in comparison.cases
                for seed in method.seeds
            ]
        )
        reached = np.maximum.accumulate(curves >= TARGET / 100, axis=1).mean(axis=0)
        _add_line(figure, method.label, number, counts, _percent(reached), "%{y:.0f} % of cases")
    figure.update_yaxes(range=[-3, 103])
    return PageFigure(
        f"{prefix}cases-done",
        f"Share of cases whose mask has reached a Dice of {TARGET} % once within so many clicks.",
        figure,
        height=340,
    )


def differences(comparison: Comparison, prefix: str = "") -> PageFigure:
    """Per case and on average, how far every method lies from the reference."""
    figure = _figure("difference in Dice, points", "")
    key = f"dice_after_{comparison.protocol.clicks}"
    reference = comparison.cells[comparison.reference, key].values.mean(axis=1)
    for number, label in enumerate(comparison.labels):
        test = comparison.cells[label, key].test
        if test is None:
            continue
        colour = COLOURS[number % len(COLOURS)]
        gaps = comparison.cells[label, key].values.mean(axis=1) - reference
        figure.add_scatter(
            x=_percent(gaps), y=[label] * len(gaps), mode="markers", text=list(comparison.cases),
            marker={"color": _transparent(colour, 0.45), "size": 7}, showlegend=False,
            hovertemplate="%{text}: %{x:+.1f}<extra></extra>",
        )  # fmt: skip
        bars = None
        if test.interval is not None:
            bars = {
                "type": "data", "symmetric": False, "thickness": 2, "width": 7, "color": colour,
                "array": [100 * (test.interval.high - test.difference)],
                "arrayminus": [100 * (test.difference - test.interval.low)],
            }  # fmt: skip
        figure.add_scatter(
            x=[100 * test.difference], y=[label], mode="markers", error_x=bars, showlegend=False,
            marker={"color": colour, "size": 12, "symbol": "diamond"},
            hovertemplate="mean %{x:+.1f}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(zeroline=True, zerolinewidth=1.5)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(hovermode="closest")
    caption = (
        f"Dice after {clicks(comparison.protocol.clicks)} minus that of {comparison.reference} on "
        f"the same case: a point per case, left of zero where {comparison.reference} is better. "
        "Diamonds: mean with its 95 % confidence interval."
    )
    height = 110 + 46 * (len(comparison.methods) - 1)
    return PageFigure(f"{prefix}differences", caption, figure, height)


def _figure(x_title: str, y_title: str) -> go.Figure:
    axis: dict[str, Any] = {"zeroline": False, "automargin": True, "fixedrange": True}
    return go.Figure(
        layout={
            "template": "none",
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
            "font": {"size": 14},
            "hovermode": "x unified",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "xaxis": {**axis, "title": {"text": x_title, "standoff": 8}},
            "yaxis": {**axis, "title": {"text": y_title, "standoff": 8}},
        }
    )


def _add_line(
    figure: go.Figure, label: str, number: int, x: list[int], y: list[float], hover: str
) -> None:
    colour = COLOURS[number % len(COLOURS)]
    figure.add_scatter(
        x=x, y=y, name=label, legendgroup=label, mode="lines+markers",
        line={"color": colour, "width": 3 if number == 0 else 2},
        marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 7, "color": colour},
        hovertemplate=hover + "<extra>%{fullData.name}</extra>",
    )  # fmt: skip


def _percent(values: Values | list[float]) -> list[float]:
    return [round(100 * float(value), 3) for value in values]


def _transparent(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"
