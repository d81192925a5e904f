"""The size that a compressed image gives itself, which decoders take memory for.

A DICOM header and the image inside it can disagree, and 20,000 × 20,000 pixels are announced in a
few bytes. JPEG and JPEG-LS announce them in a frame header (ITU-T T.81, B.2.2; T.87, C.2.2),
JPEG 2000 in its SIZ segment (T.800, A.5.1). Run lengths announce none: their decoder takes the
size from the DICOM header.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLETransferSyntaxes,
)

from caiseg.errors import InvalidInput
from caiseg.reading.stream import damaged

MAX_TILES = 1024
"""A JPEG 2000 decoder takes some kilobytes for each tile, however few bytes describe them all."""

_START = b"\xff\xd8"
_START_OF_SCAN = 0xDA
# Of the same range as frame headers: Huffman tables, a reserved one, arithmetic conditioning.
_FRAMES = ({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}) | {0xF7}
_START_2000 = b"\xff\x4f\xff\x51"


class Announced(NamedTuple):
    """What an image says of itself.

    Attributes:
        columns: Its width in pixels.
        rows: Its height in pixels.
        samples: Numbers for each pixel.
        tiles: Parts that are decoded on their own.
    """

    columns: int
    rows: int
    samples: int
    tiles: int = 1


def check_codestream(image: bytes, syntax: UID, size: tuple[int, int]) -> None:
    """Refuse an image that is not what the DICOM header around it says.

    Args:
        image: The compressed bytes of one frame.
        syntax: How they are compressed.
        size: Columns and rows that the header gives.

    Raises:
        InvalidInput: It is of another size, has several samples a pixel, is damaged, or is
            compressed in a way that is not read.
    """
    if syntax in RLETransferSyntaxes:
        return
    try:
        if syntax in JPEG2000TransferSyntaxes:
            announced = _jpeg_2000(image)
        elif syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
            announced = _jpeg(image)
        else:
            raise InvalidInput(
                "The DICOM images are compressed in a way that is not read; convert the series to "
                "NIfTI, with dcm2niix for example."
            )
    except (struct.error, IndexError):
        raise damaged() from None
    if announced[:3] != (*size, 1) or announced.tiles > MAX_TILES:
        raise InvalidInput(
            "A compressed DICOM image is not of the size that its header gives; export the series "
            "again."
        )


def _jpeg(image: bytes) -> Announced:
    """Read the segments in front of the scan; exactly one of them is a frame header."""
    if not image.startswith(_START):
        raise damaged()
    announced, place = [], len(_START)
    while True:
        if image[place] != 0xFF:
            raise damaged()
        marker = image[place + 1]
        if marker == 0xFF:
            # Markers may be preceded by any number of these.
            place += 1
            continue
        if marker == _START_OF_SCAN:
            break
        (length,) = struct.unpack_from(">H", image, place + 2)
        if marker in _FRAMES:
            _, rows, columns, samples = struct.unpack_from(">BHHB", image, place + 4)
            announced.append(Announced(columns, rows, samples))
        place += 2 + length
    if len(announced) != 1:
        raise damaged()
    return announced[0]


def _jpeg_2000(image: bytes) -> Announced:
    """Read the SIZ segment, which must come first."""
    if not image.startswith(_START_2000):
        raise damaged()
    # Right and lower end of the image, its start, size of a tile, where the first one starts.
    x1, y1, x0, y0, width, height, tile_x, tile_y, samples = struct.unpack_from(
        ">8IH", image, len(_START_2000) + 4
    )
    if width == 0 or height == 0:
        raise damaged()
    tiles = -(-(x1 - tile_x) // width) * -(-(y1 - tile_y) // height)
    return Announced(x1 - x0, y1 - y0, samples, tiles)
