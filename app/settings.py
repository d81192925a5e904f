"""Settings of the server, and what is refused."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs

from caiseg.errors import InvalidInput

Device = Literal["auto", "cpu", "cuda", "mps"]

CHECKPOINTS = Path(__file__).resolve().parent.parent / "assets" / "checkpoints"
"""The checkpoints that come with the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the server runs.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        checkpoints: Folder of ``.safetensors`` files.
        device: Where the network runs.
        memory_gb: GiB of memory that open scans may hold together.
        disk_gb: GiB that uploads and downloads may take on disk together.
        upload_mb: MiB that an uploaded file may have.
        idle_minutes: After this time without a click a scan leaves the memory.
        auth: File of user names and password hashes; none lets everybody in.
        root_path: Path or URL under which a reverse proxy publishes the app.
        demo_folder: Where the built-in scan is kept.

    Raises:
        InvalidInput: A combination that is refused.
    """

    host: str
    port: int
    checkpoints: Path
    device: Device
    memory_gb: float
    disk_gb: float
    upload_mb: int
    idle_minutes: float
    auth: Path | None
    root_path: str
    demo_folder: Path = field(default_factory=lambda: platformdirs.user_cache_path("caiseg"))

    @property
    def memory_bytes(self) -> int:
        """Bytes that open scans may hold together."""
        return int(self.memory_gb * 2**30)

    @property
    def reading_bytes(self) -> int:
        """Bytes that reading one scan may take; one is read at a time, beside those that are open.

        Twice what it holds of the budget once it is open, so that no scan fills more than that.
        """
        return self.memory_bytes // 2

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and self.auth is None:
            raise InvalidInput(
                f"Listening on {self.host} would let everybody on the network see patients' scans; "
                "add --auth FILE, or leave --host at 127.0.0.1."
            )
        if self.auth is not None and not self.auth.is_file():
            raise InvalidInput(
                f"The auth file {self.auth} does not exist; make it with "
                f"--add-user NAME --auth {self.auth}."
            )
        if not self.checkpoints.is_dir():
            raise InvalidInput(
                f"The checkpoint folder {self.checkpoints} does not exist; "
                "name one with --checkpoints."
            )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
