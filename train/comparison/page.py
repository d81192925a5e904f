"""The comparison as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train.comparison.comparison import Comparison
from train.comparison.gallery import Gallery
from train.comparison.how_made import weights_table
from train.comparison.notes import method_notes
from train.comparison.plots import figures_of
from train.comparison.tables import (
    TextTable,
    case_table,
    click_table,
    difference_tables,
    score_tables,
    verdict,
)
from train.comparison.written import provenance_lines
from train.drawing.page import PageFigure, write_page
from train.drawing.slices import legend


@dataclass(frozen=True)
class Part:
    """One comparison on a page; a page of ablations holds several.

    Attributes:
        comparison: What is shown.
        key: Unique on the page.
        heading: Above it, where there are several.
        variants: What the compared methods are, in words, by label.
        galleries: Pictures of cases.
        gallery_note: Which cases are shown, or why there are none.
    """

    comparison: Comparison
    key: str = ""
    heading: str = ""
    variants: Sequence[tuple[str, str]] = ()
    galleries: Sequence[Gallery] = ()
    gallery_note: str = ""

    @property
    def verdict(self) -> str:
        """The result in words; a part without heading leaves it to the page."""
        return verdict(self.comparison) if self.heading else ""

    @property
    def reference(self) -> str:
        """The method that the others are tested against."""
        return self.comparison.reference

    @property
    def figures(self) -> list[PageFigure]:
        """The plots."""
        return figures_of(self.comparison, f"{self.key}-" if self.key else "")

    @property
    def tables(self) -> list[TextTable]:
        """Scores, and what became of the clicks."""
        return [*score_tables(self.comparison), click_table(self.comparison)]

    @property
    def differences(self) -> list[TextTable]:
        """Every method against the reference."""
        return difference_tables(self.comparison)

    @property
    def weights(self) -> TextTable | None:
        """How the weights were made; ``None`` without any."""
        return weights_table(self.comparison)

    @property
    def cases(self) -> TextTable:
        """Dice case by case."""
        return case_table(self.comparison)

    @property
    def notes(self) -> list[str]:
        """How to read the numbers."""
        return method_notes(self.comparison)

    @property
    def provenance(self) -> list[str]:
        """Where the numbers come from."""
        return provenance_lines(self.comparison)


def write_report(path: Path, title: str, lead: str, parts: Sequence[Part]) -> None:
    """Write the page.

    Args:
        path: Where to.
        title: Its heading.
        lead: The sentence under the heading.
        parts: One for a comparison, one per study for ablations.

    Raises:
        InvalidInput: The file cannot be written.
    """
    write_page(
        path,
        "comparison.html",
        title=title,
        figures=[figure for part in parts for figure in part.figures],
        lead=lead,
        parts=parts,
        legend=legend(),
    )
