"""``fastcv generate``, and that the other commands refuse a generator in a sentence."""

import json

import pytest
import torch
from PIL import Image

from fastcv import cli, create_model, save_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("generator") / "small.safetensors"
    torch.manual_seed(0)
    save_model(path, create_model("progan_256", channels=(12, 8, 6, 4)))
    return path


def test_a_sheet(weights, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert cli.main(["generate", "--weights", str(weights), "--n", "6", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"Generated(6 pictures of 16x16, seed 0): {out}\n"
    with Image.open(out) as sheet:
        assert sheet.size == (3 * 18 + 2, 2 * 18 + 2)
    one = ["generate", "--model", "progan_256", "--weights", str(weights), "--n", "1", "--seed"]
    for seed in ("1", "1", "2"):
        assert cli.main([*one, seed, "--out", str(tmp_path / f"{seed}.png")]) == 0
    with Image.open(tmp_path / "1.png") as first, Image.open(tmp_path / "2.png") as second:
        assert first.size == (16, 16) and first.tobytes() != second.tobytes()
    assert cli.main([*one, "7", "--out", str(tmp_path / "a.json")]) == 0
    told = json.loads((tmp_path / "a.json").read_text())
    assert told == {"file": None, "seed": 7, "pictures": 1, "size": [16, 16]}


def test_a_class_that_is_asked_for(tmp_path, capsys):
    path = tmp_path / "cgan.safetensors"
    save_model(path, create_model("cgan", size=8, width=4, num_classes=3))
    asked = ["generate", "--weights", str(path), "--n", "4"]
    for more, labels in (([], [0, 1, 2, 0]), (["--label", "2"], [2, 2, 2, 2])):
        assert cli.main([*asked, *more, "--out", str(tmp_path / "a.json")]) == 0
        told = json.loads((tmp_path / "a.json").read_text())
        assert told["labels"] == labels and told["names"] == list(map(str, labels))
    capsys.readouterr()
    assert cli.main([*asked, "--label", "7", "--out", str(tmp_path / "a.png")]) == 2
    assert "--label must be one of 0, 1, 2, got '7'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate"], "which model? pass --model NAME"),
        (["generate", "--model", "lenet5", "--weights", "LENET"], "lenet5 is no generator: "),
        (
            ["generate", "--weights", "FILE", "--label", "3"],
            "progan_256 cannot be asked for classes",
        ),
        (["generate", "--weights", "FILE", "--seed", "-1"], "--seed must be 0 or more, got -1"),
        (["generate", "--weights", "FILE", "--out", "a.xyz"], "path must end in .json or an image"),
        (
            ["predict", "PICTURE", "--weights", "FILE"],
            "progan_256 does not take pictures: `fastcv generate` runs it",
        ),
        (["explain", "PICTURE", "--weights", "FILE"], "progan_256 does not take pictures"),
    ],
)
def test_sentences(arguments, words, weights, tmp_path, capsys):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    if "LENET" in arguments:
        save_model(tmp_path / "lenet.safetensors", create_model("lenet5"))
    files = {
        "FILE": str(weights),
        "PICTURE": str(tmp_path / "a.png"),
        "LENET": str(tmp_path / "lenet.safetensors"),
        "a.xyz": str(tmp_path / "a.xyz"),
    }
    assert cli.main([files.get(argument, argument) for argument in arguments]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
