"""``fastcv locate-sound``."""

import json
import wave

import pytest
import torch
from PIL import Image

import fastcv
from fastcv import cli

RATE = 16000


def write_wav(path, seconds):
    samples = (torch.rand(round(seconds * RATE)) * 20000 - 10000).short()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.numpy().tobytes())


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    model = fastcv.create_model(
        "sound_localization",
        width=2,
        sound_size=6,
        sound_width=1,
        sound_options={"num_scenes": 2, "pools": (4, 4, 4), "head_kernel": 2, "rate": RATE},
    )
    fastcv.save_model(tmp_path / "m.safetensors", model)
    fastcv.save_model(tmp_path / "other.safetensors", fastcv.create_model("lenet5"))
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_text("no picture")
    (tmp_path / "broken.wav").write_bytes(b"RIFF\x10\0\0\0WAVEno sound")
    write_wav(tmp_path / "a.wav", 1)
    write_wav(tmp_path / "short.wav", 0.05)
    return tmp_path


def locate(folder, picture, sound, *arguments, weights="m.safetensors"):
    paths = [str(folder / x) if x.endswith((".png", ".json")) else x for x in arguments]
    files = [str(folder / picture), str(folder / sound)]
    return cli.main(
        ["locate-sound", *files, "--weights", str(folder / weights), "--device", "cpu", *paths]
    )


def test_one_pair(folder, capsys):
    assert locate(folder, "a.png", "a.wav", "--out", "o.png", "--json", "o.json") == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{folder / 'a.png'}, {folder / 'a.wav'}: SoundMap(20x20 cells, ")
    told = json.loads((folder / "o.json").read_text())
    assert told["file"] == str(folder / "a.png") and len(told["scores"]) == 20
    with Image.open(folder / "o.png") as drawing:
        assert drawing.size == (320, 240)


@pytest.mark.parametrize(
    ("picture", "sound", "options", "words"),
    [
        ("none.png", "a.wav", {}, "none.png"),
        ("a.png", "none.wav", {}, "none.wav"),
        ("broken.png", "a.wav", {}, "is not an image"),
        ("a.png", "broken.wav", {}, "broken.wav"),
        ("a.png", "short.wav", {}, "a sound must be at least"),
        (".", "a.wav", {}, "is 2 pictures: name one"),
        ("a.png", "a.wav", {"weights": "other.safetensors"}, "lenet5 locates no sounds"),
    ],
)
def test_what_cannot_be(folder, capsys, picture, sound, options, words):
    assert locate(folder, picture, sound, **options) == 2
    told = capsys.readouterr().err
    assert told.startswith("fastcv locate-sound: ") and words in told and told.count("\n") == 1


def test_predict_names_the_command(folder, capsys):
    code = cli.main(["predict", str(folder / "a.png"), "--weights", str(folder / "m.safetensors")])
    assert code == 2
    assert "does not take pictures alone: `fastcv locate-sound` runs it" in capsys.readouterr().err
