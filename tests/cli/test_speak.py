"""``fastcv speak``: a file of sound, and what cannot be said, in one sentence."""

import json
import wave

import pytest
import torch
from PIL import Image

from fastcv import cli, create_model, save_model

SMALL = {"embedding": 16, "hidden": 24, "prenet": 8, "attention": 6, "postnet": 12}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("speak") / "small.safetensors"
    torch.manual_seed(0)
    model = create_model("tacotron2", **SMALL)
    model.decoder.gate_layer.weight.data.zero_()
    model.decoder.gate_layer.bias.data.fill_(-1)
    save_model(path, model)
    return str(path)


def test_a_file(weights, tmp_path, capsys):
    base = ["speak", "Hello, 2 worlds!", "--weights", weights, "--max-steps", "9"]
    for name in ("a.wav", "a.png", "a.json"):
        with pytest.warns(UserWarning, match="had not ended after 9 frames"):
            assert cli.main([*base, "--out", str(tmp_path / name)]) == 0
    said = capsys.readouterr().out.splitlines()[0]
    assert said.startswith("Speech('Hello, 2 worlds!', 0.10 s at 22050 Hz, 9 frames): ")
    with wave.open(str(tmp_path / "a.wav"), "rb") as file:
        assert file.getframerate() == 22_050 and file.getnframes() == 9 * 256
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["text"] == "Hello, 2 worlds!" and told["frames"] == 9
    assert told["symbols"] == [*"hello, two worlds!"] and len(told["looked_at"]) == 9
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (800, 640)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hi"], "which model? pass --model NAME"),
        (["hi", "--model", "tacotron2"], "tacotron2 has no published weights: pass a path or a"),
        (["", "--weights", "FILE"], "text must have a letter or another symbol, got ''"),
        (["안녕", "--weights", "FILE"], "got '안녕': known are English letters"),
        (["hi", "--weights", "FILE", "--seed", "-1"], "--seed must be 0 or more, got -1"),
        (["hi", "--weights", "OTHER"], "dcgan_64 does not speak: `fastcv models --task speech`"),
    ],
)
def test_sentences(arguments, words, weights, tmp_path, capsys):
    other = tmp_path / "other.safetensors"
    save_model(other, create_model("dcgan_64", size=8, width=4))
    files = {"FILE": weights, "OTHER": str(other)}
    out = ["--out", str(tmp_path / "x.wav")]
    assert cli.main(["speak", *(files.get(a, a) for a in arguments), *out]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1 and not (tmp_path / "x.wav").exists()


def test_predict_says_which_command_it_is(weights, tmp_path, capsys):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    assert cli.main(["predict", str(tmp_path / "a.png"), "--weights", weights]) == 2
    assert "does not take pictures: `fastcv speak` runs it" in capsys.readouterr().err
