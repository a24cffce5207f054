"""``fastcv train`` on one's own pictures, end to end: drawn scenes in each form."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import fastcv
from fastcv import cli
from fastcv.data import DrawnDigits, detection_to_coco
from fastcv.learn import History
from fastcv.models import _registry, _task_data, _tasks
from fastcv.models._tasks import TASKS
from fastcv.models.classification.linear import LinearClassifier
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS, trained_body
from fastcv.results import Segmentation

SCENES = 200
SIDE = 96  # pixels
PARITY = ("even", "odd")


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, quality=95)


def parity(label):
    """1 of an even digit and 2 of an odd one."""
    return 1 + (label - 1) % 2


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """200 scenes of one or two digits as COCO, VOC and masks, and 200 of one as folders."""
    root = tmp_path_factory.mktemp("scenes")
    drawn = DrawnDigits(
        "train", size=(SIDE, SIDE), length=SCENES, max_digits=2, digit_size=(24, 48)
    )
    truth = detection_to_coco(drawn)
    (root / "Annotations").mkdir()
    for index, entry in enumerate(truth["images"]):
        name = f"{index:03}"
        image, target = drawn[index]
        entry["file_name"] = f"{name}.jpg"
        save(image, root / "JPEGImages" / f"{name}.jpg")
        objects = "".join(
            f"<object><name>{PARITY[parity(label) - 1]}</name><bndbox><xmin>{x1 + 1}</xmin>"
            f"<ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for label, (x1, y1, x2, y2) in zip(
                target["labels"].tolist(), target["boxes"].tolist(), strict=True
            )
        )
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{objects}</annotation>")
        labels = target["masks"].any(dim=0).long()
        Segmentation(labels, ()).save_labels(root / "masks" / f"{name}.png")
    (root / "masks/classes.txt").write_text("background\ndigit\n")
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/all.txt").write_text("".join(f"{i:03}\n" for i in range(SCENES)))
    for annotation in truth["annotations"]:
        annotation["category_id"] = parity(annotation["category_id"])
    truth["categories"] = [{"id": n, "name": name} for n, name in enumerate(PARITY, start=1)]
    (root / "scenes.json").write_text(json.dumps(truth))
    one = DrawnDigits(
        "train", size=(48, 48), length=10**4, max_digits=1, digit_size=(28, 32), max_angle=15
    )
    number, index = 0, 0
    while number < SCENES:
        image, target = one[index]
        index += 1
        if target["labels"].tolist() in ([1], [2]):  # the digits 0 and 1
            digit = one.classes[int(target["labels"])]
            save(image, root / "folder" / digit / f"{number:03}.png")
            number += 1
    return root


@pytest.fixture(scope="session")
def starts(tmp_path_factory):
    """Weights to begin with: the detector's trunk as a classifier, and a small U-Net's random."""
    root = tmp_path_factory.mktemp("starts")
    torch.manual_seed(0)
    classifier = fastcv.create_model("resnet18", num_classes=5, width=32)
    missing, unexpected = classifier.load_state_dict(trained_body(), strict=False)
    assert set(missing) == {"fc.weight", "fc.bias"} and not unexpected
    fastcv.save_model(root / "resnet.safetensors", classifier)
    fastcv.save_model(root / "unet.safetensors", fastcv.create_model("unet", width=8))
    return root


def trains_and_predicts(arguments, out, picture, capsys):
    """Runs both commands, the second as the first tells it; the metrics, and what was found."""
    assert cli.main(["train", *map(str, arguments), "--device", "cpu", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    command = re.search(r"now: fastcv (predict PICTURES --weights \S+ --out drawn/)\n$", said)
    predict = command.group(1).replace("drawn/", str(out / "drawn")).split()
    assert predict[1] == "PICTURES"
    assert cli.main([predict[0], str(picture), *predict[2:]]) == 0
    with Image.open(out / "drawn" / picture.name) as drawing:
        assert min(drawing.size) >= 300
    return json.loads((out / "metrics.json").read_text()), said


# The levels are those of this schedule on one core, less what another machine's order of sums may
# take: seed 0, 20 scenes that validate.


@pytest.mark.slow
def test_coco(scenes, tmp_path, capsys):
    """A detector of ten digits learns to tell even from odd: its last layer starts anew."""
    data = ["--coco", scenes / "JPEGImages", scenes / "scenes.json"]
    schedule = ["--augment", "color", "--size", SIDE, "--epochs", 1, "--freeze", "backbone", "rpn"]
    picture = scenes / "JPEGImages/003.jpg"
    arguments = ["--weights", WEIGHTS, *data, *schedule]
    metrics, said = trains_and_predicts(arguments, tmp_path, picture, capsys)
    assert "objects of 2 classes\n" in said and "of other classes: these tensors" in said
    assert metrics["AP50"] >= 0.75 and set(metrics["AP50_by_class"]) == {"even", "odd"}


@pytest.mark.slow
def test_voc(scenes, tmp_path, capsys):
    schedule = ["--augment", "color", "--size", SIDE, "--epochs", 1, "--freeze", "backbone", "rpn"]
    arguments = ["--weights", WEIGHTS, "--voc", scenes, "all", *schedule]
    picture = scenes / "JPEGImages/004.jpg"
    metrics, _ = trains_and_predicts(arguments, tmp_path, picture, capsys)
    assert metrics["AP50"] >= 0.75 and set(metrics["AP50_by_class"]) == {"even", "odd"}


@pytest.mark.slow
def test_folder(scenes, starts, tmp_path, capsys):
    arguments = ["--weights", starts / "resnet.safetensors", "--folder", scenes / "folder"]
    schedule = ["--augment", "color", "--size", 64, "--epochs", 5, "--lr", 1e-3]
    picture = next((scenes / "folder/1").iterdir())
    metrics, _ = trains_and_predicts([*arguments, *schedule], tmp_path, picture, capsys)
    assert metrics["acc@1"] >= 0.85


@pytest.mark.slow
def test_masks(scenes, starts, tmp_path, capsys):
    """From random weights: which pixels are a digit's."""
    arguments = ["--masks", scenes / "JPEGImages", scenes / "masks", "--lr", 2e-3]
    schedule = ["--weights", starts / "unet.safetensors", "--size", 64, "--epochs", 6]
    picture = scenes / "JPEGImages/005.jpg"
    metrics, _ = trains_and_predicts([*arguments, *schedule], tmp_path, picture, capsys)
    assert metrics["miou"] >= 0.55 and metrics["iou_by_class"][1] >= 0.25


