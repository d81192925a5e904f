"""Session files: everything that a person did to a scan, as JSON that gives the same masks again.

A file names the scan and the checkpoint by their hashes, and holds neither voxels of the scan nor
its file name, which may be a patient's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caiseg.annotation.actions import Action, action_to_json, parse_action
from caiseg.annotation.rounds import Segment
from caiseg.annotation.session import AnnotationSession
from caiseg.errors import InvalidInput
from caiseg.grids import Shape
from caiseg.predictor import CAISegPredictor, EncodedScan
from caiseg.version import __version__
from caiseg.volume import Volume

SESSION_VERSION: Literal[1] = 1
MAX_FILE_BYTES = 2**27
MAX_ACTIONS = 100_000
_Hash = Field(pattern="^[0-9a-f]{64}$")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScanReference(_Part):
    """Which scan a session belongs to.

    Attributes:
        sha256: :attr:`caiseg.Volume.content_hash`, of its voxels and their geometry.
        shape: Size ``(I, J, K)`` of the display grid.
    """

    sha256: str = _Hash
    shape: Shape

    @classmethod
    def of(cls, volume: Volume) -> ScanReference:
        """Refer to a scan."""
        return cls(sha256=volume.content_hash, shape=volume.shape)


class CheckpointReference(_Part):
    """Which checkpoint answered.

    Attributes:
        name: What it is called in its folder.
        sha256: Hash of its file.
    """

    name: str = Field(max_length=200)
    sha256: str = Field("", max_length=64)


class SessionFile(_Part):
    """A session as it is written to disk.

    Attributes:
        format: Tells the file from other JSON.
        version: Of the format.
        app_version: The version of this program that wrote it.
        scan: Which scan it belongs to.
        checkpoint: Which checkpoint answered.
        settings: How the page showed the scan; of no influence on masks.
        actions: Everything that was done, in time order; see
            :func:`caiseg.annotation.actions.parse_action`.
    """

    format: Literal["caiseg-session"] = "caiseg-session"
    version: Literal[1] = SESSION_VERSION
    app_version: str = Field(__version__, max_length=40)
    scan: ScanReference
    checkpoint: CheckpointReference
    settings: dict[str, float | bool | str | None] = Field(default_factory=dict, max_length=40)
    actions: list[dict[str, Any]] = Field(max_length=MAX_ACTIONS)

    @classmethod
    def of(
        cls,
        session: AnnotationSession,
        scan: ScanReference,
        checkpoint: CheckpointReference,
        settings: dict[str, float | bool | str | None] | None = None,
    ) -> SessionFile:
        """Write down a session.

        Args:
            session: The session.
            scan: The scan that it annotates.
            checkpoint: What answered.
            settings: How the page shows the scan.
        """
        return cls(
            scan=scan,
            checkpoint=checkpoint,
            settings=settings or {},
            actions=[action_to_json(action) for action in session.log],
        )

    @classmethod
    def parse(cls, document: Any) -> SessionFile:
        """Read a session from JSON types.

        Raises:
            InvalidInput: It is no session, or one of another version.
        """
        try:
            return cls.model_validate(document)
        except ValidationError:
            version = document.get("version") if isinstance(document, dict) else None
            if isinstance(version, int) and version > SESSION_VERSION:
                raise InvalidInput(
                    f"The session file has format version {version}, this program reads up to "
                    f"{SESSION_VERSION}; update the program."
                ) from None
            raise InvalidInput(
                "The file is no session of this program, or it is damaged; choose a session file "
                "(.json) that was saved here."
            ) from None

    @classmethod
    def read(cls, path: Path) -> SessionFile:
        """Read a session file.

        Raises:
            InvalidInput: It cannot be read, is no session, or one of another version.
        """
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise InvalidInput(f"'{path.name}' is too large for a session file.")
            document = json.loads(path.read_bytes())
        except OSError as error:
            raise InvalidInput(f"'{path.name}' cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError):
            document = None
        return cls.parse(document)

    def write(self, path: Path) -> None:
        """Write a session file."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def check_scan(self, volume: Volume) -> None:
        """Refuse another scan than the one that was annotated.

        Raises:
            InvalidInput: The voxels or their geometry differ.
        """
        if self.scan.sha256 != volume.content_hash:
            raise InvalidInput(
                "The session belongs to another scan: its voxels or their geometry differ from "
                f"those of {volume.name}; open the scan that was annotated."
            )

    def check_checkpoint(self, sha256: str) -> None:
        """Refuse another checkpoint than the one that answered.

        Raises:
            InvalidInput: The file has another hash.
        """
        if self.checkpoint.sha256 != sha256:
            raise InvalidInput(
                f"The session was made with the checkpoint {self.checkpoint.name}, whose file is "
                "not the one given, so its masks would differ; use the checkpoint of that hash: "
                f"{self.checkpoint.sha256[:12]}…."
            )

    @property
    def log(self) -> list[Action]:
        """The actions, in time order.

        Raises:
            InvalidInput: One of them is none.
        """
        return [parse_action(entry) for entry in self.actions]


def answering(predictor: CAISegPredictor, scan: EncodedScan) -> Segment:
    """What a session asks for masks: a checkpoint, on one scan."""
    return lambda clicks, previous: predictor.segment(scan, clicks, previous).mask


def replay_session(
    session: SessionFile, volume: Volume, predictor: CAISegPredictor
) -> AnnotationSession:
    """Do a session again, from the first mask on.

    Raises:
        InvalidInput: The scan or the checkpoint is another one, or the file is damaged.
    """
    session.check_scan(volume)
    session.check_checkpoint(predictor.checkpoint_hash)
    segment = answering(predictor, predictor.encode(volume))
    return AnnotationSession.from_log(session.log, segment, volume.spacing)
