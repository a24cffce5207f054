"""fastcv predict of clips: a drawn video and a line of JSON a frame, however the clip ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

import fastcv
from fastcv.cli import main
from fastcv.clips import read_clip
from fastcv.models import ImageModel, _registry, create_model, register, save_model
from fastcv.results import Detections

FRAMES, HEIGHT, WIDTH = 6, 48, 64


class Counter(ImageModel):
    """Carries a number from frame to frame; a box whose label is that number."""

    classes = tuple(map(str, range(1000)))

    def __init__(self, *, size: int = 1):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(size))

    def forward(self, images):
        return [tuple(image.shape[1:]) for image in images]

    def postprocess(self, output, *, score_threshold=0.05):
        box = torch.tensor([[4.0, 4.0, 30.0, 40.0]])
        return [Detections(box, torch.ones(1), torch.ones(1).long(), (), x) for x in output]

    def predict_frame(self, frame, state, **options):
        number = 0 if state is None else state + 1
        (found,) = self.postprocess(self([frame]), **options)
        found.labels[:] = number
        return found, number


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to stand in, with a model's weights, a clip, and a folder of its frames."""
    monkeypatch.chdir(tmp_path)
    _registry._import_models()
    monkeypatch.setattr(_registry, "_entries", dict(_registry._entries))
    register("counter_net", task="detection")(Counter)
    save_model("counter.safetensors", create_model("counter_net"))
    (tmp_path / "frames").mkdir()
    for i in range(FRAMES):
        Image.new("RGB", (WIDTH, HEIGHT), (40 * i, 90, 90)).save(f"frames/{i:03}.png")
    write_video("clip.mp4", FRAMES)
    return tmp_path


def write_video(path, frames, size=(HEIGHT, WIDTH), codec="mpeg4", rate=10, **options):
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        for _ in range(frames):
            pixels = np.roll(pixels, 1, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def predict(*arguments, weights="counter.safetensors"):
    return main(["predict", *arguments, "--weights", weights])


def rows_of(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def count(path):
    return len(list(read_clip(path)))


def files():
    """What lies here, but for what the fixture made."""
    made = {"counter.safetensors", "clip.mp4", "frames"}
    return sorted({p.name for p in Path().iterdir()} - made)


def assert_one_sentence(text):
    """Beside the progress bar, whose lines begin with a carriage return."""
    lines = [x for x in text.splitlines() if x.startswith("fastcv predict: ")]
    assert len(lines) == 1 and "Traceback" not in text
    return lines[0]


# What is written.


@pytest.mark.parametrize(
    "clip, named", [("clip.mp4", []), ("clip.mp4", ["--task", "video"]), ("frames", None)]
)
def test_a_video_and_a_line_a_frame(place, capsys, clip, named):
    assert predict(clip, *(["--task", "video"] if named is None else named)) == 0
    name = Path(clip).stem
    assert files() == [f"{name}_found.jsonl", f"{name}_found.mp4"]
    rows = rows_of(f"{name}_found.jsonl")
    assert [row["frame"] for row in rows] == list(range(FRAMES))
    assert [row["detections"][0]["label"] for row in rows] == list(range(FRAMES))  # its state
    assert {row["file"] for row in rows} == {clip} and list(rows[0])[:2] == ["file", "frame"]
    video = read_clip(f"{name}_found.mp4")
    assert count(f"{name}_found.mp4") == FRAMES
    assert video.fps == (25 if clip == "frames" else 10)
    told = capsys.readouterr()
    assert told.out == f"{clip}: 6 frames in {name}_found.mp4 and {name}_found.jsonl\n"
    assert "6/6" in told.err  # progress


def test_the_drawings_are_of_the_frames(place):
    assert predict("frames", "--task", "video", "--out", "new/drawn.mkv") == 0
    assert files() == ["new"]
    model = fastcv.load_model("counter.safetensors")
    for drawn, (frame, found) in zip(
        read_clip("new/drawn.mkv"), model.predict_video("frames"), strict=True
    ):
        expected = torch.from_numpy(np.array(found.draw(frame))).permute(2, 0, 1)
        assert drawn.shape == expected.shape
        assert (drawn.float() - expected.float()).abs().mean() < 12  # of 255; it is compressed


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--json", "a.jsonl"], ["a.jsonl"]),
        (["--out", "a.webm"], ["a.webm"]),
        (["--out", "a.avi", "--json", "b/a.json"], ["a.avi", "b"]),
    ],
)
def test_only_what_is_named_is_written(place, arguments, expected):
    assert predict("clip.mp4", *arguments) == 0
    assert files() == expected


