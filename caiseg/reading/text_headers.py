"""The text headers of NRRD and MetaImage files: which bytes hold the voxels, and how.

SimpleITK reads both formats, but it follows a header to any file on the disk, and takes damaged
compressed MetaImages for good. So what a header says about its payload is read here first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

from caiseg.errors import InvalidInput

MAX_HEADER_BYTES = 1 << 20
_NRRD_ENCODINGS = {"raw": False, "gz": True, "gzip": True}


@dataclass(frozen=True)
class Payload:
    """Where the voxels lie.

    Attributes:
        path: The file that holds them.
        offset: Position of their first byte.
        compressed: Whether they are a zlib or gzip stream.
        compressed_bytes: Length of that stream, where the header gives it.
        has_spacing: Whether the header gives the voxel size.
    """

    path: Path
    offset: int
    compressed: bool
    compressed_bytes: int | None
    has_spacing: bool


def nrrd_payload(path: Path) -> Payload:
    """Read the header of a ``.nrrd`` file.

    Raises:
        InvalidInput: It is no NRRD file, or keeps its voxels elsewhere or in a rare encoding.
    """
    with path.open("rb") as file:
        if not file.readline(64).startswith(b"NRRD000"):
            raise InvalidInput(
                "The file is not an NRRD scan, whatever its name says; choose another file."
            )
        fields: dict[str, str] = {}
        while line := _next_line(file):
            if line.lower().replace(" ", "").startswith("datafile"):
                raise InvalidInput(
                    "The NRRD header keeps its voxels in another file; save the scan as one .nrrd "
                    "file."
                )
            # "key:=value" is a free remark; a field is "name: value".
            if not line.startswith("#") and ":=" not in line:
                _add(fields, line.lower(), ":")
        offset = file.tell()
    encoding = fields.get("encoding", "")
    skips = [fields.get(key, "0") for key in ("line skip", "lineskip", "byte skip", "byteskip")]
    if encoding not in _NRRD_ENCODINGS or any(skip != "0" for skip in skips):
        raise InvalidInput(
            "The NRRD file stores its voxels in an unusual way; save it with raw or gzip encoding."
        )
    has_spacing = "spacings" in fields or "space directions" in fields
    return Payload(path, offset, _NRRD_ENCODINGS[encoding], None, has_spacing)


def meta_payload(path: Path) -> Payload:
    """Read the header of a ``.mha`` or ``.mhd`` file.

    Raises:
        InvalidInput: It is no MetaImage, or keeps its voxels where they cannot be taken from.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while "ElementDataFile" not in fields:
            if not (line := _next_line(file)):
                raise InvalidInput(
                    "The file is not a MetaImage scan, whatever its name says; choose another file."
                )
            _add(fields, line, "=")
        offset = file.tell()
    if fields.get("BinaryData", "True") != "True" or fields.get("HeaderSize", "0") != "0":
        raise InvalidInput(
            "The MetaImage file stores its voxels in an unusual way; save it again as binary .mha."
        )
    if fields.get("NDims") not in ("2", "3", "4"):
        raise InvalidInput(
            "The MetaImage header announces no scan of 2, 3 or 4 dimensions; save it again."
        )
    data_file = fields["ElementDataFile"]
    voxels = path
    if data_file != "LOCAL":
        voxels, offset = _beside(path, data_file), 0
    stated = fields.get("CompressedDataSize", "")
    return Payload(
        path=voxels,
        offset=offset,
        compressed=fields.get("CompressedData") == "True",
        compressed_bytes=int(stated) if stated.isdecimal() else None,
        has_spacing="ElementSpacing" in fields or "ElementSize" in fields,
    )


def _beside(header: Path, name: str) -> Path:
    """The voxel file that a header names, which must stand beside it."""
    voxels = header.parent / name
    # A header must not be able to name any file of the machine that reads it, nor a pattern.
    if Path(name).name != name or "%" in name or name == "LIST":
        raise InvalidInput(
            "The MetaImage header keeps its voxels elsewhere; save the scan as one .mha file."
        )
    if not voxels.is_file() or voxels.is_symlink():
        raise InvalidInput(
            f"The voxels of this scan belong in '{name}' beside it, which is not there; save the "
            "scan as one .mha file."
        )
    return voxels


def _next_line(file: IO[bytes]) -> str:
    """The next line without its end; empty where the header or the file ends."""
    line = file.readline(MAX_HEADER_BYTES)
    if file.tell() > MAX_HEADER_BYTES:
        raise InvalidInput("The scan's text header has no end; export the scan again.")
    text = line.decode("latin-1").rstrip("\r\n")
    # Readers differ in whether these end a line or a text, so a header could say one thing here
    # and another to SimpleITK.
    if any(sign in text for sign in "\r\v\f\0"):
        raise _damaged_header()
    return text.strip()


def _add(fields: dict[str, str], line: str, separator: str) -> None:
    key, found, value = (part.strip() for part in line.partition(separator))
    if not found or ":" in key or key in fields:
        # Of two values for one key, or two separators in a line, readers differ in their choice.
        raise _damaged_header()
    fields[key] = value


def _damaged_header() -> InvalidInput:
    return InvalidInput("The scan's text header is damaged; export the scan again.")
