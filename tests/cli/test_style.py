"""``fastcv style``: by a trained network, by Gatys's way, and what it says of bad input."""

import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv import cli, create_model, load_model, save_model
from fastcv.models.generative import gatys
from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.backbones.vgg import VGGTrunk


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("style") / "small.safetensors"
    torch.manual_seed(0)
    save_model(path, create_model("style_transfer", width=4))
    return path


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of two, a style, and a small network in the large one's place."""
    torch.manual_seed(0)
    network = LossNetwork(VGGTrunk(16, width=2))
    monkeypatch.setattr(
        "fastcv.models.generative._loss_network.LossNetwork", lambda **options: network
    )
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("photos/0.png", (40, 60)), ("photos/1.png", (24, 20)), ("s.png", (50, 30))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


def size_of(path):
    with Image.open(path) as image:
        return image.size


def test_by_gatys(photos, capsys):
    start = ["style", str(photos / "photos"), "--style", str(photos / "s.png"), "--steps", "2"]
    out = photos / "out"
    more = ["--size", "30", "--style-weight", "3", "--device", "cpu"]
    assert cli.main([*start, *more, "--out", str(out)]) == 0
    assert size_of(out / "0.png") == (30, 20) and size_of(out / "1.png") == (20, 24)
    told = capsys.readouterr()
    assert f"{photos / 'photos/0.png'}: Generated(1 picture of 20x30): {out / '0.png'}" in told.out
    assert "no --loss-weights: the network's are random" in told.err


def test_its_options_arrive(photos, monkeypatch):
    given = []

    def stylize(content, style, **options):
        given.append(options)
        return gatys.Stylized(torch.rand(1, 3, 4, 4))

    monkeypatch.setattr(gatys, "stylize", stylize)
    start = ["style", str(photos / "photos/0.png"), "--style", str(photos / "s.png")]
    start += ["--out", str(photos / "a.png"), "--device", "cpu"]
    assert cli.main(start) == 0
    assert cli.main([*start, "--steps", "7", "--size", "40", "--style-weight", "0.5"]) == 0
    names = ("steps", "size", "style_weight", "device")
    assert [[options[name] for name in names] for options in given] == [
        [300, 256, 20.0, "cpu"],
        [7, 40, 0.5, "cpu"],
    ]


def test_a_trained_network(weights, photos, tmp_path):
    path, out = photos / "photos/0.png", photos / "a.png"
    assert cli.main(["style", str(path), "--weights", str(weights), "--out", str(out)]) == 0
    (expected,) = load_model(weights).predict(path)
    with Image.open(out) as made:
        assert np.array_equal(np.asarray(made), np.asarray(expected.draw()))
    # A file of pytorch/examples does not say what it is of.
    torch.manual_seed(1)
    model = create_model("style_transfer")
    torch.save(model.state_dict(), tmp_path / "mosaic.pth")
    start = ["style", str(path), "--weights", str(tmp_path / "mosaic.pth"), "--out", str(out)]
    assert cli.main(start) == 0
    with Image.open(out) as made:
        assert np.array_equal(np.asarray(made), np.asarray(model.predict(path)[0].draw()))


@pytest.mark.parametrize("kind", ["16-bit", "alpha", "palette"])
def test_files_of_other_kinds(kind, photos):
    rng = np.random.default_rng(1)
    {
        "16-bit": lambda: Image.fromarray(rng.integers(0, 2**16, (20, 24), np.uint16)),
        "alpha": lambda: Image.fromarray(rng.integers(0, 256, (20, 24, 4), np.uint8), "RGBA"),
        "palette": lambda: Image.fromarray(rng.integers(0, 256, (20, 24), np.uint8)).convert("P"),
    }[kind]().save(photos / "odd.png")
    for content, style in (("odd.png", "s.png"), ("photos/1.png", "odd.png")):
        start = ["style", str(photos / content), "--style", str(photos / style), "--steps", "1"]
        assert cli.main([*start, "--device", "cpu", "--out", str(photos / "made.png")]) == 0
        assert size_of(photos / "made.png") == size_of(photos / content)


def test_a_broken_or_tiny_picture_is_reported_and_the_others_are_done(photos, capsys):
    (photos / "photos/2.png").write_bytes(b"no picture")
    Image.new("RGB", (1, 1)).save(photos / "photos/3.png")
    start = ["style", str(photos / "photos"), "--style", str(photos / "s.png"), "--steps", "1"]
    assert cli.main([*start, "--device", "cpu", "--out", str(photos / "out")]) == 1
    told = capsys.readouterr().err
    assert "2.png is not an image" in told
    assert f"{photos / 'photos/3.png'}: content must have at least 16 x 16 pixels" in told
    assert sorted(path.name for path in (photos / "out").iterdir()) == ["0.png", "1.png"]
    start[1] = str(photos / "photos/3.png")
    assert cli.main([*start, "--device", "cpu", "--out", str(photos / "b.png")]) == 2


def test_ctrl_c_writes_the_picture_so_far(photos, monkeypatch, capsys):
    forward, asked = LossNetwork.forward, []

    def stops(self, pictures, names):
        asked.append(True)
        if len(asked) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return forward(self, pictures, names)

    monkeypatch.setattr(LossNetwork, "forward", stops)
    start = ["style", str(photos / "photos"), "--style", str(photos / "s.png"), "--steps", "90"]
    assert cli.main([*start, "--device", "cpu", "--out", str(photos / "out")]) == 130
    assert [path.name for path in (photos / "out").iterdir()] == ["0.png"]
    assert "of 90 steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "which style? pass --style PICTURE, or --weights of a trained network"),
        (["--style", "none.png"], "there is no image none.png"),
        (["--style", "STYLE", "--tile", "64"], "--tile is for a trained network: pass its"),
        (["--style", "STYLE", "--loss-weights", "no.pth"], "loss_weights: there is no file no.pth"),
        (["--style", "STYLE", "--style-weight", "-1"], "style_weight must be 0 or more, got -1"),
        (["--weights", "FILE", "--style", "STYLE"], "--style is not for a trained network"),
        (["--weights", "FILE", "--loss-weights", "x"], "--loss-weights is not for a trained"),
        (["--weights", "LENET"], "lenet5 has no style: such as style_transfer has"),
    ],
)
def test_sentences(arguments, words, weights, photos, capsys):
    save_model(photos / "lenet.safetensors", create_model("lenet5"))
    files = {
        "FILE": str(weights),
        "LENET": str(photos / "lenet.safetensors"),
        "STYLE": str(photos / "s.png"),
    }
    given = [files.get(argument, argument) for argument in arguments]
    start = ["style", str(photos / "photos/0.png"), "--out", str(photos / "x.png")]
    assert cli.main([*start, "--device", "cpu", *given]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("fastcv style: ") and words in told


def test_help_lists_it(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "\n  style        photographs in the style of a picture" in capsys.readouterr().out
