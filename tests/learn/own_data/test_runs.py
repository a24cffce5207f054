"""Runs on pictures of one's own: the smallest model on the smallest pictures."""

import json
import signal

import pytest
import torch
from own_pictures import coco, folders
from PIL import Image

import fastcv
from fastcv.draw.typeface import Typeface
from fastcv.learn import train_on
from fastcv.learn.own_data import boxes
from fastcv.models.classification.linear import LinearClassifier

pytestmark = pytest.mark.usefixtures("quick_curves")

OPTIONS = {"val_fraction": 0.25, "epochs": 3, "batch_size": 4, "device": "cpu", "progress": False}


@pytest.fixture
def shades(tmp_path):
    return folders(tmp_path / "shades", dark=range(0, 80, 10), light=range(170, 250, 10))


def test_a_run(shades, tmp_path, capsys):
    trained = train_on(
        "linear", folder=shades, out=tmp_path / "run", **{**OPTIONS, "progress": True}
    )
    printed = capsys.readouterr().out
    assert printed.startswith("to train on: 12 pictures of about 60 x 40 pixels, of 2 classes\n")
    assert "linear on cpu: 3 epochs in batches of 4; AdamW up to" in printed
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written >= {
        *("found.json", "batch.jpg", "best.safetensors", "metrics.json", "predictions.jpg"),
        *("curves.png", "last.pt", "history.csv", "epochs.csv", "model.safetensors"),
    }
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == trained.metrics
    found = json.loads((tmp_path / "run/found.json").read_text())
    assert found["classes"] == ["dark", "light"] and found["train"]["pictures"] == 12
    with Image.open(tmp_path / "run/predictions.jpg") as sheet:  # 4 pairs, 2 in a row
        assert sheet.size == (2 * 768 + 3 * 8, 2 * 384 + 3 * 8)
    model = fastcv.models.load_model(trained.weights)
    assert model.classes == ("dark", "light")
    (dark,) = model.predict(f"{shades}/dark/0.png")
    assert torch.equal(dark.scores, trained.model.predict(f"{shades}/dark/0.png")[0].scores)


@pytest.mark.parametrize("step", [2, 3, 7])  # within, at the end of and after an epoch
def test_an_interrupt_and_a_resume(shades, tmp_path, monkeypatch, capfd, step):
    whole = train_on("linear", folder=shades, out=tmp_path / "whole", **OPTIONS)
    loss, calls = LinearClassifier.loss, []

    def interrupted(self, output, targets):
        calls.append(1)
        if len(calls) == step + 1:  # one was the rehearsal's
            signal.raise_signal(signal.SIGINT)
        return loss(self, output, targets)

    monkeypatch.setattr(LinearClassifier, "loss", interrupted)
    out = tmp_path / "run"
    with pytest.raises(
        SystemExit, match=f"after step {step}; .*, and the same with resume goes on"
    ):
        train_on("linear", folder=shades, out=out, **OPTIONS)
    with pytest.raises(ValueError, match="run holds a run already: resume goes on with it"):
        train_on("linear", folder=shades, out=out, **OPTIONS)
    resumed = train_on("linear", folder=shades, out=out, resume=True, **OPTIONS)
    assert resumed.metrics == whole.metrics
    assert not any(capfd.readouterr())  # no bar and no sentence where none is wanted
    assert (out / "history.csv").read_text() == (tmp_path / "whole/history.csv").read_text()
    state = whole.model.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in resumed.model.state_dict().items())


def test_resume_needs_the_same_run(shades, tmp_path):
    with pytest.raises(ValueError, match=r"there is no run to resume in .*nowhere"):
        train_on("linear", folder=shades, out=tmp_path / "nowhere", resume=True, **OPTIONS)
    out = tmp_path / "run"
    train_on("linear", folder=shades, out=out, **OPTIONS)
    with pytest.raises(ValueError, match="made with other settings: batch_size was 4 and is now 2"):
        train_on("linear", folder=shades, out=out, resume=True, **{**OPTIONS, "batch_size": 2})
    (tmp_path / "shades/dark").rename(tmp_path / "shades/black")
    with pytest.raises(ValueError, match=r"the classes were \['dark', 'light'\], now \['black'"):
        train_on("linear", folder=shades, out=out, resume=True, **OPTIONS)


def test_validates_on_other_pictures(shades, tmp_path, capsys):
    val = folders(tmp_path / "val", dark=[5], light=[200])
    options = {**OPTIONS, "progress": True, "epochs": 1}
    train_on("linear", folder=shades, val=val, out=tmp_path / "run", **options)
    assert "to validate on: 2 pictures" in capsys.readouterr().out
    train_on("linear", folder=shades, val=shades, out=tmp_path / "same", **options)
    assert (
        "16 pictures are in both sets, so that the metrics say too much" in capsys.readouterr().out
    )
    strange = folders(tmp_path / "strange", owl=[5])
    with pytest.raises(ValueError, match="has a folder 'owl', and the model has no such class"):
        train_on("linear", folder=shades, val=strange, out=tmp_path / "none", **OPTIONS)


