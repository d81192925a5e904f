"""Reading bytes that may be compressed, cut off, damaged, or a decompression bomb."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from caiseg.errors import InvalidInput

CHUNK = 1 << 20
DEFLATE_MAX_RATIO = 1032
"""No deflate stream expands more than this (zlib's technical notes)."""
TRAILING_BYTES_ALLOWED = 1 << 20
"""Some writers pad a file; more than this after the last voxel is no padding."""


@contextmanager
def open_stream(path: Path) -> Iterator[ScanStream]:
    """Open a scan for one pass from begin to end, decompressing it if it starts like gzip.

    Within the context, damage found by the decompressor and failures of the disk are raised as
    :class:`~caiseg.errors.InvalidInput`.
    """
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            size = path.stat().st_size
            if compressed:
                with gzip.GzipFile(fileobj=file) as unzipped:
                    yield ScanStream(unzipped, size * DEFLATE_MAX_RATIO, compressed)
            else:
                yield ScanStream(file, size, compressed)
    except EOFError:
        raise truncated() from None
    except (gzip.BadGzipFile, zlib.error):
        raise damaged() from None
    except OSError as error:
        reason = error.strerror or "the disk reports an error"
        raise InvalidInput(
            f"The file cannot be read ({reason}); check that it exists and that you may open it."
        ) from error


class ScanStream:
    """Bytes of a scan, read once and in order.

    Attributes:
        most_bytes: Upper bound of what the stream can hold, known before it is read.
        compressed: Whether the bytes come out of a gzip file.
    """

    def __init__(
        self, source: IO[bytes] | gzip.GzipFile, most_bytes: int, compressed: bool
    ) -> None:
        self._source = source
        self.most_bytes = most_bytes
        self.compressed = compressed

    def read_up_to(self, count: int) -> bytes:
        """Read ``count`` bytes, or fewer where the stream ends."""
        parts = []
        while count > 0 and (part := self._source.read(min(count, CHUNK))):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def expect(self, count: int) -> None:
        """Make sure that so many bytes may follow, before memory is taken for them.

        Raises:
            InvalidInput: The file is too small, however well compressed.
        """
        if count > self.most_bytes:
            raise truncated()

    def read_exactly(self, count: int) -> bytes:
        """Read ``count`` bytes.

        Raises:
            InvalidInput: The stream ends before.
        """
        found = self.read_up_to(count)
        if len(found) < count:
            raise truncated()
        return found

    def skip(self, count: int) -> None:
        """Read past ``count`` bytes.

        Raises:
            InvalidInput: The stream ends before.
        """
        while count > 0:
            part = self._source.read(min(count, CHUNK))
            if not part:
                raise truncated()
            count -= len(part)

    def finish(self) -> None:
        """Read to the end, which is where gzip keeps the checksum.

        Raises:
            InvalidInput: Far more bytes follow than the header announced.
        """
        if len(self.read_up_to(TRAILING_BYTES_ALLOWED + 1)) > TRAILING_BYTES_ALLOWED:
            raise InvalidInput(
                "The file holds much more data than its header announces, as a damaged file or a "
                "decompression bomb does; export the scan again."
            )


def truncated() -> InvalidInput:
    """The refusal of a file that ends too early."""
    return InvalidInput(
        "The file ends before its last voxel, so it was cut off; copy or download it again."
    )


def damaged() -> InvalidInput:
    """The refusal of a file whose compressed voxels cannot be decoded as announced."""
    return InvalidInput(
        "The file is damaged (its compressed voxels or their checksum are wrong); export or "
        "download it again."
    )
