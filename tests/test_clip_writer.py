"""Videos out: what is written is a whole clip, however the block ends."""

import av
import numpy as np
import pytest
from PIL import Image

from fastcv.clip_writer import CODECS, ClipWriter
from fastcv.clips import read_clip

RED, BLUE = (200, 40, 40), (40, 40, 200)


def color_of(frame, rows=slice(None), columns=slice(None)):
    return frame[:, rows, columns].float().mean((1, 2)).round().tolist()


@pytest.mark.parametrize("suffix", [*CODECS, ".MP4"])
def test_every_suffix(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with ClipWriter(path, fps=12) as video:
        for color in (RED, RED, BLUE):
            video.write(Image.new("RGB", (64, 48), color))
        assert video.frames == 3 and not path.exists()
    frames = list(read_clip(path))
    assert read_clip(path).fps == 12 and len(frames) == 3
    for frame, color in zip(frames, (RED, RED, BLUE), strict=True):
        assert frame.shape == (3, 48, 64)
        assert np.abs(np.subtract(color_of(frame), color)).max() < 12  # of 255
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("fps", [0.5, 23.976, 25, 29.97, 60])
def test_frame_rates(tmp_path, fps):
    with ClipWriter(tmp_path / "a.mp4", fps=fps) as video:
        for _ in range(3):
            video.write(Image.new("RGB", (32, 32)))
    assert read_clip(tmp_path / "a.mp4").fps == pytest.approx(fps, rel=1e-3)


@pytest.mark.parametrize("size", [(33, 48), (48, 33), (33, 33), (2, 2), (1, 1)])
def test_odd_sides_get_a_pixel_of_the_edge(tmp_path, size):
    with ClipWriter(tmp_path / "a.mp4") as video:
        video.write(Image.new("RGB", size, RED))
    (frame,) = read_clip(tmp_path / "a.mp4")
    assert frame.shape == (3, size[1] + size[1] % 2, size[0] + size[0] % 2)
    assert np.abs(np.subtract(color_of(frame), RED)).max() < 12


def test_pictures_of_another_size(tmp_path):
    with ClipWriter(tmp_path / "a.mp4") as video:
        for size in ((64, 64), (64, 96), (32, 64)):
            video.write(Image.new("RGB", size, RED))
    first, cut, filled = read_clip(tmp_path / "a.mp4")
    assert first.shape == cut.shape == filled.shape == (3, 64, 64)
    assert np.abs(np.subtract(color_of(cut), RED)).max() < 12
    assert np.abs(np.subtract(color_of(filled, columns=slice(28)), RED)).max() < 16
    assert min(color_of(filled, columns=slice(36, 64))) > 235  # white


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, ZeroDivisionError])
def test_whatever_ends_the_block_what_was_written_is_a_video(tmp_path, error):
    with pytest.raises(error), ClipWriter(tmp_path / "a.mp4") as video:
        for i in range(9):
            if i == 5:
                raise error
            video.write(Image.new("RGB", (64, 48)))
    assert len(list(read_clip(tmp_path / "a.mp4"))) == 5


def test_without_a_frame_there_is_no_file(tmp_path):
    with ClipWriter(tmp_path / "new" / "a.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_replaced_at_the_end(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with ClipWriter(path) as video:
        video.write(Image.new("RGB", (32, 32)))
        assert path.read_bytes() == b"old"
    assert len(list(read_clip(path))) == 1


def test_what_cannot_be_written(tmp_path, monkeypatch):
    video = ClipWriter(tmp_path / "a.mp4")

    def fails(*_):
        raise av.error.OSError(28, "No space left on device")

    with pytest.raises(ValueError, match=r"a\.mp4 cannot be written: No space left"), video:
        video.write(Image.new("RGB", (32, 32)))
        monkeypatch.setattr(video, "_finish", fails)
    assert list(tmp_path.iterdir()) == []  # nothing half done


@pytest.mark.parametrize(
    "path, options, sentence",
    [
        ("a.png", {}, r"path must end in \.avi .* \.webm, got 'a\.png'"),
        ("a", {}, "path must end in"),
        ("a.mp4", {"fps": 0}, "fps must be above 0, got 0"),
        ("a.mp4", {"fps": -1}, "fps must be above 0, got -1"),
        ("a.mp4", {"fps": float("nan")}, "fps must be above 0, got nan"),
    ],
)
def test_one_sentence(path, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ClipWriter(path, **options)