def test_keeps_frozen_parts_and_starts_from_weights(shades, tmp_path):
    start = fastcv.create_model("resnet18", num_classes=5, width=8)
    fastcv.save_model(tmp_path / "start.safetensors", start)
    trained = train_on(
        weights=tmp_path / "start.safetensors",  # names its model
        folder=shades,
        size=32,
        freeze=["conv1", "layer1"],
        out=tmp_path / "run",
        **{**OPTIONS, "epochs": 1},
    )
    assert trained.model.preprocessing["crop"] == 32
    before, after = start.state_dict(), trained.model.state_dict()
    same = {key for key in before if before[key].shape == after[key].shape}
    same = {key for key in same if torch.equal(before[key], after[key])}
    kept = {key for key in before if key.startswith(("conv1.", "layer1."))}
    assert kept <= same and not any(key.startswith(("layer2.0.conv", "fc")) for key in same)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("linera", {}, "there is no model 'linera': did you mean linear"),
        (None, {}, "which model"),
        ("linear", {"folder": "nowhere"}, "there is no folder nowhere"),
        ("linear", {"folder": ("a", "b")}, "folder must be ROOT, got 2 values"),
        ("linear", {"folder": None, "coco": ("a", "b")}, "classifiers: .* one of folder, got coco"),
        ("linear", {"folder": None}, "one of folder, got none"),
        ("hypercolumns_vgg16", {}, "instance segmenters, which cannot be trained on pictures"),
        ("nearest_neighbors", {}, "there is no model|cannot learn classes"),
        ("linear", {"augment": "more"}, "augment must be one of flip, none, color, strong"),
        ("linear", {"freeze": ["head"]}, "linear has no part 'head'; it has"),
        ("linear", {"weights": "w.safetensors"}, "there is no file w.safetensors"),
        ("linear", {"device": "gpu"}, "device must be cpu, cuda or cuda:N"),
        ("lenet5", {"size": 40}, r"lenet5 cannot learn from .* as they come: .*\[B, 1, 32, 32\]"),
        ("ssd300_vgg16", {"folder": None, "coco": True, "size": 40}, "one size only"),
        ("linear", {"font": "no.ttf"}, r"font must be a font file, such as .*, got 'no.ttf'"),
    ],
)
def test_refuses(shades, tmp_path, model, options, message):
    data = {"folder": shades, **options}
    if data.get("coco") is True:
        data["coco"] = coco(tmp_path, [(1, 1, (5, 5, 20, 20)), (2, 2, (5, 5, 20, 20))])
    data = {name: value for name, value in data.items() if value is not None}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train_on(model, **{**OPTIONS, "out": tmp_path / "run", **data})
    assert not (tmp_path / "run" / "last.pt").exists()


@pytest.mark.parametrize("with_objects", [1, 2])
def test_a_part_without_objects_is_told_at_once(tmp_path, with_objects):
    """Of three pictures one or two have objects, and two validate or one does."""
    box = (5, 5, 20, 20)
    where = coco(
        tmp_path, [(n + 1, 1, box) for n in range(with_objects)], files=("a.png", "b.png", "c.png")
    )
    data = boxes.coco(*where)
    told = []
    for fraction in (0.3, 0.6):
        train, val = data.split(fraction, 0)
        empty = "train" if not train.objects() else "validate" if not val.objects() else None
        if empty is None:
            continue
        told.append(empty)
        with pytest.raises(ValueError, match=f"the pictures to {empty} on have no objects: pass"):
            train_on(
                "fasterrcnn_resnet18_fpn",
                coco=where,
                **{**OPTIONS, "val_fraction": fraction, "out": tmp_path / "run"},
            )
    assert told or with_objects == 2


def test_a_font_for_the_names(shades, tmp_path):
    path, _ = Typeface(20).parts("Straße")[0]  # with other letters than Pillow's own
    for name, font in (("own", None), ("other", path)):
        train_on("linear", folder=shades, out=tmp_path / name, font=font, **OPTIONS)
    for sheet in ("batch.jpg", "predictions.jpg"):
        own, other = (Image.open(tmp_path / name / sheet).tobytes() for name in ("own", "other"))
        assert own != other


def test_crops_that_are_too_small_to_train_on(shades, tmp_path):
    """A norm's maps of 1 x 1 cells, of one picture."""
    options = {**OPTIONS, "batch_size": 1, "size": 32, "out": tmp_path / "run"}
    with pytest.raises(ValueError, match="take larger pictures or crops, or more") as error:
        train_on("resnet18", folder=shades, **options)
    assert str(error.value) == (
        "resnet18 cannot learn from these pictures as they come: a norm is left with one value of "
        "each channel in pictures of 32 x 32 pixels (1 at a time), and one value has no spread: "
        "take larger pictures or crops, or more of them in a batch"
    )
