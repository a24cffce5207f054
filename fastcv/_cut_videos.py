"""Whether a video file was cut short, as by a recording that was killed or a copy that broke off.

FFmpeg reads what is there and says nothing of what is not. Two things can be compared.

- The bytes. MP4 and MOV consist of boxes with sizes, Matroska and WebM of a segment with a size,
  AVI of RIFF chunks with sizes: one that reaches beyond the end of the file has lost its end.
- The time. Where the header says how long the video stream is, its packets should last as long.

It cannot be known of a recording that was killed before it wrote any size (Matroska and AVI, which
write theirs at the end), of a fragmented MP4 that ends between two fragments, or of MPEG (.mpg,
.mpeg), which has no sizes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

MEDIA_BOXES = (b"mdat", b"moof", b"moov")  # other boxes may be what some camera has appended
FIRST_BOXES = (b"ftyp", b"free", b"skip", b"wide", *MEDIA_BOXES)
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
RIFF_HEADER = 8  # bytes; some programs count them in the chunk's size, others do not
NEVER_WRITTEN = (0, 0xFFFFFFFF)  # a RIFF chunk's size while it is recorded


def missing_bytes(path: Path) -> int:
    """How many bytes a file lacks by the sizes in it; 0 where they say nothing.

    Example:
        >>> import pathlib, tempfile
        >>> from fastcv._cut_videos import missing_bytes
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.mp4")
        >>> _ = path.write_bytes((100).to_bytes(4, "big") + b"mdat" + bytes(12))
        >>> missing_bytes(path)
        80
    """
    length = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(12)
        if start[:4] == EBML:
            end = _end_of_segment(file)
        elif start[:4] == b"RIFF":
            end = _end_of_riff(file) - RIFF_HEADER
        elif start[4:8] in FIRST_BOXES:
            end = _end_of_boxes(file, length)
        else:
            end = 0
    return max(end - length, 0)


def _end_of_boxes(file: BinaryIO, length: int) -> int:
    """Where the media box ends that reaches beyond a file's ``length``; else 0.

    Source: ISO/IEC 14496-12, section 4.2.
    """
    place = 0
    while place + 8 <= length:
        file.seek(place)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        if size < 8:  # 0: up to the end of the file
            return 0
        place += size
        if place > length:
            return place if kind in MEDIA_BOXES else 0
    return 0


def _end_of_riff(file: BinaryIO) -> int:
    """Where the last RIFF chunk ends whose size is known; a large AVI has several."""
    place = 0
    while True:
        file.seek(place)
        head = file.read(RIFF_HEADER)
        size = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or size in NEVER_WRITTEN:
            return place
        place += RIFF_HEADER + size


def _end_of_segment(file: BinaryIO) -> int:
    """Where the segment of a Matroska file ends; 0 if its size was never written.

    Source: RFC 8794, section 4.4 (variable-size integers); RFC 9559, section 5.1.
    """
    file.seek(len(EBML))
    file.seek(_variable_size(file) or 0, os.SEEK_CUR)
    if file.read(len(SEGMENT)) != SEGMENT:
        return 0
    size = _variable_size(file)
    return 0 if size is None else file.tell() + size


def _variable_size(file: BinaryIO) -> int | None:
    """The next number of 1 to 8 bytes; its first bits say of how many. All ones: not known."""
    first = file.read(1) or b"\0"
    count = 9 - first[0].bit_length()
    if count > 8:
        return None
    bits = int.from_bytes(first + file.read(count - 1), "big") & ((1 << 7 * count) - 1)
    return None if bits == (1 << 7 * count) - 1 else bits


def promised_end(container: Any, stream: Any) -> float | None:
    """When a video stream ends by its file's header, in seconds; None if that does not say.

    Args:
        container: PyAV's, opened.
        stream: one of its video streams.
    """
    # FFmpeg shortens the duration of an AVI to what it finds; the number of frames it leaves. In
    # other files that may also count frames that an edit list takes away.
    units = stream.frames if container.format.name == "avi" else stream.duration
    if not units or stream.time_base is None:
        return None
    return float((units + (stream.start_time or 0)) * stream.time_base)