def test_several_clips(place, capsys):
    write_video("other.avi", 2)
    assert predict("clip.mp4", "other.avi", "frames", "--task", "video") == 0
    assert files() == ["clips_found", "clips_found.jsonl", "other.avi"]
    videos = sorted(p.name for p in Path("clips_found").iterdir())
    assert videos == ["clip.mp4", "frames.mp4", "other.avi"]
    assert [count(Path("clips_found", name)) for name in videos] == [6, 6, 2]
    rows = rows_of("clips_found.jsonl")
    assert [r["file"] for r in rows] == ["clip.mp4"] * 6 + ["other.avi"] * 2 + ["frames"] * 6
    assert [r["detections"][0]["label"] for r in rows] == [*range(6), *range(2), *range(6)]


def test_a_pattern(place):
    write_video("clip2.mp4", 3)
    assert predict("clip*.mp4", "--json", "all.jsonl") == 0
    assert len(rows_of("all.jsonl")) == FRAMES + 3


def test_a_folder_is_pictures_unless_it_is_said_to_be_a_clip(place, capsys):
    assert predict("frames") == 0
    assert capsys.readouterr().out.count("Detections(1 box") == FRAMES and files() == []


# How a clip ends.


@pytest.mark.parametrize("kind", ["video", "folder"])
def test_a_clip_of_one_frame(place, capsys, kind):
    if kind == "video":
        write_video("one.mp4", 1)
    else:
        Path("one").mkdir()
        os.rename("frames/000.png", "one/000.png")
    assert predict("one.mp4" if kind == "video" else "one", "--task", "video") == 0
    assert count("one_found.mp4") == len(rows_of("one_found.jsonl")) == 1
    assert ": 1 frame in one_found.mp4 and one_found.jsonl\n" in capsys.readouterr().out


def a_broken_picture(at):
    Path(f"frames/{at:03}.png").write_bytes(b"no picture")
    return "is not an image that can be read"


def another_size(at):
    Image.new("RGB", (WIDTH + 2, HEIGHT)).save(f"frames/{at:03}.png")
    return f"frame {at} is {HEIGHT}x{WIDTH + 2}, the frames before it are {HEIGHT}x{WIDTH}"


def a_picture_cut_off(at):
    path = Path(f"frames/{at:03}.png")
    path.write_bytes(path.read_bytes()[:60])
    return "cannot be read"


@pytest.mark.parametrize("damage", [a_broken_picture, another_size, a_picture_cut_off])
@pytest.mark.parametrize("at", [1, 3, FRAMES - 1])
def test_a_bad_frame_in_the_middle(place, capsys, damage, at):
    words = damage(at)
    assert predict("frames", "--task", "video") == 1
    assert count("frames_found.mp4") == len(rows_of("frames_found.jsonl")) == at
    told = assert_one_sentence(capsys.readouterr().err)
    assert words in told
    assert told.endswith(
        f"; the {at} frame{'s' * (at > 1)} before are kept in frames_found.mp4 and "
        "frames_found.jsonl"
    )


