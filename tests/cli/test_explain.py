"""``fastcv explain photo.jpg``: one method as a picture or JSON, all as a sheet."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import make_small

from fastcv import cli, explain
from fastcv.draw.typeface import Typeface
from fastcv.models import load_model, save_model


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def weights(tmp_path):
    model = make_small("resnet18")
    model.classes = ("bee", "tabby", "dog")
    save_model(tmp_path / "model.safetensors", model)
    return tmp_path / "model.safetensors"


def run(*arguments):
    return cli.main(["explain", *map(str, arguments)])


@pytest.mark.parametrize("first", [[], ["maps"]], ids=["", "maps"])
def test_one_method(first, photo, weights, tmp_path, capsys):
    out = tmp_path / "new" / "map.png"
    assert run(*first, photo, "--weights", weights, "--target", "tabby", "--out", out) == 0
    expected = "Attribution(grad_cam of tabby at layer4, 64x64)"
    assert capsys.readouterr().out == f"{photo}: {expected}: {out}\n"
    assert Image.open(out).size[0] == 320


def test_numbers(photo, weights, tmp_path):
    out = tmp_path / "map.json"
    # The options first, too.
    assert run("--weights", weights, "--method", "cam", "--target", 2, "--out", out, photo) == 0
    found = json.loads(out.read_text())
    map_ = explain.cam(load_model(weights), photo, 2)
    assert found["method"] == "cam" and found["file"] == str(photo)
    (row,) = found["maps"]
    assert row["target"] == "dog" and row["peak"] == list(map_.peaks()[0])
    assert row["score"] == pytest.approx(float(map_.scores[0]), abs=1e-3)
    assert torch.equal(torch.tensor(row["box"]), map_.boxes()[0])


def test_all_on_one_sheet(photo, weights, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert run(photo, "--weights", weights, "--method", "all", "--out", out) == 0
    assert capsys.readouterr().out == f"{photo}: 9 methods: {out}\n"
    assert Image.open(out).size[0] == 3 * 320 + 4 * 8


def test_what_a_model_cannot_have_is_left_out(photo, tmp_path, capsys):
    save_model(tmp_path / "model.safetensors", make_small("efficientnet"))
    arguments = [photo, "--weights", tmp_path / "model.safetensors", "--method", "all"]
    out = tmp_path / "sheet.png"
    assert run(*arguments, "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1].strip() for line in lines[:-1]] == [
        "deconvnet", "guided_backprop", "guided_grad_cam"
    ]  # fmt: skip
    assert all("has silu: force=True" in line for line in lines[:-1])
    assert run(*arguments, "--force", "--out", out) == 0
    assert "9 methods" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["grad_cam", "all"])
def test_a_font(method, photo, weights, tmp_path):
    path, _ = Typeface(20).parts("Straße")[0]  # with other letters than Pillow's own
    drawn = []
    for more in ([], ["--font", path]):
        out = tmp_path / f"{len(drawn)}.png"
        assert run(photo, "--weights", weights, "--method", method, *more, "--out", out) == 0
        drawn.append(Image.open(out))
    assert drawn[0].width == drawn[1].width and drawn[0].tobytes() != drawn[1].tobytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--font", "no.ttf"], "font must be a font file, such as a .ttf or .otf, got 'no.ttf'"),
        (["--target", "taby"], "the model has no class 'taby': did you mean 'tabby'?"),
        (["--target", "9"], "target must be a class 0 to 2, got 9"),
        (["--layer", "layer9"], "layer: the model has no 'layer9': did you mean 'layer"),
        (["--out", "map.txt"], "--out map.txt must end in .json or an image's suffix"),
        (["--method", "all", "--out", "a.json"], "--out a.json must be an image"),
        (["--method", "all", "--target", "taby"], "the model has no class 'taby'"),
    ],
)
def test_mistakes(arguments, sentence, photo, weights, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code = run(photo, "--weights", weights, *arguments)
    told = capsys.readouterr().err
    assert code == 2 and told.startswith("fastcv explain: ") and sentence in told


def test_no_picture(weights, capsys):
    assert run("no.jpg", "--weights", weights) == 2
    assert capsys.readouterr().err == "fastcv explain: there is no image no.jpg\n"


def test_help_names_the_topics(capsys):
    with pytest.raises(SystemExit) as stopped:
        run("--help")
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    assert "detection" in told and "`fastcv explain photo.jpg` is this" in " ".join(told.split())


@pytest.mark.parametrize("method", ["grad_cam", "all"])
@pytest.mark.parametrize("out", ["folder", "map.xyz", "map", "", ".png", "map.svg"])
def test_what_cannot_be_written_is_told_first(method, out, capsys):
    """Before the model is read: it is not there."""
    assert run("none.png", "--weights", "none.pth", "--method", method, "--out", out) == 2
    error = capsys.readouterr().err
    assert f"--out {out or '.'} must " in error and error.count("\n") == 1


@pytest.mark.parametrize("method", ["occlusion", "saliency", "deconvnet", "guided_backprop", "cam"])
def test_a_layer_that_the_method_does_not_use(method, capsys):
    assert run("none.png", "--weights", "none.pth", "--method", method, "--layer", "conv1") == 2
    error = capsys.readouterr().err
    expected = f"--layer is of activations, grad_cam, guided_grad_cam, and --method is {method}"
    assert expected in error


def test_a_target_that_activations_do_not_use(capsys):
    options = ("--method", "activations", "--target", "tabby")
    assert run("none.png", "--weights", "none.pth", *options) == 2
    assert "--target must be left out" in capsys.readouterr().err


def test_a_target_below_0(photo, weights, capsys):
    assert run(photo, "--weights", weights, "--target=-1") == 2
    assert "target must be a class 0 to 2, got -1" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["steps.xyz", "steps", "steps.json"])
def test_a_figure_of_detection_that_cannot_be_written(out, capsys):
    """Before the model is read: it is not there."""
    assert run("detection", "none.png", "--weights", "none.pth", "--out", out) == 2
    assert "path must end in one of .avif .eps" in capsys.readouterr().err
