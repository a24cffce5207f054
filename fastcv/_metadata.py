"""A picture's file without its metadata, for those that keep a decoder from sound pixels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

ORIENTATION = 0x0112

# What a TIFF's pixels need: sizes, where they lie, how they are packed, and their colours.
TIFF_TAGS = frozenset(
    {*range(256, 260), 262, 266, *range(273, 275), *range(277, 280), 284, 292, 293, 317}
    | {*range(320, 326), 332, 338, 339, 347, *range(512, 522), *range(529, 533)}
)
TRANSPARENT_BYTES = {0: 2, 2: 6}  # of a PNG's transparent colour, by its colour type


def without_metadata(path: Path) -> bytes | None:
    """The file's bytes, less what its pixels and their orientation do not need.

    Pixels stay byte for byte, so what is damaged stays so.

    Returns:
        None: a file of another kind than PNG, JPEG and TIFF, or one without their structure.
    """
    with path.open("rb") as file:
        start = file.read(4)
        for signature, strip in STRIPPERS.items():
            if start.startswith(signature):
                try:
                    return strip(start + file.read())
                except struct.error:  # it ends where there must be more
                    return None
    return None


def orientation_alone(exif: bytes) -> bytes:
    """An EXIF block with no other tag; as it is, where it is none."""
    return b"Exif\0\0" + _only(exif.removeprefix(b"Exif\0\0"), frozenset({ORIENTATION}))


def _png(content: bytes) -> bytes:
    kept, place = [content[:8]], 8
    transparent = TRANSPARENT_BYTES.get(content[25])
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunk = content[place : place + 12 + length]
        kind, body, checksum = chunk[4:8], chunk[8:-4], chunk[-4:]
        critical = not kind[0] & 0x20
        sound = checksum == struct.pack(">I", zlib.crc32(kind + body))
        if kind == b"eXIf" and sound:
            body = orientation_alone(body).removeprefix(b"Exif\0\0")
            kept.append(struct.pack(">I", len(body)) + kind + body)
            kept.append(struct.pack(">I", zlib.crc32(kind + body)))
        elif critical or (kind == b"tRNS" and sound and transparent in (None, length)):
            kept.append(chunk)
        place += len(chunk)
    return b"".join(kept)


def _jpeg(content: bytes) -> bytes:
    kept, place = [content[:2]], 2
    turned = False
    while content[place : place + 1] == b"\xff":
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker == 0xDA:  # pixels, to the end
            break
        (length,) = struct.unpack_from(">H", content, place + 2)
        segment = content[place : place + 2 + length]
        name = segment[4:]
        if marker == 0xE1 and name.startswith(b"Exif\0\0") and not turned:
            turned = True
            kept.append(segment[:4] + orientation_alone(name))
        # Two of the application segments say how colours are stored.
        elif (
            not (0xE0 <= marker <= 0xEF or marker == 0xFE)
            or (marker == 0xE0 and name.startswith(b"JFIF\0") and length >= 16)
            or (marker == 0xEE and name.startswith(b"Adobe") and length >= 14)
        ):
            kept.append(segment)
        place += 2 + length
    return b"".join([*kept, content[place:]])


def _tiff(content: bytes) -> bytes:
    return _only(content, TIFF_TAGS)


def _only(tiff: bytes, tags: frozenset[int]) -> bytes:
    """A TIFF, or an EXIF block, which is one, with these tags alone in its first directory."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return tiff
    try:
        (place,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, place)
    except struct.error:
        return tiff
    entries = [tiff[i : i + 12] for i in range(place + 2, place + 2 + 12 * count, 12)]
    kept = [e for e in entries if len(e) == 12 and struct.unpack(order + "H", e[:2])[0] in tags]
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)
    return tiff[:place] + directory + tiff[place + len(directory) :]


STRIPPERS = {
    b"\x89PNG": _png,
    b"\xff\xd8": _jpeg,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
}
