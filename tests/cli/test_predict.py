"""fastcv predict: pictures in, drawings and numbers out, a sentence for what goes wrong."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.cli import main
from fastcv.draw.typeface import Typeface
from fastcv.models import ImageModel, _registry, create_model, load_model, register, save_model
from fastcv.results import Classification, Detections


class Finder(ImageModel):
    """One sure box and one doubtful one, in every picture."""

    classes = ("background", "cat", "dog")

    def __init__(self, *, size: int = 1):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(size))

    def forward(self, images):
        return [image.shape[1:] for image in images]

    def postprocess(self, output, *, score_threshold=0.05):
        boxes = torch.tensor([[1.0, 2.0, 9.0, 8.0], [0.0, 0.0, 5.0, 5.0]])
        scores, labels = torch.tensor([0.75, 0.25]), torch.tensor([2, 1])
        kept = scores > score_threshold
        return [
            Detections(boxes[kept], scores[kept], labels[kept], self.classes, tuple(size))
            for size in output
        ]


class Sorter(ImageModel):
    classes = ("left", "right")

    def forward(self, images):
        return torch.tensor([[0.25, 0.75]] * len(images))

    def postprocess(self, output):
        return [Classification(scores, self.classes) for scores in output]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with three pictures to stand in, and weights of both models."""
    monkeypatch.chdir(tmp_path)
    _registry._import_models()
    monkeypatch.setattr(_registry, "_entries", dict(_registry._entries))
    register("finder_net", task="testing")(Finder)
    register("sorter_net", task="testing")(Sorter)
    save_model("finder.safetensors", create_model("finder_net"))
    save_model("sorter.safetensors", create_model("sorter_net"))
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, name in enumerate(["a.jpg", "b.png", "c.png"]):
        Image.new("RGB", (20 + i, 10), (90, 90, 90)).save(photos / name)
    return tmp_path


def predict(*arguments, weights="finder.safetensors"):
    return main(["predict", *arguments, "--weights", weights])


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_line_for_each(folder, capsys):
    assert predict("photos") == 0
    assert capsys.readouterr().out.splitlines() == [
        "photos/a.jpg: Detections(1 box in 10x20: 1 dog 0.75)",
        "photos/b.png: Detections(1 box in 10x21: 1 dog 0.75)",
        "photos/c.png: Detections(1 box in 10x22: 1 dog 0.75)",
    ]


def test_one_drawing(folder):
    assert predict("photos/a.jpg", "--out", "new/drawn.png") == 0
    assert files_in(folder / "new") == ["drawn.png"]
    assert Image.open("new/drawn.png").width > 300


@pytest.fixture(scope="module")
def font(tmp_path_factory):
    """A font file with other letters than Pillow's own."""
    path, _ = Typeface(20).parts("Straße")[0]
    return shutil.copy(path, tmp_path_factory.mktemp("fonts") / "other.ttf")


def test_a_font(folder, font):
    for name, more in (("own.png", []), ("other.png", ["--font", str(font)])):
        assert predict("photos/a.jpg", "--out", name, *more) == 0
    (found,) = load_model("finder.safetensors").predict("photos/a.jpg", score_threshold=0.5)
    assert Image.open("other.png").tobytes() == found.draw(font=font).tobytes()
    assert Image.open("own.png").tobytes() == found.draw().tobytes()
    assert Image.open("own.png").tobytes() != Image.open("other.png").tobytes()


@pytest.mark.parametrize("length", [0, 4, 12, 100, 1000, 20000])
def test_a_broken_font(folder, font, length, capsys):
    content = font.read_bytes()
    (folder / "cut.ttf").write_bytes(content[:length])
    assert predict("photos", "--out", "drawn", "--font", "cut.ttf") == 2
    told = capsys.readouterr().err
    assert told == (
        "fastcv predict: font must be a font file, such as a .ttf or .otf, got 'cut.ttf'\n"
    )


@pytest.mark.parametrize("name", ["none.ttf", "photos", "photos/a.jpg", "finder.safetensors"])
def test_what_is_no_font(folder, name, capsys):
    assert predict("photos", "--out", "drawn", "--font", name) == 2
    told = capsys.readouterr().err
    assert told.startswith("fastcv predict: font must be a font file") and told.count("\n") == 1
    assert repr(name) in told and not (folder / "drawn").exists()


@pytest.mark.parametrize("more", [[], ["--out", "drawn", "--engine", "ray"]])
def test_a_font_for_nothing(folder, font, more, capsys):
    assert predict("photos", "--font", str(font), *more) == 2
    assert "--font is of drawings" in capsys.readouterr().err


@pytest.mark.parametrize("inputs", [["photos"], ["photos/*"], ["photos/a.jpg", "photos/[bc].png"]])
def test_a_folder_of_drawings(folder, inputs):
    assert predict(*inputs, "--out", "drawn", "--batch-size", "2") == 0
    assert files_in(folder / "drawn") == ["a.jpg", "b.png", "c.png"]


def test_the_same_name_twice(folder):
    (folder / "photos" / "sub").mkdir()
    Image.new("RGB", (9, 9)).save("photos/sub/b.png")
    assert predict("photos/**/*", "--out", "drawn") == 0
    assert files_in(folder / "drawn") == ["a.jpg", "b.png", "c.png", "sub/b.png"]


def test_json(folder):
    assert predict("photos", "--json", "new/all.json", "--score-threshold", "0.1") == 0
    rows = json.loads((folder / "new" / "all.json").read_text())
    assert [row["file"] for row in rows] == ["photos/a.jpg", "photos/b.png", "photos/c.png"]
    assert rows[1]["size"] == [10, 21]
    assert rows[1]["detections"] == [
        {"label": 2, "name": "dog", "score": 0.75, "box": [1, 2, 9, 8]},
        {"label": 1, "name": "cat", "score": 0.25, "box": [0, 0, 5, 5]},
    ]
    assert files_in(folder / "new") == ["all.json"]