def test_a_bad_first_frame(place, capsys):
    a_broken_picture(0)
    assert predict("frames", "--task", "video") == 2
    assert files() == [] and "kept" not in assert_one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize(
    "suffix, codec", [(".mp4", "libx264"), (".mp4", "mpeg4"), (".mkv", "ffv1")]
)
def test_a_video_damaged_in_the_middle(place, capsys, suffix, codec):
    write_video(f"bad{suffix}", 40, codec=codec)
    content = bytearray(Path(f"bad{suffix}").read_bytes())
    half = len(content) // 2
    noise = np.random.default_rng(1).integers(0, 256, 3000, np.uint8).tobytes()
    content[half : half + len(noise)] = noise
    Path(f"bad{suffix}").write_bytes(content)
    assert predict(f"bad{suffix}", "--out", "drawn.mp4", "--json", "rows.jsonl") == 1
    told = assert_one_sentence(capsys.readouterr().err)
    done = count("drawn.mp4")
    assert 0 < done < 40 and len(rows_of("rows.jsonl")) == done
    assert f"the {done} frames before are kept" in told


@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("clip", ["cut.mp4", "cut.mkv"])
def test_a_video_that_was_cut_short(place, capsys, clip, share):
    """As a recording that was killed, or a copy that broke off: FFmpeg reads it without a word."""
    write_video(clip, 40, movflags="faststart")  # of an MP4 the index comes first
    content = Path(clip).read_bytes()
    Path(clip).write_bytes(content[: int(share * len(content))])
    arguments = ["--task", "video", "--out", "drawn.mp4", "--json", "rows.jsonl"]
    assert predict(clip, *arguments) == 1
    told = assert_one_sentence(capsys.readouterr().err)
    done = count("drawn.mp4")
    assert 0 < done < 40 and len(rows_of("rows.jsonl")) == done
    missing = len(content) - int(share * len(content))
    assert told == (
        f"fastcv predict: {clip} is cut short: at least {missing} of its bytes are missing; the "
        f"{done} frames before are kept in drawn.mp4 and rows.jsonl"
    )


def test_a_broken_clip_does_not_stop_the_others(place, capsys):
    Path("bad.mp4").write_bytes(b"no video")
    assert predict("bad.mp4", "clip.mp4", "--json", "rows.jsonl") == 1
    assert [row["file"] for row in rows_of("rows.jsonl")] == ["clip.mp4"] * FRAMES
    told = assert_one_sentence(capsys.readouterr().err)
    assert told == "fastcv predict: bad.mp4 is not a video that can be read"
    assert predict("bad.mp4") == 2


def test_a_fault_of_the_model_is_shown_whole_and_what_was_done_is_kept(place, monkeypatch):
    frame = Counter.predict_frame

    def breaks(self, image, state, **options):
        if state == 2:
            raise ZeroDivisionError("of ours")
        return frame(self, image, state, **options)

    monkeypatch.setattr(Counter, "predict_frame", breaks)
    with pytest.raises(ZeroDivisionError, match="of ours"):
        predict("clip.mp4")
    assert count("clip_found.mp4") == len(rows_of("clip_found.jsonl")) == 3


