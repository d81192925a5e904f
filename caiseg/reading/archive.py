"""Unpacking an archive that a stranger made."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from caiseg.errors import InvalidInput

MAX_FILES = 20_000
_ENCRYPTED = 0x1
_DICOM_MARK = slice(128, 132)


def extract_dicom(archive: Path, folder: Path, max_bytes: int) -> list[Path]:
    """Unpack the DICOM files of a zip archive under names of our own.

    Args:
        archive: The zip file.
        folder: An empty folder to unpack to.
        max_bytes: Largest total size once unpacked.

    Returns:
        The files, in the archive's order; files of other types are left out.

    Raises:
        InvalidInput: The archive is damaged, encrypted, too large, or tries to leave its folder.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [member for member in zipped.infolist() if not member.is_dir()]
            _check_members(members, max_bytes)
            targets: list[Path] = []
            for member in members:
                with zipped.open(member) as source:
                    start = source.read(_DICOM_MARK.stop)
                    if start[_DICOM_MARK] != b"DICM":
                        continue
                    # The archive's own names are never used on the disk.
                    target = folder / f"{len(targets):06d}.dcm"
                    with target.open("wb") as file:
                        file.write(start)
                        shutil.copyfileobj(source, file)
                targets.append(target)
            return targets
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise InvalidInput(
            "The zip archive is damaged or of an unusual kind; zip the DICOM folder again."
        ) from None


def _check_members(members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    if any(_leaves_folder(member.filename) for member in members):
        raise InvalidInput(
            "The zip archive holds paths that lead out of its folder; zip the DICOM folder again."
        )
    if any(stat.S_ISLNK(member.external_attr >> 16) for member in members):
        raise InvalidInput(
            "The zip archive holds links instead of files; zip the DICOM images themselves."
        )
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise InvalidInput("The zip archive is protected by a password; zip it without one.")
    # zipfile never unpacks more of a member than the size it declares, so the sum is a bound.
    if len(members) > MAX_FILES or sum(member.file_size for member in members) > max_bytes:
        raise InvalidInput(
            "The zip archive is too large once unpacked; zip the images of one series only."
        )


def _leaves_folder(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in path.parts[0]
