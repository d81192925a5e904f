"""Compressed images put together by hand, to announce any size in a few hundred bytes."""

from __future__ import annotations

import struct


def jpeg(rows: int, columns: int, *, samples: int = 1, again: bytes = b"") -> bytes:
    """A baseline JPEG image whose pixels are missing or zero; ``again`` stands before the scan."""
    components = b"".join(bytes([number + 1, 0x11, 0]) for number in range(samples))
    one_code = bytes([1] + [0] * 15) + b"\0"
    scan = b"".join(bytes([number + 1, 0]) for number in range(samples))
    return (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + b"\1" * 64)
        + segment(0xC0, struct.pack(">BHHB", 8, rows, columns, samples) + components)
        + segment(0xC4, b"\x00" + one_code)
        + segment(0xC4, b"\x10" + one_code)
        + again
        + segment(0xDA, bytes([samples]) + scan + bytes([0, 63, 0]))
        + bytes(20)
        + b"\xff\xd9"
    )


def jpeg_ls(rows: int, columns: int, *, again: bytes = b"") -> bytes:
    """A JPEG-LS image of 16 bits; ``again`` stands before the scan."""
    return b"\xff\xd8" + frame_ls(rows, columns) + again + scan_ls() + bytes(40) + b"\xff\xd9"


def frame_ls(rows: int, columns: int) -> bytes:
    """The frame header of a JPEG-LS image."""
    return segment(0xF7, struct.pack(">BHHB", 16, rows, columns, 1) + bytes([1, 0x11, 0]))


def scan_ls() -> bytes:
    """The scan header of a JPEG-LS image."""
    return segment(0xDA, bytes([1, 1, 0, 0, 0, 0]))


def jpeg_2000(
    rows: int, columns: int, *, samples: int = 1, tile: tuple[int, int] | None = None
) -> bytes:
    """A JPEG 2000 image of 16 bits, all zero; ``tile`` is the width and height of its tiles."""
    width, height = tile or (columns, rows)
    size = struct.pack(">H8IH", 0, columns, rows, 0, 0, width, height, 0, 0, samples)
    coding = struct.pack(">BBHBBBBBB", 0, 0, 1, 0, 1, 4, 4, 0, 1)
    quantisation = bytes([0x40]) + bytes([0x48] * 4)
    first_tile = segment(0x90, struct.pack(">HIBB", 0, 15, 0, 1)) + b"\xff\x93\0"
    return (
        b"\xff\x4f"
        + segment(0x51, size + b"\x0f\1\1" * samples)
        + segment(0x52, coding)
        + segment(0x5C, quantisation)
        + first_tile
        + b"\xff\xd9"
    )


def segment(marker: int, body: bytes) -> bytes:
    """A marker, the length and the content of what follows it."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
