"""Broken metadata of any kind does not keep sound pixels from being read, nor upright."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from fastcv._metadata import TIFF_TAGS
from fastcv.images import BrokenImageError, read_image, read_upright

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
IMAGE = Image.fromarray(PIXELS)


def exif(orientation=6):
    """As a camera writes it: the orientation among other tags, and two directories below."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "maker", orientation
    tags[0x011A] = tags[0x011B] = 72.0
    tags[0x0128] = 2
    tags[0x8769] = {0x9000: b"0230", 0x829A: 0.01}
    tags[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    return tags


def written(kind):
    buffer = io.BytesIO()
    blocks = {"exif": exif(), "icc_profile": b"profile" * 20}
    if kind == "png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Title", "a" * 40)
        text.add_text("Comment", "b" * 400, zip=True)
        text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>')
        IMAGE.save(buffer, "PNG", pnginfo=text, dpi=(72, 72), **blocks)
    elif kind == "jpeg":
        IMAGE.save(buffer, "JPEG", comment=b"hello", xmp=b"<x/>", **blocks)
    elif kind == "mpo":
        IMAGE.save(buffer, "MPO", save_all=True, append_images=[IMAGE], exif=exif())
    elif kind == "webp":
        IMAGE.save(buffer, "WEBP", lossless=True, xmp=b"<x/>", **blocks)
    else:
        tags = Image.Exif()
        tags[0x0112], tags[700], tags[0x010F] = 6, b"<x/>", "maker"
        compression = {"tiff": "raw", "lzw": "tiff_lzw"}[kind]
        profile = blocks["icc_profile"]
        IMAGE.save(
            buffer, "TIFF", exif=tags, icc_profile=profile, dpi=(72, 72), compression=compression
        )
    return buffer.getvalue()


def metadata(kind, content):
    """Where the bytes of metadata are, which may be any, but for those that say the orientation."""
    found = []
    if kind == "png":
        place = 8
        while place < len(content):
            (length,) = struct.unpack_from(">I", content, place)
            if content[place + 4] & 0x20:  # not critical
                found += range(place + 8, place + 8 + length)
            place += 12 + length
    elif kind in ("jpeg", "mpo"):
        place = 2
        while content[place + 1] != 0xDA:
            (length,) = struct.unpack_from(">H", content, place + 2)
            if 0xE0 <= content[place + 1] <= 0xEF or content[place + 1] == 0xFE:
                found += range(place + 4, place + 2 + length)
            place += 2 + length
    elif kind == "webp":
        place = 12
        while place < len(content):
            (length,) = struct.unpack_from("<I", content, place + 4)
            if content[place : place + 4] in (b"EXIF", b"XMP ", b"ICCP"):
                found += range(place + 8, place + 8 + length)
            place += 8 + length + length % 2
    else:
        (place,) = struct.unpack_from("<I", content, 4)
        (count,) = struct.unpack_from("<H", content, place)
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            if struct.unpack_from("<H", content, entry)[0] not in TIFF_TAGS:
                found += range(entry + 2, entry + 12)
        return found
    start = content.find(b"MM\0*")
    (directory,) = struct.unpack_from(">I", content, start + 4)
    (count,) = struct.unpack_from(">H", content, start + directory)
    first = start + directory + 2
    fixed = {*range(start - 6, first)}
    for entry in range(first, first + 12 * count, 12):
        tag = struct.unpack_from(">H", content, entry)[0]
        fixed |= {*range(entry, entry + (12 if tag == 0x0112 else 2))}
    return [place for place in found if place not in fixed]


def with_checksums(png):
    out, place = [png[:8]], 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        chunk = png[place + 4 : place + 8 + length]
        out.append(png[place : place + 4] + chunk + struct.pack(">I", zlib.crc32(chunk)))
        place += 12 + length
    return b"".join(out)