# What is small: a linear classifier of light and dark.


@pytest.fixture
def shades(tmp_path, monkeypatch):
    for name, first in (("dark", 0), ("light", 170)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(8):
            Image.new("L", (40, 30), first + 9 * i).save(tmp_path / "data" / name / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(History, "draw", lambda self, path: Path(path).touch())
    small = ["--epochs", "2", "--batch-size", "4", "--val-fraction", "0.25", "--device", "cpu"]
    return ["train", "--model", "linear", "--folder", "data", "--out", "run", *small]


def test_ends_with_the_command_that_predicts(shades, capsys):
    assert cli.main(shades) == 0
    *_, where, command = capsys.readouterr().out.splitlines()
    assert where == "curves, metrics and predictions: run/"
    assert command == "now: fastcv predict PICTURES --weights run/best.safetensors --out drawn/"


def test_an_interrupt_and_a_resume(shades, monkeypatch, capsys):
    loss, calls = LinearClassifier.loss, []

    def interrupted(self, output, targets):
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return loss(self, output, targets)

    monkeypatch.setattr(LinearClassifier, "loss", interrupted)
    assert cli.main(shades) == 130
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("fastcv train: stopped after step 2; all is saved in run, and the same")
    assert cli.main(shades) == 2
    assert "run holds a run already: resume goes on with it" in capsys.readouterr().err
    assert cli.main([*shades, "--resume"]) == 0
    shown = capsys.readouterr()
    assert "going on after step 2 of the run in run" in shown.out
    assert shown.out.endswith("--out drawn/\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "linear", "--folder", "nowhere"], "there is no folder nowhere"),
        (["--model", "linear"], "which pictures? pass one of --folder, --coco, --voc, --masks"),
        (["--folder", "data"], "which model? Name one"),
        (["--model", "linaer", "--folder", "data"], "did you mean linear"),
        (["--model", "linear", "--coco", "a", "b"], "must be given as one of folder, got coco"),
        (["--model", "linear", "--folder", "data", "--val", "a", "b"], "val must be ROOT, got 2"),
        (["--model", "linear", "--folder", "data", "--device", "gpu"], "--device must be cpu"),
        (["--model", "unet", "--masks", "data", "none"], "there is no folder none"),
        (["--model", "ssd_resnet18", "--coco", "data", "n.json"], "no annotation file n.json"),
        (["--model", "ssd_resnet18", "--voc", "data", "train"], "there is no image set data"),
        (["digits_detector", "--model", "linear"], "--model is of training on your own pictures"),
        (["digits_detector", "--batch-size", "4"], "--batch-size is of training on your own"),
        (["digits_detector", "--resume"], "--resume is of training on your own pictures"),
    ],
)
def test_told_in_a_sentence(shades, capsys, arguments, told):
    assert cli.main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("fastcv train: ") and error.count("\n") == 1
    assert told in error and not Path("runs").exists()


def test_help_has_each_way_to_name_pictures(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    shown = capsys.readouterr().out
    for task in (task for task in TASKS if task.training is not None):
        for data in task.data:
            assert any(
                line.lstrip().startswith(data.option.flag + " ") and line.endswith(data.option.help)
                for line in shown.splitlines()
            )
        assert all(way in shown for way in task.training.augment)


def test_an_entry_is_enough_for_a_new_task(shades, monkeypatch, capsys):
    """A task that only this test knows: its way to name pictures, its module, its metric."""
    monkeypatch.setattr(_registry, "_entries", dict(_registry._entries))
    monkeypatch.setitem(
        _registry._entries,
        "shader",
        replace(_registry.find_model("linear"), name="shader", task="shading"),
    )
    task = _tasks.Task(
        name="shading",
        title="Shades",
        models="shaders",
        base="fastcv.models.classification.linear.LinearClassifier",
        result="fastcv.results.Classification",
        data=(
            _tasks.Data(
                _tasks.Option("--shades", "a folder for each", {"metavar": "ROOT"}),
                open=_task_data.image_folder,
                own="folder",
            ),
        ),
        evaluate=lambda model, data, options: {"kappa": 0.5 + 0.1 * (len(data) == 4)},
        training=_tasks.Training(
            "fastcv.learn.own_data.classes", "kappa", batch_size=4, lr=0.01, augment=("none",)
        ),
    )
    monkeypatch.setattr(_tasks, "TASKS", (*TASKS, task))
    arguments = [{"linear": "shader", "--folder": "--shades"}.get(word, word) for word in shades]
    assert cli.main(arguments) == 0
    assert "\nkappa                0.6\n" in capsys.readouterr().out
    assert json.loads(Path("run/metrics.json").read_text()) == {"kappa": 0.6}


@pytest.mark.slow
def test_two_processes(shades, tmp_path):
    """torchrun: the losses of one process, one report, and weights that predict."""
    assert cli.main(shades) == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, "-m", "fastcv", *("two" if word == "run" else word for word in shades)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("to train on: 12 pictures") == done.stdout.count("now: fastcv") == 1
    losses = []
    for out in ("run", "two"):
        with open(tmp_path / out / "history.csv") as file:
            losses.append([float(row["loss"]) for row in csv.DictReader(file)])
    # A CPU that multiplies bfloat16 trains in it, and rounds a half batch otherwise: to 2 ** -8.
    assert len(losses[0]) == 6 and losses[0] == pytest.approx(losses[1], rel=2**-8)
    found = fastcv.models.load_model("two/best.safetensors").predict("data/dark/0.png")
    assert found[0].classes == ("dark", "light")
