"""What the page sends to the server, checked on arrival."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.exports import FileKind
from app.maps import MapKind
from caiseg import InvalidInput


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class UploadedFile(_Message):
    """A file that Gradio has stored."""

    path: Path


class VoxelFile(UploadedFile):
    """A file that belongs beside another one.

    Attributes:
        name: The name by which the other file calls it.
    """

    name: str


class OpenUpload(_Message):
    """Open an uploaded scan.

    Attributes:
        file: The scan, or the header of one.
        beside: The voxels that belong to a header.
        series: UID of the DICOM series that was chosen.
        volume: The volume that was chosen, from 0.
        session: What was done to this scan before, to go on with.
    """

    kind: Literal["upload"]
    file: UploadedFile
    beside: VoxelFile | None = None
    series: str | None = None
    volume: int | None = None
    session: dict[str, Any] | None = None


class OpenDemo(_Message):
    """Open the built-in scan.

    Attributes:
        session: What was done to it before, to go on with.
    """

    kind: Literal["demo"]
    session: dict[str, Any] | None = None


class SwitchModel(_Message):
    """Answer the present clicks with another checkpoint."""

    kind: Literal["model"]


class ResumeSession(_Message):
    """Do again what was done to the present scan before.

    Attributes:
        session: See :class:`caiseg.annotation.session_file.SessionFile`.
    """

    kind: Literal["session"]
    session: dict[str, Any]


class PageMessage(_Message):
    """The value of the viewer: all that the page has to say, whatever the event.

    Attributes:
        scan: The scan that the page shows; empty before the first.
        actions: Everything the person did to that scan, from the beginning and in order. The
            server answers those that it has not answered yet, so none is lost when several arrive
            in one event, and none counts twice when one arrives again.
        request: The scan or checkpoint that was asked for last.
        view: The voxel ``(i, j, k)`` that the page shows; none before the first scan.
        ticket: The number of that request, counted by the page; it names the one to cancel.
        model: The checkpoint that is chosen on the page.
        layout: Which file is to be saved.
        map: Which map is asked for.
        settings: How the page shows the scan, for the session file.
    """

    scan: str = ""
    actions: list[Any] = []
    request: (
        Annotated[OpenUpload | OpenDemo | SwitchModel | ResumeSession, Field(discriminator="kind")]
        | None
    ) = None
    view: tuple[float, float, float] | None = None
    ticket: int = 0
    model: str = ""
    layout: FileKind = "labels"
    map: MapKind = "probability"
    settings: dict[str, float | bool | str | None] = {}

    @classmethod
    def parse(cls, value: Any) -> PageMessage:
        """Read the viewer's value.

        Args:
            value: A JSON document, or its text; nothing before the page has said anything.

        Raises:
            InvalidInput: It is something else.
        """
        try:
            if isinstance(value, str):
                return cls.model_validate_json(value)
            return cls.model_validate(value or {})
        except ValidationError:
            raise InvalidInput("The page and the server disagree; reload the page.") from None