@pytest.mark.parametrize("kind", ["png", "jpeg", "mpo", "webp", "tiff", "lzw"])
def test_any_bytes_for_metadata(tmp_path, kind):
    whole, path, dice = written(kind), tmp_path / "a", random.Random(0)
    path.write_bytes(whole)
    want = read_image(path)
    assert want.shape == (3, 9, 6)  # upright
    if kind not in ("jpeg", "mpo"):
        np.testing.assert_array_equal(want.permute(1, 2, 0), np.rot90(PIXELS, -1))
    places = metadata(kind, whole)
    for _ in range(150):
        content = bytearray(whole)
        start = dice.randrange(len(places))
        for place in places[start : start + dice.choice([1, 4, 40, 400])]:
            content[place] = dice.choice([0, 255, dice.randrange(256)])
        path.write_bytes(with_checksums(bytes(content)) if kind == "png" else content)
        assert torch.equal(read_image(path), want)


def tag_of(number, kind, count, value):
    return struct.pack(">HHI", number, kind, count) + value


ODD_TAGS = {
    "a resolution of one byte": tag_of(0x011A, 1, 1, b"\1\0\0\0"),
    "a resolution of text": tag_of(0x011A, 2, 2, b"7\0\0\0"),
    "a resolution beyond the end": tag_of(0x011A, 5, 1, b"\0\xff\0\0"),
    "a type that does not exist": tag_of(0x010F, 99, 1, bytes(4)),
    "a count beyond the end": tag_of(0x010F, 2, 2**31, bytes(4)),
    "a directory that is text": tag_of(0x8769, 2, 2, b"x\0\0\0"),
    "a directory beyond the end": tag_of(0x8825, 4, 1, b"\0\xff\0\0"),
    "a directory that is itself": tag_of(0x8769, 4, 1, b"\0\0\0\x08"),
    "a number for text": tag_of(0x0131, 12, 1, bytes(4)),
}
SHORT_6 = tag_of(0x0112, 3, 1, b"\0\6\0\0")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("name", ODD_TAGS)
def test_an_odd_tag_in_an_oriented_picture(tmp_path, name, suffix):
    for tags in ([ODD_TAGS[name], SHORT_6], [SHORT_6, ODD_TAGS[name]]):
        block = b"MM\0*\0\0\0\x08" + struct.pack(">H", 2) + b"".join(tags) + bytes(4)
        IMAGE.save(tmp_path / f"a.{suffix}", exif=b"Exif\0\0" + block)
        image, orientation = read_upright(tmp_path / f"a.{suffix}")
        assert image.shape == (3, 9, 6) and orientation == 6


@pytest.mark.parametrize(
    ("entry", "turned"),
    [
        (tag_of(0x0112, 3, 1, b"\0\0\0\0"), False),
        (tag_of(0x0112, 3, 1, b"\0\x09\0\0"), False),
        (tag_of(0x0112, 3, 2, b"\0\6\0\x08"), True),  # the first of two
        (tag_of(0x0112, 2, 2, b"6\0\0\0"), False),
        (tag_of(0x0112, 7, 1, b"\6\0\0\0"), False),
        (tag_of(0x0112, 9, 1, b"\xff\xff\xff\xfa"), False),  # -6
        (tag_of(0x0112, 4, 1, b"\0\0\0\6"), True),
        (tag_of(0x0112, 5, 1, b"\0\0\0\x1a") + bytes(4) + struct.pack(">II", 6, 1), True),
        (tag_of(0x0112, 5, 1, b"\0\0\0\x1a") + bytes(4) + struct.pack(">II", 6, 0), False),
    ],
)
def test_orientations_of_every_type(tmp_path, entry, turned):
    block = b"MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry
    for suffix in ("jpg", "png"):
        IMAGE.save(tmp_path / f"a.{suffix}", exif=b"Exif\0\0" + block)
        assert read_image(tmp_path / f"a.{suffix}").shape == ((3, 9, 6) if turned else (3, 6, 9))


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"Exif\0\0MM", b"no exif", b"Exif\0\0" * 3])
def test_what_is_no_exif(tmp_path, block):
    IMAGE.save(tmp_path / "a.png", exif=block)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").permute(1, 2, 0), PIXELS)
    opened = Image.fromarray(PIXELS)
    opened.info["exif"] = block
    np.testing.assert_array_equal(read_image(opened).permute(1, 2, 0), PIXELS)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


