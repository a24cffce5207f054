"""Segmenters in the commands: drawings and label maps out, tiles and scales, IoU on masks."""

import json
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.cli import _model, main
from fastcv.cli._ray import _Worker
from fastcv.images import read_labels
from fastcv.models import ImageModel, _registry, create_model, register, save_model
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.results import Classification, Segmentation


class Halves(Segmenter):
    """Bright and dark pixels."""

    classes = ("dark", "bright")
    batches: ClassVar = []

    def __init__(self, *, size: int = 1):
        super().__init__()
        self.preprocessing = {"mean": (0.5,) * 3, "std": (1.0,) * 3}
        self.weight = torch.nn.Parameter(torch.zeros(size))

    def forward(self, images):
        self.batches.append(tuple(images.shape))
        gray = images.mean(dim=1, keepdim=True)
        return torch.cat([-gray, gray], dim=1)


class Sorter(ImageModel):
    classes = ("left", "right")

    def forward(self, images):
        return torch.tensor([[0.25, 0.75]] * len(images))

    def postprocess(self, output):
        return [Classification(scores, self.classes) for scores in output]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three pictures with a bright right side, and weights of both models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    _registry._import_models()
    monkeypatch.setattr(_registry, "_entries", dict(_registry._entries))
    register("halves_net", task="segmentation")(Halves)
    register("sorter_net", task="classification")(Sorter)
    monkeypatch.setattr(Halves, "batches", [])
    save_model("halves.safetensors", create_model("halves_net"))
    save_model("sorter.safetensors", create_model("sorter_net"))
    (tmp_path / "photos").mkdir()
    for i, name in enumerate(["a.jpg", "b.png", "c.webp"]):
        Image.fromarray(pixels(100, 80 + i)).save(tmp_path / "photos" / name)
    return tmp_path


def pixels(height, width):
    values = np.zeros((height, width, 3), np.uint8)
    values[:, 48:] = 255  # whole blocks of a JPEG
    return values


def predict(*arguments, weights="halves.safetensors"):
    return main(["predict", *arguments, "--weights", weights])


def test_drawings_label_maps_and_json(folder, capsys):
    assert predict("photos", "--out", "drawn", "--labels", "maps", "--json", "all.json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "photos/a.jpg: Segmentation(100x80: dark 60.0 %, bright 40.0 %)"
    assert sorted(p.name for p in (folder / "drawn").iterdir()) == ["a.jpg", "b.png", "c.webp"]
    maps = sorted((folder / "maps").iterdir())
    assert [p.name for p in maps] == ["a.png", "b.png", "c.png"]
    for i, path in enumerate(maps):
        assert torch.equal(
            read_labels(path), torch.from_numpy(pixels(100, 80 + i)[..., 0] > 0).long()
        )
        assert Image.open(path).mode == "P"
    row = json.loads((folder / "all.json").read_text())[1]
    assert row["size"] == [100, 81] and row["classes"][1] == {
        "label": 1,
        "name": "bright",
        "pixels": 3300,
        "share": 0.4074,
    }


def test_one_label_map(folder):
    assert predict("photos/c.webp", "--labels", "new/c.PNG") == 0
    assert read_labels("new/c.PNG").shape == (100, 82)


def test_tiles_scales_and_flip(folder, capsys):
    options = ["--tile", "64", "--overlap", "32", "--scales", "1,2", "--flip"]
    assert predict("photos/b.png", "--labels", "b.png", *options) == 0
    assert torch.equal(read_labels("b.png"), torch.from_numpy(pixels(100, 81)[..., 0] > 0).long())
    # Tiles begin at row 0 and 32, column 0; each at two sizes, and each of those twice.
    assert Halves.batches == [
        *[(1, 3, 64, 81)] * 2,
        *[(1, 3, 128, 162)] * 2,
        *[(1, 3, 68, 81)] * 2,
        *[(1, 3, 136, 162)] * 2,
    ]
    assert "tile" in capsys.readouterr().err  # progress


def test_tiles_lift_pillows_limit(folder, monkeypatch, capsys):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert predict("photos/a.jpg") == 2
    assert "set PIL.Image.MAX_IMAGE_PIXELS = None" in capsys.readouterr().err
    assert predict("photos/a.jpg", "--tile", "64") == 0


def test_the_model_of_a_task(folder, monkeypatch, capsys):
    monkeypatch.setattr(_model, "default_models", lambda: {"segmentation": "halves_net"})
    monkeypatch.setattr("fastcv.models.create_model", lambda name, weights: create_model(name))
    assert main(["predict", "photos/a.jpg", "--task", "segmentation"]) == 0
    assert "Segmentation(100x80: dark 60.0 %" in capsys.readouterr().out


def test_the_models_of_tasks_have_weights():
    for task, name in _model.default_models().items():
        entry = _registry.find_model(name)
        assert entry.task == task and entry.weights


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["--task", "cooking"],
            "--task must be one of classification, detection, segmentation, instance, keypoints, f",
        ),
        (["--task", "detection"], "--task detection: halves_net is a model of segmentation"),
        (["--score-threshold", "0.5"], "halves_net scores every class, it has none"),
        (["--labels", "a.png"], "--labels a.png is one file for 3 images: name a folder"),
        (["--labels", "a.jpg"], "--labels a.jpg must be a .png or a folder"),
        (["--labels", "photos"], "--labels photos would overwrite the image photos/b.png"),
        (["--overlap", "8"], "overlap is of tiles"),
        (["--labels", "maps", "--engine", "ray", "--out", "o"], "--labels is of --engine local"),
    ],
)
def test_one_sentence(folder, capsys, arguments, sentence):
    assert predict("photos", *arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("fastcv predict: ") and sentence in err and err.count("\n") == 1


def test_a_tile_of_no_use(folder, capsys):
    assert predict("photos", "--tile", "100") == 2
    sentence = "fastcv predict: tile must be a multiple of 32, at least 64, got 100"
    assert capsys.readouterr().err.splitlines()[-1] == sentence  # below the bar


def test_two_pictures_of_one_name(folder, capsys):
    Image.new("RGB", (8, 8)).save("photos/a.png")
    assert predict("photos", "--labels", "maps") == 2
    assert "--labels maps: 2 images would be written to a.png" in capsys.readouterr().err


def test_a_classifier_has_no_label_maps(folder, capsys):
    sorter = {"weights": "sorter.safetensors"}
    assert predict("photos", "--labels", "maps", **sorter) == 2
    assert "--labels: sorter_net does not segment" in capsys.readouterr().err
    assert predict("photos", "--tile", "64", **sorter) == 2
    assert "--tile: predict of sorter_net has no tile" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "1,", "a", "1;2"])
