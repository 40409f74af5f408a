"""Read an image file's format and size, and whether it is whole, without decoding it.

Decoders differ in what they make of a truncated file: an error, half a picture, a line on stderr.
These checks come first. PNG has checksums, so damage shows too; JPEG and TIFF have none, so only
what is missing does.
"""

import dataclasses
import struct
import zlib


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
    """An image file's format ("PNG", "JPEG", "TIFF") and its size in pixels.

    Attributes:
      white_is_zero: of a TIFF file whether its values fall from black to white.
    """

    format: str
    width: int
    height: int
    white_is_zero: bool = False


class BadFileError(ValueError):
    """What is wrong with the file's bytes, in a few words."""


def read_header(data: bytes) -> Header:
    """Read the header and check that the file is whole.

    Args:
      data: the bytes of a PNG, JPEG or TIFF file.

    Raises:
      BadFileError: another format, truncated, or damaged.
    """
    if not data:
        raise BadFileError("the file is empty (0 bytes)")
    for signature, read in _READERS.items():
        if data.startswith(signature):
            try:
                return read(data)
            except (struct.error, IndexError):
                break
    else:
        raise BadFileError("not a PNG, JPEG or TIFF image")
    raise BadFileError(f"the file is truncated: it ends after {len(data):,} bytes")


def _read_png(data: bytes) -> Header:
    """https://www.w3.org/TR/png-3/#5Chunk-layout"""
    width, height = struct.unpack_from(">II", data, 16)
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(memoryview(data)[at + 4 : at + 8 + length]) != checksum:
            raise BadFileError("the file is damaged: a checksum of its PNG chunks is wrong")
        at += 12 + length
    return Header(format="PNG", width=width, height=height)


def _read_jpeg(data: bytes) -> Header:
    """ITU-T T.81, annex B."""
    size = (0, 0)
    at = 2
    while data[at + 1] != 0xDA:  # start of scan
        if data[at] != 0xFF:
            raise BadFileError("the file is damaged: a JPEG marker is missing")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _FRAMES:
            size = struct.unpack_from(">HH", data, at + 5)
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    if data.rfind(b"\xff\xd9", at) < 0:  # end of image
        raise IndexError
    return Header(format="JPEG", width=size[1], height=size[0])


def _read_tiff(data: bytes) -> Header:
    """TIFF 6.0, and BigTIFF, which has 64-bit offsets."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    first, count, entry = ("Q", "Q", "HHQ") if big else ("I", "H", "HHI")
    (at,) = struct.unpack_from(order + first, data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + count, data, at)
    at += struct.calcsize(order + count)
    values: dict[int, tuple[int, ...]] = {}
    for _ in range(entries):
        tag, kind, number = struct.unpack_from(order + entry, data, at)
        at += struct.calcsize(order + entry)
        if tag in _TIFF_TAGS and kind in _TIFF_TYPES:
            form = f"{order}{number}{_TIFF_TYPES[kind]}"
            inline = struct.calcsize(form) <= struct.calcsize(order + first)
            place = at if inline else struct.unpack_from(order + first, data, at)[0]
            values[tag] = struct.unpack_from(form, data, place)
        at += struct.calcsize(order + first)
    for offsets, counts in ((273, 279), (324, 325)):  # strips, tiles
        for start, length in zip(values.get(offsets, ()), values.get(counts, ()), strict=False):
            if start + length > len(data):
                raise IndexError
    return Header(
        format="TIFF",
        width=values.get(256, (0,))[0],
        height=values.get(257, (0,))[0],
        white_is_zero=values.get(262) == (0,),
    )


def read_codestream_size(data: bytes) -> tuple[int, int]:
    """Read the width and height of a JPEG, JPEG-LS or JPEG 2000 codestream, as in DICOM files.

    Decoders take what it says for granted, whatever size the DICOM header has.

    Raises:
      BadFileError: it is none of these, is cut short, or has several components.
    """
    try:
        start = data.find(b"\xff\x4f\xff\x51")  # JPEG 2000: start of codestream, size; T.800 A.5.1
        if start >= 0:
            right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
            (components,) = struct.unpack_from(">H", data, start + 40)
            width, height = right - left, bottom - top
        else:
            at = 2
            while data[at + 1] not in _FRAMES:  # T.81 B.2.2, T.87 C.2.2
                at += 2 + struct.unpack_from(">H", data, at + 2)[0]
            height, width, components = struct.unpack_from(">HHB", data, at + 5)
    except (struct.error, IndexError) as error:
        raise BadFileError("the compressed pixels have no size") from error
    if components != 1:
        raise BadFileError(f"the compressed pixels have {components} components")
    return width, height


_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Markers of a start of frame: JPEG's, and JPEG-LS's."""

_TIFF_TAGS = (256, 257, 262, 273, 279, 324, 325)
_TIFF_TYPES = {3: "H", 4: "I", 16: "Q"}

_READERS = {
    b"\x89PNG\r\n\x1a\n": _read_png,
    b"\xff\xd8\xff": _read_jpeg,
    b"II*\0": _read_tiff,
    b"MM\0*": _read_tiff,
    b"II+\0": _read_tiff,
    b"MM\0+": _read_tiff,
}
