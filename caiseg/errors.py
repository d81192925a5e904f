"""The one exception type that input from outside may cause."""

from __future__ import annotations

from dataclasses import dataclass


class InvalidInput(ValueError):
    """A file, click or setting that cannot be used.

    Its message is one sentence that says what is wrong and what to do next;
    the app and the command lines show it to the person as it is.
    """


@dataclass(frozen=True, slots=True)
class Series:
    """One of several DICOM series in an archive.

    Attributes:
        uid: What to ask for it with.
        description: What the scanner called it; may be empty.
        images: Number of images.
    """

    uid: str
    description: str
    images: int


class SeveralSeries(InvalidInput):
    """An archive of several DICOM series, of which one has to be chosen.

    Attributes:
        series: All of them that hold images, in the archive's order.
    """

    def __init__(self, sentence: str, series: tuple[Series, ...]):
        super().__init__(sentence)
        self.series = series
