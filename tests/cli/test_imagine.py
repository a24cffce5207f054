"""``fastcv imagine``: a sheet of sentences, and what cannot be, in one sentence."""

import json

import pytest
import torch
from PIL import Image

from fastcv import cli, create_model, save_model

WORDS = ("a", "red", "seven", "on", "gravel", "고양이")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("imagine") / "small.safetensors"
    torch.manual_seed(0)
    save_model(path, create_model("gan_cls_64", size=32, width=4, text_size=16, words=WORDS))
    return path


def test_a_sheet(weights, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    asked = ["imagine", "a red seven on gravel", "--weights", str(weights), "--out", str(out)]
    assert cli.main(asked) == 0
    assert capsys.readouterr().out == f"Generated(8 pictures of 32x32, seed 0): {out}\n"
    with Image.open(out) as sheet:
        assert sheet.width == 8 * 34 + 2 and sheet.height > 36
    one = ["imagine", "red", "고양이", "-n", "2", "--weights", str(weights)]
    for seed in ("1", "1", "2"):
        assert cli.main([*one, "--seed", seed, "--out", str(tmp_path / f"{seed}.json")]) == 0
    told = json.loads((tmp_path / "1.json").read_text())
    assert told["pictures"] == 4 and told["seed"] == 1
    assert told["texts"] == ["red", "red", "고양이", "고양이"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["red"], "which model? pass --model NAME"),
        ([" ", "--weights", "FILE"], "text must have a word, got ' '"),
        (["green nine", "--weights", "FILE"], "none of 'green nine' is among the 10 of the"),
        (["red", "--weights", "FILE", "--seed", "-1"], "--seed must be 0 or more, got -1"),
        (["red", "--weights", "FILE", "--out", "a.xyz"], "path must end in .json or an image"),
        (["red", "--weights", "OTHER"], "dcgan_64 makes no pictures of sentences: `fastcv models"),
    ],
)
def test_sentences(arguments, words, weights, tmp_path, capsys):
    other = tmp_path / "other.safetensors"
    save_model(other, create_model("dcgan_64", size=8, width=4))
    files = {"FILE": str(weights), "OTHER": str(other), "a.xyz": str(tmp_path / "a.xyz")}
    assert cli.main(["imagine", *(files.get(argument, argument) for argument in arguments)]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


def test_other_commands_say_which_one_it_is(weights, tmp_path, capsys):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    assert cli.main(["predict", str(tmp_path / "a.png"), "--weights", str(weights)]) == 2
    assert "does not take pictures: `fastcv imagine` runs it" in capsys.readouterr().err
    assert cli.main(["generate", "--weights", str(weights)]) == 2
    assert "gan_cls_64 is no generator" in capsys.readouterr().err
