"""Clips: every form gives the same frames, and a broken one a sentence."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.clips import BrokenClipError, read_clip

FRAMES = torch.arange(5, dtype=torch.uint8)[:, None, None, None].mul(40).expand(5, 3, 32, 48)


@pytest.fixture
def video(tmp_path):
    """FRAMES without loss, 25 a second."""
    path = tmp_path / "walk.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 48, 32, "bgr0"
        for frame in FRAMES:
            pixels = np.ascontiguousarray(frame.permute(1, 2, 0).numpy())
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "frames"
    path.mkdir()
    for i, frame in enumerate(FRAMES):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(path / f"{i:03}.png")
    return path


def frames_of(clip):
    return torch.stack(list(read_clip(clip)))


def test_every_form(video, folder):
    for clip in (FRAMES, video, str(video), folder, [folder / "000.png", *FRAMES[1:]]):
        assert torch.equal(frames_of(clip), FRAMES)
    floats = FRAMES.double() / 255
    assert torch.equal(frames_of(floats), floats)
    assert torch.equal(frames_of(FRAMES[:, :1]), FRAMES)


def test_a_clip_says_what_it_is(video, folder):
    clip = read_clip(video)
    assert clip.fps == 25 and repr(clip).endswith("walk.mkv at 25 a second)")
    assert repr(read_clip(folder)) == f"Clip(5 frames of {folder})"
    assert len(list(clip)) == len(list(clip)) == 5  # it can be read again


def test_only_what_is_asked_for_is_read(folder):
    (folder / "004.png").write_bytes(b"no picture")
    frames = iter(read_clip(folder))
    assert torch.equal(next(frames), FRAMES[0])
    with pytest.raises(BrokenClipError, match=r"frames: .*004\.png is not an image"):
        list(frames)


def test_a_turned_video(tmp_path):
    """As phones write them: the pixels lie, and the file says that they are turned."""
    path = tmp_path / "phone.mp4"
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, :32] = 255  # the left is bright
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    content = path.read_bytes()
    # The track's matrix in its header, from unity to a quarter turn clockwise (ISO 14496-12).
    one, minus_one = (1 << 16).to_bytes(4, "big"), (-(1 << 16)).to_bytes(4, "big", signed=True)
    zero, w = bytes(4), (1 << 30).to_bytes(4, "big")
    upright = one + zero * 3 + one + zero * 3 + w
    turned = zero + one + zero + minus_one + zero * 4 + w
    place = content.index(upright, content.index(b"tkhd"))
    path.write_bytes(content[:place] + turned + content[place + len(turned) :])
    (frame,) = read_clip(path)
    assert frame.shape == (3, 64, 32)
    assert frame[:, :28].float().mean() > 200 and frame[:, 36:].float().mean() < 50


def test_frames_of_different_sizes(folder):
    Image.new("RGB", (10, 20)).save(folder / "002.png")
    with pytest.raises(BrokenClipError, match=r"frames: frame 2 is 20x10, the frames .* 32x48"):
        list(read_clip(folder))


def test_a_damaged_video(video):
    whole = video.read_bytes()
    video.write_bytes(b"no video")
    with pytest.raises(BrokenClipError, match=r"walk\.mkv is not a video that can be read"):
        read_clip(video)
    video.write_bytes(whole[: len(whole) // 8])
    with pytest.raises(BrokenClipError, match=r"walk\.mkv"):
        list(read_clip(video))


def test_a_damaged_frame_that_the_decoder_gives_all_the_same(tmp_path):
    path = tmp_path / "damaged.avi"
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for t in range(20):
            frame = np.ascontiguousarray(np.roll(pixels, t, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 1000] = bytes(1000)
    path.write_bytes(content)
    frames = iter(read_clip(path))
    with pytest.raises(BrokenClipError, match=r"damaged\.avi: frame \d+ is damaged"):
        for number in range(20):
            assert next(frames).shape == (3, 120, 160), number


def test_sound_is_no_clip(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(BrokenClipError, match=r"sound\.wav has no video stream"):
        read_clip(path)


@pytest.mark.parametrize(
    "clip, error, sentence",
    [
        (torch.zeros(3, 8, 8), ValueError, r"must be \[T, 3, H, W\], got \[3, 8, 8\]"),
        (torch.zeros(0, 3, 8, 8), ValueError, r"got \[0, 3, 8, 8\]"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), TypeError, "must be uint8 or floating"),
        ([], ValueError, "at least one frame"),
        (7, TypeError, r"a clip must be .*, got builtins\.int"),
        ("no_such.mp4", FileNotFoundError, r"there is no clip no_such\.mp4"),
    ],
)
def test_one_sentence(clip, error, sentence):
    with pytest.raises(error, match=sentence):
        read_clip(clip)


def test_without_pyav(video, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install 'fastcv\[video\]'"):
        read_clip(video)