ODD_CHUNKS = {
    "a wrong checksum": chunk(b"tEXt", b"a\0b")[:-1] + b"?",
    "a wrong checksum of transparency": chunk(b"tRNS", bytes(6))[:-1] + b"?",
    "short transparency": chunk(b"tRNS", b"\0"),
    "a short resolution": chunk(b"pHYs", bytes(3)),
    "no compression that exists": chunk(b"zTXt", b"a\0\7b"),
    "a text that fills the memory": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24))),
    "a profile that is none": chunk(b"iCCP", b"a\0\0nothing"),
    "no profile at all": chunk(b"iCCP", b""),
    "a short gamma": chunk(b"gAMA", b"\0"),
    "short primaries": chunk(b"cHRM", bytes(3)),
    "an animation of nothing": chunk(b"acTL", bytes(3)),
    "a chunk that is not known": chunk(b"abCd", b"?"),
}


@pytest.mark.parametrize("name", ODD_CHUNKS)
def test_odd_chunks_of_a_png(tmp_path, name):
    whole = written("png")
    end = whole.index(b"IDAT") - 4
    for place in (33, end, len(whole) - 12):  # behind the header, before and behind the pixels
        (tmp_path / "a.png").write_bytes(whole[:place] + ODD_CHUNKS[name] + whole[place:])
        found = read_image(tmp_path / "a.png").permute(1, 2, 0)
        np.testing.assert_array_equal(found, np.rot90(PIXELS, -1))


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "lzw"])
def test_damaged_pixels_stay_damaged(tmp_path, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    name = {"lzw": "tiff"}.get(kind, kind)
    options = {"compression": "tiff_lzw"} if kind == "lzw" else {}
    Image.fromarray(pixels).save(tmp_path / f"a.{name}", **options)
    whole = (tmp_path / f"a.{name}").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BrokenImageError, match=r"half (is not|cannot be read as) an"):
        read_image(tmp_path / "half")


def png(depth, color, row, transparent, width=4):
    header = struct.pack(">IIBBBBB", width, 1, depth, color, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(b"\0" + row))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in [*chunks, (b"IEND", b"")])


@pytest.mark.parametrize(
    ("depth", "color", "row", "transparent", "want"),
    [
        (1, 0, b"\x50", (0,), [255, 255, 255, 255]),
        (2, 0, b"\x1b", (1,), [0, 255, 170, 255]),
        (2, 0, b"\x1b", (0,), [255, 85, 170, 255]),
        (4, 0, b"\x07\xa1", (7,), [0, 255, 170, 17]),
        (8, 0, bytes([1, 2, 3, 4]), (3,), [1, 2, 255, 4]),
        (16, 0, struct.pack(">4H", 1, 700, 20000, 65535), (700,), [0, 255, 78, 255]),
        (16, 0, struct.pack(">4H", 0, 701, 699, 257), (0,), [255, 3, 3, 1]),
        (8, 2, bytes([1, 2, 3] * 2 + [3] * 6), (1, 2, 3), [255, 255, 3, 3]),
        (16, 2, struct.pack(">12H", *[700] * 3, *[9000] * 9), (700,) * 3, [255, 35, 35, 35]),
    ],
)
def test_a_transparent_colour_of_every_depth(tmp_path, depth, color, row, transparent, want):
    values = struct.pack(f">{len(transparent)}H", *transparent)
    (tmp_path / "a.png").write_bytes(png(depth, color, row, values))
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == want
