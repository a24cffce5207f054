"""A video that was cut short ends in one sentence, after the frames that can be read."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from fastcv._cut_videos import missing_bytes
from fastcv.clips import BrokenClipError, read_clip

FRAMES = 40
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
INDEX_FIRST = {"movflags": "faststart"}
EVERY_8TH = {"g": "8"}  # a key frame
# File, format, codec, options of the format, options of the codec.
KINDS = {
    "index_first.mp4": ("mp4", "libx264", INDEX_FIRST, {}),
    "index_last.mp4": ("mp4", "libx264", {}, {}),
    "fragments.mp4": ("mp4", "libx264", FRAGMENTS, EVERY_8TH),
    "plain_frames.mp4": ("mp4", "mpeg4", INDEX_FIRST, {}),
    "index_first.mov": ("mov", "libx264", INDEX_FIRST, {}),
    "h264.mkv": ("matroska", "libx264", {}, {}),
    "no_loss.mkv": ("matroska", "ffv1", {}, {}),
    "vp9.webm": ("webm", "libvpx-vp9", {}, {"deadline": "realtime", "cpu-used": "8"}),
    "mpeg4.avi": ("avi", "mpeg4", {}, {}),
}


def record(path, kind, *, frames=FRAMES, first=0, killed=False):
    """Writes a video; of a killed recording what is there before its end is written."""
    format, codec, options, of_codec = kind
    file = io.BytesIO() if killed else path
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    container = av.open(file, "w", format=format, options=options, buffer_size=1024)
    stream = container.add_stream(codec, rate=25, options=of_codec)
    stream.height, stream.width = 48, 64
    stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
    for number in range(frames):
        pixels = np.roll(pixels, 1, axis=1)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = first + number, Fraction(1, 25)
        container.mux(stream.encode(frame))
    if killed:
        path.write_bytes(file.getvalue())
    container.mux(stream.encode())
    container.close()


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """The bytes of each kind."""
    folder = tmp_path_factory.mktemp("videos")
    for name, kind in KINDS.items():
        record(folder / name, kind)
    return {name: (folder / name).read_bytes() for name in KINDS}


def read(path):
    """How many frames come, and the sentence at the end."""
    number = 0
    try:
        for frame in read_clip(path):
            assert frame.shape == (3, 48, 64)
            number += 1
    except BrokenClipError as error:
        return number, str(error)
    return number, None


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_video_is_not_cut_short(videos, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(videos[name])
    assert read(path) == (FRAMES, None) and missing_bytes(path) == 0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("name", KINDS)
def test_cut_at(videos, name, share, tmp_path):
    """An index at the end is lost, and with it all frames."""
    whole, path = videos[name], tmp_path / name
    path.write_bytes(whole[: int(share * len(whole))])
    frames, sentence = read(path)
    assert sentence is not None and str(path) in sentence and "\n" not in sentence
    assert frames < FRAMES
    if name == "index_last.mp4":
        assert frames == 0
    elif frames:
        assert f"{path} is cut short: at least " in sentence
        assert frames >= 0.5 * share * FRAMES - 8  # what was read before the cut is kept


@pytest.mark.parametrize("name", ["index_first.mp4", "h264.mkv", "mpeg4.avi", "vp9.webm"])
def test_every_length(videos, name, tmp_path):
    """Whatever the length, it ends in a sentence or has all frames."""
    whole, path = videos[name], tmp_path / name
    for length in range(0, len(whole), len(whole) // 11):
        path.write_bytes(whole[:length])
        frames, sentence = read(path)
        assert sentence is not None or frames == FRAMES, length


def test_the_number_of_missing_bytes(videos, tmp_path):
    for name in ("index_first.mp4", "fragments.mp4", "h264.mkv", "vp9.webm"):
        whole, path = videos[name], tmp_path / name
        for missing in (1, 700, len(whole) // 4):
            path.write_bytes(whole[:-missing])
            told = missing_bytes(path)
            # A box that is there whole says nothing of those behind it.
            assert 0 <= told <= missing and (told > 0 or missing == 1), (name, missing, told)
    path = tmp_path / "mpeg4.avi"
    path.write_bytes(videos["mpeg4.avi"][:-700])
    assert missing_bytes(path) == 700 - 8  # some programs count the header, too


@pytest.mark.parametrize("name", KINDS)
def test_zero_bytes(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"")
    assert read(path) == (0, f"{path} is not a video that can be read")


def test_header_only(videos, tmp_path):
    """All that says what the frames are, and none of them."""
    for name in ("index_first.mp4", "index_first.mov", "plain_frames.mp4"):
        whole, path = videos[name], tmp_path / name
        path.write_bytes(whole[: whole.index(b"mdat") + 4])
        frames, sentence = read(path)
        assert frames == 0 and str(path) in sentence and "missing" in sentence
    for name in ("h264.mkv", "mpeg4.avi"):
        path = tmp_path / name
        path.write_bytes(videos[name][:600])
        frames, sentence = read(path)
        assert frames == 0 and str(path) in sentence


def test_a_header_that_promises_too_many_frames(videos, tmp_path):
    """All bytes are there: the sentence goes by the time."""
    path = tmp_path / "more.avi"
    content = bytearray(videos["mpeg4.avi"])
    length = content.index(b"strh") + 8 + 32  # dwLength of the stream's header
    assert int.from_bytes(content[length : length + 4], "little") == FRAMES
    content[length : length + 4] = (60).to_bytes(4, "little")
    path.write_bytes(content)
    assert read(path) == (FRAMES, f"{path} is cut short: it ends at 1.60 of 2.40 seconds")


@pytest.mark.parametrize("promised", [0, 10])
def test_a_header_that_promises_too_few_frames(videos, promised, tmp_path):
    path = tmp_path / "fewer.avi"
    content = bytearray(videos["mpeg4.avi"])
    length = content.index(b"strh") + 8 + 32
    content[length : length + 4] = promised.to_bytes(4, "little")
    path.write_bytes(content)
    assert read(path) == (FRAMES, None)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_frames_that_an_edit_list_takes_away_are_not_missing(suffix, tmp_path):
    """The header counts them, and players do not show them."""
    path = tmp_path / f"edited.{suffix}"
    record(path, (suffix, "libx264", {}, {}), first=-10)
    assert read_clip(path).length == FRAMES
    assert read(path) == (FRAMES - 10, None)


def test_a_video_that_starts_late(tmp_path):
    path = tmp_path / "late.mp4"
    record(path, KINDS["index_first.mp4"], first=30)
    assert read(path) == (FRAMES, None)


def test_what_a_camera_appends_is_not_a_box(videos, tmp_path):
    path = tmp_path / "appended.mp4"
    path.write_bytes(videos["index_first.mp4"] + b"\xff" * 100 + b"SEFT")
    assert read(path) == (FRAMES, None)


@pytest.mark.parametrize("name", ["h264.mkv", "mpeg4.avi"])
def test_sizes_that_were_never_written(name, tmp_path):
    """What was recorded is read; nothing says whether there was more."""
    path = tmp_path / name
    record(path, KINDS[name], frames=200, killed=True)
    assert missing_bytes(path) == 0
    frames, sentence = read(path)
    assert frames > 100 and sentence is None


def test_a_killed_recording_without_its_index(tmp_path):
    path = tmp_path / "killed.mp4"
    record(path, KINDS["index_last.mp4"], frames=100, killed=True)
    assert read(path) == (0, f"{path} is not a video that can be read")


@pytest.mark.parametrize(
    "content",
    [
        b"\x1a\x45\xdf\xa3",
        b"\x1a\x45\xdf\xa3\x00",
        b"\x1a\x45\xdf\xa3\x88" + bytes(8) + b"\x18\x53\x80\x67",
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7,  # a size that is not known
        b"RIFF",
        b"RIFF" + bytes(8),
        b"\0\0\0\0mdat" + bytes(8),  # up to the end of the file
        b"\0\0\0\x01mdat" + bytes(4),
        b"\0\0\0\x10ftyp" + bytes(8) + b"\xff\xff\xff\xffjunk",
        b"no video at all",
    ],
)
def test_sizes_that_say_nothing(content, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert missing_bytes(path) == 0


@pytest.mark.parametrize(
    "content, missing",
    [
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x90" + bytes(6), 10),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x40\x30" + bytes(8), 40),
        (b"RIFF\x64\0\0\0AVI " + bytes(40), 48),
        (b"RIFF\x04\0\0\0AVI RIFF\x64\0\0\0AVIX" + bytes(40), 48),
        (b"\0\0\0\x08ftyp\0\0\0\x40mdat" + bytes(8), 48),
        (b"\0\0\0\x01mdat" + (2**33).to_bytes(8, "big"), 2**33 - 16),
    ],
)
def test_missing_bytes_by_hand(content, missing, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert missing_bytes(path) == missing
