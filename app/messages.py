"""What the page sends to the server, checked on arrival."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.saved_masks import Layout
from caiseg import InvalidInput


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class UploadedFile(_Message):
    """A file that Gradio has stored."""

    path: Path


class OpenUpload(_Message):
    """Open an uploaded scan."""

    kind: Literal["upload"]
    file: UploadedFile


class OpenDemo(_Message):
    """Open the built-in scan."""

    kind: Literal["demo"]


class SwitchModel(_Message):
    """Answer the present clicks with another checkpoint."""

    kind: Literal["model"]


class PageMessage(_Message):
    """The value of the viewer: all that the page has to say, whatever the event.

    Attributes:
        scan: The scan that the page shows; empty before the first.
        actions: Everything the person did to that scan, from the beginning and in order. The
            server answers those that it has not answered yet, so none is lost when several arrive
            in one event, and none counts twice when one arrives again.
        request: The scan or checkpoint that was asked for last.
        model: The checkpoint that is chosen on the page.
        layout: How masks are to be saved.
    """

    scan: str = ""
    actions: list[Any] = []
    request: Annotated[OpenUpload | OpenDemo | SwitchModel, Field(discriminator="kind")] | None = (
        None
    )
    model: str = ""
    layout: Layout = "labels"

    @classmethod
    def parse(cls, value: Any) -> PageMessage:
        """Read the viewer's value.

        Raises:
            InvalidInput: It is something else.
        """
        try:
            return cls.model_validate(value or {})
        except ValidationError:
            raise InvalidInput("The page and the server disagree; reload the page.") from None
