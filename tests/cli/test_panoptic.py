"""Panoptic segmenters in the commands: drawings, ids with JSON, panoptic quality, rows for Ray."""

import json

import pytest
import torch
from PIL import Image

from fastcv.cli import main
from fastcv.data import write_coco_panoptic
from fastcv.models import _registry, create_model, register, save_model
from fastcv.models.panoptic._panoptic_segmenter import PanopticSegmenter
from fastcv.results import Panoptic


class Rows(PanopticSegmenter):
    """Grass above, a cat below; the last row is void."""

    classes = ("grass", "cat")
    num_stuff = 1

    def __init__(self, *, size: int = 1):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(size))

    def forward(self, images):
        return [image.shape[1:] for image in images]

    def postprocess(self, output):
        results = []
        for height, width in output:
            ids = torch.ones(height, width, dtype=torch.int32)
            ids[height // 2 :] = 2
            ids[-1] = 0
            labels, scores = {1: 0, 2: 1}, {2: 0.75}
            results.append(Panoptic.from_map(ids, labels, self.classes, self.things, scores=scores))
        return results


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two pictures and the model's weights."""
    monkeypatch.chdir(tmp_path)
    _registry._import_models()
    monkeypatch.setattr(_registry, "_entries", dict(_registry._entries))
    register("rows_net", task="panoptic")(Rows)
    save_model("rows.safetensors", create_model("rows_net"))
    (tmp_path / "photos").mkdir()
    for name, size in (("a.png", (6, 8)), ("b.png", (5, 4))):
        Image.new("RGB", size).save(tmp_path / "photos" / name)
    return tmp_path


def test_drawings_ids_and_json(folder, capsys):
    arguments = ["--weights", "rows.safetensors", "--out", "drawn", "--panoptic", "ids"]
    assert main(["predict", "photos", *arguments, "--json", "all.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith(": Panoptic(8x6: grass, 1 cat, void 12.5 %)") for line in lines] == [1, 0]
    for name, size in (("a", (6, 8)), ("b", (5, 4))):
        found = Panoptic.load(folder / "ids" / f"{name}.png")
        assert found.image_size == size[::-1] and found.classes == Rows.classes
        assert [(s.id, s.label, s.is_thing, s.score) for s in found.segments] == [
            (1, 0, False, None),
            (2, 1, True, 0.75),
        ]
        assert (folder / "drawn" / f"{name}.png").is_file()
    told = json.loads((folder / "all.json").read_text())
    assert [row["void"] for row in told] == [6, 5]


def test_ids_are_of_panoptic_segmenters(folder, capsys):
    save_model("lenet.safetensors", create_model("lenet5"))
    arguments = ["--weights", "lenet.safetensors", "--panoptic", "ids"]
    assert main(["predict", "photos", *arguments]) == 2
    assert "lenet5 is no panoptic segmenter, it has no segments" in capsys.readouterr().err


def test_quality_on_cocos_format(folder, capsys):
    """COCO's ids: the cat is 4 and the grass 9; of the second picture all is grass."""
    names = ["(unused)"] * 10
    names[4], names[9] = "cat", "grass"
    maps = []
    for name, size, cat in (("a.png", (6, 8), 4), ("b.png", (5, 4), 4)):
        ids = torch.full(size[::-1], 700, dtype=torch.int32)
        ids[cat:] = 80000
        maps.append(Panoptic.from_map(ids, {700: 9, 80000: 4}, names, (4,), source=name))
    write_coco_panoptic(maps, "ids", "ids.json")
    data = ["--coco-panoptic", "photos", "ids", "ids.json"]
    assert main(["evaluate", "--weights", "rows.safetensors", *data, "--json", "m.json"]) == 0
    metrics = json.loads((folder / "m.json").read_text())
    # The first picture: grass is right, of the cat 3 rows of 4. The second: half of the grass is
    # found, which is no match, and a cat where there is none.
    assert metrics["PQ_by_class"] == {
        "grass": pytest.approx(1 / (1 + 0.5 + 0.5)),
        "cat": pytest.approx(0.75 / (1 + 0.5)),
    }
    assert metrics["PQ"] == pytest.approx(0.5)
    assert "PQ_things" in capsys.readouterr().out


def test_other_classes_are_told(folder, capsys):
    ids = torch.ones(8, 6, dtype=torch.int32)
    truth = Panoptic.from_map(ids, {1: 0}, ("sky",), (), source="a.png")
    write_coco_panoptic([truth], "ids", "ids.json")
    data = ["--coco-panoptic", "photos", "ids", "ids.json"]
    assert main(["evaluate", "--weights", "rows.safetensors", *data]) == 2
    assert "'sky' is not there" in capsys.readouterr().err