def test_a_classifier(folder, capsys):
    arguments = ["photos/a.jpg", "--out", "a.png", "--json", "a.json"]
    assert predict(*arguments, weights="sorter.safetensors") == 0
    assert capsys.readouterr().out == "photos/a.jpg: Classification(right 0.75, left 0.25)\n"
    assert json.loads((folder / "a.json").read_text())[0]["classes"][0]["name"] == "right"
    assert predict("photos", "--score-threshold", "1", weights="sorter.safetensors") == 2
    assert "sorter_net scores every class" in capsys.readouterr().err


def test_the_model_by_name(folder):
    torch.save(create_model("finder_net").state_dict(), "finder.pth")
    assert predict("photos", "--model", "Finder-Net", weights="finder.pth") == 0


def test_a_broken_picture_among_others(folder, capsys):
    (folder / "photos" / "b.png").write_bytes(b"no picture")
    assert predict("photos", "--out", "drawn", "--json", "all.json", "--batch-size", "3") == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and files_in(folder / "drawn") == ["a.jpg", "c.png"]
    assert err.splitlines() == [
        "fastcv predict: photos/b.png is not an image that can be read",
        "fastcv predict: 1 of 3 could not be read",
    ]
    rows = json.loads((folder / "all.json").read_text())
    assert [row["file"] for row in rows] == ["photos/a.jpg", "photos/b.png", "photos/c.png"]
    assert rows[1]["error"] == "photos/b.png is not an image that can be read"
    assert "detections" in rows[2]


def test_only_broken_pictures(folder, capsys):
    (folder / "photos" / "b.png").write_bytes(b"no picture")
    assert predict("photos/b.png") == 2
    assert capsys.readouterr().err == (
        "fastcv predict: photos/b.png is not an image that can be read\n"
    )


def test_stopped_by_ctrl_c(folder, capsys, monkeypatch):
    forward, calls = Finder.forward, []

    def stop_at_third(self, images):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return forward(self, images)

    monkeypatch.setattr(Finder, "forward", stop_at_third)
    assert predict("photos", "--out", "drawn", "--json", "all.json") == 130
    assert capsys.readouterr().err == "\nfastcv predict: stopped, 2 of 3 done\n"
    assert files_in(folder / "drawn") == ["a.jpg", "b.png"]
    assert len(json.loads((folder / "all.json").read_text())) == 2


FINDER = ["--weights", "finder.safetensors"]
PHOTOS = ["photos", *FINDER]
PHOTO = ["photos/a.jpg", *FINDER]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["none.jpg", *FINDER], "there is no file or folder none.jpg"),
        ([".", *FINDER], "the folder . has no images"),
        (["photos"], "which model? pass --model NAME (`fastcv models` lists them) or --weights"),
        (["photos", "--model", "findernat"], "there is no model 'findernat': did you mean finder"),
        (["photos", "--model", "finder_net"], "finder_net has no published weights: pass a path"),
        (["photos", "--weights", "COCO_V1"], "--weights COCO_V1 needs --model NAME too"),
        (["photos", "--weights", "a.pth"], "there is no file a.pth"),
        (["photos", "--weights", "photos/a.jpg"], "a.jpg does not say which model it is: pass its"),
        (
            ["photos", "--model", "finder_net", "--weights", "sorter.safetensors"],
            "sorter.safetensors does not fit finder_net: missing: weight",
        ),
        ([*PHOTOS, "--device", "gpu"], "--device must be cpu, cuda or cuda:N, got 'gpu'"),
        ([*PHOTOS, "--device", "cuda:99"], "--device cuda:99: this machine has "),
        ([*PHOTOS, "--out", "a.png"], "--out a.png is one file for 3 images: name a folder"),
        ([*PHOTO, "--out", "finder.safetensors"], "is a file that is no image"),
        ([*PHOTOS, "--out", "photos"], "--out photos would overwrite the image photos/a.jpg"),
        ([*PHOTO, "--out", "photos/a.jpg"], "--out photos/a.jpg would overwrite the image photos"),
        ([*PHOTOS, "--json", "photos"], "--json must be a file, and photos is a folder"),
        ([*PHOTOS, "--workers", "2"], "--workers needs --engine ray"),
        ([*PHOTO, "--out", "finder.safetensors/a.png"], "finder.safetensors: file exists"),
    ],
)
def test_one_sentence(folder, capsys, arguments, sentence):
    before = files_in(folder)
    assert main(["predict", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fastcv predict: ") and sentence in err and err.count("\n") == 1
    assert files_in(folder) == before


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5"])
def test_batch_size(capsys, number):
    with pytest.raises(SystemExit) as error:
        main(["predict", "a.jpg", "--batch-size", number])
    assert error.value.code == 2
    assert "--batch-size: must be a whole number above 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    "bug", [lambda: np.zeros(3).reshape(2, 2), lambda: [].index(1), lambda: 1 / 0]
)
def test_a_bug_keeps_its_traceback(folder, monkeypatch, bug):
    monkeypatch.setattr(Finder, "forward", lambda self, images: bug())
    with pytest.raises((ValueError, ZeroDivisionError)):
        predict("photos")


@pytest.mark.slow
def test_as_a_process(folder):
    """What a shell sees, when nothing can be done and when the reader goes away."""
    run = [sys.executable, "-m", "fastcv"]
    done = subprocess.run([*run, "predict", "none.jpg"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "fastcv predict: there is no file or folder none.jpg\n"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*run, "models"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
