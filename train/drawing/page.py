"""Self-contained HTML pages: one file that opens without a network, in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from train.evaluation.results import write_text

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class PageFigure:
    """A Plotly figure on a page.

    Attributes:
        key: Unique on the page.
        caption: What it shows and how to read it.
        figure: Without colours of its own for text and grid; the page sets them, light or dark.
        height: In CSS pixels.
    """

    key: str
    caption: str
    figure: go.Figure
    height: int = 420

    @property
    def json(self) -> Markup:
        """The figure for a script element, in which no tag can end early."""
        return Markup(str(self.figure.to_json()).replace("<", "\\u003c"))


def write_page(
    path: Path, template: str, *, title: str, figures: Sequence[PageFigure] = (), **context: Any
) -> None:
    """Write a page; style, scripts and pictures lie within the file.

    Plotly's script, 5 MB, is embedded once, and only where there is a figure to draw.

    Args:
        path: Where to.
        template: A file of ``templates/`` that extends ``page.html``.
        title: Of the document.
        figures: Plotly figures.
        context: What else the template names.

    Raises:
        InvalidInput: The file cannot be written.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template(template).render(
        title=title,
        figures=figures,
        style=Markup((TEMPLATES / "page.css").read_text("utf-8")),
        script=Markup((TEMPLATES / "figures.js").read_text("utf-8")),
        plotly=Markup(get_plotlyjs()) if figures else "",
        **context,
    )
    write_text(path, page)