def test_scales_are_numbers(capsys, text):
    with pytest.raises(SystemExit):
        main(["predict", "a.jpg", "--scales", text])
    assert "--scales: must be numbers with commas between them" in capsys.readouterr().err


def test_rows_of_many_pictures(folder):
    parquet = pytest.importorskip("pyarrow.parquet")
    worker = _Worker(lambda: (create_model("halves_net"), {}), folder / "rows", {}, 1)
    assert worker({"paths": ["photos/a.jpg"]}) == {"done": 1, "broken": 0}
    (row,) = parquet.read_table(folder / "rows").to_pylist()
    assert row["names"] == ["dark", "bright"] and row["scores"] == pytest.approx([0.6, 0.4])
    (folder / "map.png").write_bytes(row["label_map"])
    assert read_labels(folder / "map.png").unique().tolist() == [0, 1] and row["boxes"] == []


# fastcv evaluate.


@pytest.fixture
def masks(folder):
    """What the pictures show, but for a column of each."""
    for name, width in (("a", 80), ("b", 81)):
        labels = torch.from_numpy(pixels(100, width)[..., 0] > 0).long()
        labels[:, 40] = 1
        labels[:, 41] = 255
        Segmentation(labels, Halves.classes).save_labels(folder / f"masks/{name}.png")
    return folder


def test_evaluate_on_masks(masks, capsys):
    arguments = ["evaluate", "--weights", "halves.safetensors", "--masks", "photos", "masks"]
    assert main([*arguments, "--json", "m.json"]) == 0
    found = json.loads((masks / "m.json").read_text())
    wrong, pixels_that_count = 2 * 100, 100 * (79 + 80)
    assert found["pixel_acc"] == pytest.approx(1 - wrong / pixels_that_count)
    assert "miou                 0.9" in capsys.readouterr().out
    Halves.batches.clear()
    assert main([*arguments, "--tile", "64"]) == 0
    assert len(Halves.batches) > 2


def test_evaluate_on_voc(masks, capsys):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (masks / "voc" / folder).mkdir(parents=True)
    (masks / "photos/a.jpg").rename(masks / "voc/JPEGImages/a.jpg")
    (masks / "masks/a.png").rename(masks / "voc/SegmentationClass/a.png")
    (masks / "voc/ImageSets/Segmentation/val.txt").write_text("a\n")
    arguments = ["evaluate", "--weights", "halves.safetensors", "--voc", "voc", "val"]
    assert main(arguments) == 2
    assert "label 1 is 'aeroplane' in the annotations and 'bright' in" in capsys.readouterr().err


def test_options_of_segmenters_are_not_left_out_in_silence(masks, capsys):
    arguments = ["evaluate", "--weights", "sorter.safetensors", "--flip"]
    assert main([*arguments, "--folder", "photos"]) == 2
    assert "--flip are of segmenters: --masks or --voc" in capsys.readouterr().err
    assert main([*arguments, "--masks", "photos", "masks"]) == 2
    assert "--flip: predict of sorter_net has no flip" in capsys.readouterr().err


def test_evaluate_without_masks(masks, capsys):
    arguments = ["evaluate", "--weights", "halves.safetensors", "--masks", "photos", "none"]
    assert main(arguments) == 2
    assert "there is no folder none" in capsys.readouterr().err