# What cannot be.


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["none.mp4"], "there is no file or folder none.mp4"),
        (["none", "--task", "video"], "there is no file or folder none"),
        (["frames/000.png", "--task", "video"], "frames/000.png is no clip: name video files"),
        (["clip.mp4", "frames/000.png"], "clip.mp4 is a clip and frames/000.png is none"),
        (["empty", "--task", "video"], "the folder empty has no images"),
        (["clip.mp4", "--out", "clip.mp4"], "would overwrite the clip clip.mp4"),
        (["clip.mp4", "--out", "."], "would overwrite the clip clip.mp4"),
        (["clip.mp4", "--out", "a.png"], "--out a.png must be a video (.avi"),
        (["clip.mp4", "--out", "a.mpg"], "--out a.mpg must be a video (.avi"),
        (["clip.mp4", "--out", "counter.safetensors"], "must be a video"),
        (["clip.mp4", "frames", "--task", "video", "--out", "a.mp4"], "is one file for 2 clips"),
        (["clip.mp4", "sub/clip.mp4", "--out", "a"], "2 clips would be written to a/clip.mp4"),
        (["clip.mp4", "--json", "frames"], "--json must be a file, and frames is a folder"),
        (["clip.mp4", "--json", "a.jsonl", "--font", "f.ttf"], "font must be a font file"),
        (["clip.mp4", "--batch-size", "2"], "--batch-size is of pictures"),
        (["clip.mp4", "--engine", "ray", "--out", "a"], "--engine ray and --workers are of"),
        (["clip.mp4", "--labels", "a"], "--labels is of pictures"),
        (["clip.mp4", "--tile", "64"], "--tile: predict of counter_net has no tile"),
        (["clip.mp4", "--task", "segmentation"], "counter_net is a model of detection"),
    ],
)
def test_one_sentence(place, capsys, arguments, sentence):
    Path("empty").mkdir()
    Path("sub").mkdir()
    Path("sub/clip.mp4").write_bytes(Path("clip.mp4").read_bytes())
    before = Path("clip.mp4").read_bytes()
    assert predict(*arguments) == 2
    assert sentence in assert_one_sentence(capsys.readouterr().err)
    assert files() == ["empty", "sub"] and Path("clip.mp4").read_bytes() == before


def test_without_pyav(place, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    assert predict("frames", "--task", "video") == 2
    assert "pip install 'fastcv[video]'" in assert_one_sentence(capsys.readouterr().err)
    assert files() == []
    assert predict("frames", "--task", "video", "--json", "a.jsonl") == 0  # frames need none
    assert len(rows_of("a.jsonl")) == FRAMES


def test_video_means_a_model_with_weights(place, monkeypatch):
    asked = []

    def create(name, weights):
        asked.append((name, weights))
        return create_model("counter_net")

    monkeypatch.setattr("fastcv.models.create_model", create)
    assert main(["predict", "clip.mp4", "--task", "video", "--json", "a.jsonl"]) == 0
    ((name, weights),) = asked
    assert weights == "default" and _registry.find_model(name).weights


# In a process of its own.


def command(*arguments):
    return [sys.executable, "-m", "fastcv", "predict", *arguments, "--weights", "lenet.safetensors"]


def test_an_interrupt(place):
    save_model("lenet.safetensors", create_model("lenet5"))
    write_video("long.mp4", 4000)
    process = subprocess.Popen(command("long.mp4"), stderr=subprocess.PIPE, text=True)
    rows = Path("long_found.jsonl")
    until = time.monotonic() + 120
    while not rows.exists() or rows.read_text().count("\n") < 5:  # a line is there at once
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    told = process.communicate()[1]
    assert process.returncode == 130
    done = len(rows_of("long_found.jsonl"))
    assert 5 <= done < 4000 and count("long_found.mp4") == done
    assert assert_one_sentence(told) == (
        f"fastcv predict: stopped after {done} frames of long.mp4, kept in long_found.mp4 and "
        "long_found.jsonl"
    )
    left = [p for p in Path().iterdir() if ".tmp" in p.name]
    assert left == []


def test_memory_does_not_grow_with_the_clips_length(place):
    """Of 120 frames more, read and drawn, 72 MB would be kept; here it is a sixth at most."""
    save_model("lenet.safetensors", create_model("lenet5"))
    code = (
        "import resource, sys; from fastcv.cli import main; assert main(sys.argv[1:]) == 0; "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for frames in (40, 160):  # past what the codecs keep of their own
        write_video("long.avi", frames, size=(320, 320))
        arguments = [*command("long.avi")[3:], "--out", "drawn.avi", "--json", "rows.jsonl"]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, check=True
        )
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    assert len(rows_of("rows.jsonl")) == 160 and peaks[1] - peaks[0] < 12, peaks
