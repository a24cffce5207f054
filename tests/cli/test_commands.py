"""The other commands pass on what was asked, and say in a sentence what cannot be."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

import fastcv.metrics
from fastcv import cli, recipes
from fastcv.cli import UserError, bench
from fastcv.models import ImageModel, _registry, create_model, register, save_model
from fastcv.results import Classification


@pytest.fixture
def recipe(monkeypatch):
    """A recipe that notes its calls."""
    calls = []
    monkeypatch.setattr(
        recipes,
        "get",
        lambda name: SimpleNamespace(
            train=lambda *a, **k: calls.append(("train", name, a, k)) or {"AP": 0.123456},
            evaluate=lambda *a, **k: (
                calls.append(("evaluate", name, a, k)) or {"AP": 0.5, "n": [1]}
            ),
            demo=lambda *a, **k: calls.append(("demo", name, a, k)),
        ),
    )
    return calls


def test_train(recipe, capsys):
    assert cli.main(["train", "digits", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == "AP                   0.1235\n"
    options = ["--out", "there", "--epochs", "3", "--seed", "7", "--device", "cpu"]
    assert cli.main(["train", "digits", *options]) == 0
    assert recipe == [
        ("train", "digits", ("runs/digits",), {"seed": 0, "device": "cpu"}),
        ("train", "digits", ("there",), {"seed": 7, "device": "cpu", "epochs": 3}),
    ]


def test_train_what_is_not_there(capsys):
    assert cli.main(["train", "digit_detector"]) == 2
    assert "did you mean 'digits_detector'?" in capsys.readouterr().err


def test_demo(recipe):
    assert cli.main(["demo"]) == 0 and cli.main(["demo", "--out", "there"]) == 0
    assert recipe == [
        ("demo", "digits_detector", ("demo",), {}),
        ("demo", "digits_detector", ("there",), {}),
    ]


def test_evaluate_a_recipe(recipe, capsys, tmp_path):
    out = tmp_path / "new" / "m.json"
    arguments = ["evaluate", "--recipe", "digits", "--device", "cpu"]
    assert cli.main([*arguments, "--weights", "w.safetensors", "--json", str(out)]) == 0
    assert capsys.readouterr().out == "AP                   0.5\n"
    assert json.loads(out.read_text()) == {"AP": 0.5, "n": [1]}
    assert recipe == [("evaluate", "digits", ("w.safetensors",), {"device": "cpu"})]
    assert cli.main([*arguments, "--model", "m"]) == 2
    assert "leave --model out" in capsys.readouterr().err


class Blind(ImageModel):
    classes = ("background", "cat")


@pytest.fixture
def annotated(tmp_path, monkeypatch):
    """A model's file and one picture with COCO's annotations."""
    _registry._import_models()
    monkeypatch.setattr(_registry, "_entries", dict(_registry._entries))
    register("blind", task="testing")(Blind)
    monkeypatch.chdir(tmp_path)
    model = create_model("blind")
    model.weight = torch.nn.Parameter(torch.zeros(1))
    monkeypatch.setattr(_registry, "load_weights", lambda model, source: None)
    save_model("blind.safetensors", model)
    Image.new("RGB", (20, 10)).save("a.png")

    def annotate(name):
        content = {
            "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
            "categories": [{"id": 1, "name": name}],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return ["evaluate", "--weights", "blind.safetensors", "--coco", ".", f"{name}.json"]

    return annotate


def test_evaluate_on_coco(annotated, monkeypatch, capsys):
    seen = []

    def measure(model, data):
        seen.append((type(model), len(data), data.classes))
        return {"AP": 0.25}

    monkeypatch.setattr(fastcv.metrics, "evaluate_detector", measure)
    assert cli.main(annotated("cat")) == 0
    assert capsys.readouterr().out == "AP                   0.25\n"
    assert seen == [(Blind, 1, ("background", "cat"))]
    assert cli.main(annotated("dog")) == 2
    assert "label 1 is 'dog' in the annotations and 'cat' in the model" in capsys.readouterr().err
    assert cli.main([*annotated("cat")[:-1], "none.json"]) == 2
    assert "there is no annotation file none.json" in capsys.readouterr().err


class Brightness(ImageModel):
    """Tells dark images from light ones; a class between them has a folder that may be missing."""

    classes = ("dark", "dusk", "light")

    def forward(self, images):
        return [torch.eye(3)[2 * int(image.mean() > 0.5)] for image in images]

    def postprocess(self, output):
        return [Classification(scores, self.classes) for scores in output]


def test_evaluate_on_folders(tmp_path, monkeypatch, capsys):
    """Labels are the model's, by the folders' names: one class has no folder here."""
    monkeypatch.setattr("fastcv.cli.evaluate.load", lambda *_: Brightness())
    for name, values in (("dark", [10, 20, 200]), ("light", [250])):
        (tmp_path / "data" / name).mkdir(parents=True)
        for value in values:
            Image.new("L", (8, 6), value).save(tmp_path / "data" / name / f"{value}.png")
    out = tmp_path / "m.json"
    arguments = ["evaluate", "--model", "any", "--folder", str(tmp_path / "data")]
    assert cli.main([*arguments, "--json", str(out)]) == 0
    assert "acc@1                0.75\n" in capsys.readouterr().out
    found = json.loads(out.read_text())
    assert found["confusion"] == [[2, 0, 1], [0, 0, 0], [0, 0, 1]]
    (tmp_path / "data" / "cat").mkdir()
    Image.new("L", (8, 6)).save(tmp_path / "data" / "cat" / "a.png")
    assert cli.main(arguments) == 2
    assert "has a folder 'cat', and the model has no such class" in capsys.readouterr().err


def test_evaluate_needs_data(capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(["evaluate", "--model", "m"])
    assert error.value.code == 2
    assert (
        "one of the arguments --recipe --folder --coco --voc --masks --coco-panoptic --vqa "
        "--captions is required" in capsys.readouterr().err
    )


def test_models(capsys):
    assert cli.main(["models", "--task", "detection"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["fasterrcnn_resnet50_fpn", "detection", "COCO_V1"] in lines
    assert {line[1] for line in lines} == {"detection"}
    assert cli.main(["models", "--task", "cooking"]) == 2
    assert "task must be one of" in capsys.readouterr().err


def test_bench_runs_what_is_asked(monkeypatch):
    runs = []
    monkeypatch.setattr(
        bench.subprocess,
        "run",
        lambda c, cwd: runs.append((c, cwd)) or SimpleNamespace(returncode=0),
    )
    assert cli.main(["bench", "nms"]) == 0
    (tests, root), (report, _) = runs
    assert tests[:4] == [sys.executable, "-m", "pytest", "-q"]
    assert tests[4] == str(root / "benchmarks" / "bench_nms.py") and "--benchmark-only" in tests
    assert report[1:] == ["benchmarks/report.py", str(root / "build" / "bench.json")]


def test_bench_what_is_not_there(capsys, tmp_path):
    assert cli.main(["bench", "nmss"]) == 2
    assert "there is no benchmark 'nmss': did you mean nms?" in capsys.readouterr().err
    with pytest.raises(UserError, match="not part of the installed package: clone the repository"):
        bench.find_benchmarks(tmp_path, [])


def test_ctrl_c(monkeypatch, capsys):
    def stop(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipes, "get", stop)
    assert cli.main(["train", "digits"]) == 130
    assert capsys.readouterr().err == "\nfastcv: stopped\n"
