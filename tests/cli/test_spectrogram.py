"""fastcv spectrogram."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from fastcv import cli
from fastcv.cli import spectrogram
from fastcv.draw.sound import KINDS
from fastcv.results import Audio


@pytest.fixture
def sounds(tmp_path):
    g = torch.Generator().manual_seed(0)
    paths = [tmp_path / name for name in ("a.wav", "b.wav")]
    for path, rate in zip(paths, (8000, 44100), strict=True):
        Audio(torch.rand(2, 12_000, generator=g) - 0.5, rate).save(path)
    return [str(path) for path in paths]


def test_tells_and_draws(sounds, tmp_path, capsys):
    out, told = tmp_path / "drawn", tmp_path / "told.json"
    assert cli.main(["spectrogram", *sounds, "--out", str(out), "--json", str(told)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(
        "a.wav: 1.50 s, 2 channels, 8000 Hz; frames of 25 ms, a new one every 10 ms: 15 ms of "
        "overlap"
    )
    assert json.loads(told.read_text())[1] == {
        "file": sounds[1], "channels": 2, "samples": 12_000, "rate": 44100,
    }  # fmt: skip
    assert sorted(path.name for path in out.iterdir()) == ["a.wav.png", "b.wav.png"]
    assert Image.open(out / "a.wav.png").size == (800, 440)


def test_kinds(sounds, tmp_path):
    assert spectrogram.KINDS == KINDS
    path = tmp_path / "all.png"
    assert cli.main(["spectrogram", sounds[0], "--kind", "all", "--out", str(path)]) == 0
    assert Image.open(path).size == (800, 1010)
    assert cli.main(["spectrogram", sounds[0], "--kind", "mfcc", "--out", str(path)]) == 0
    assert Image.open(path).size == (800, 250)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.wav"], "there is no sound missing.wav"),
        (["A", "B", "--out", "one.png"], "--out must be a folder for 2 sounds, got one.png"),
        (["A", "--out", "one.txt"], "--out must be a folder or end in an image's suffix"),
        (["A", "A", "--out", "drawn"], "two sounds have the same name"),
    ],
)
def test_errors(sounds, arguments, sentence, capsys):
    names = dict(zip("AB", sounds, strict=True))
    assert cli.main(["spectrogram", *(names.get(a, a) for a in arguments)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_cut_file(sounds, tmp_path, capsys):
    path = tmp_path / "cut.wav"
    path.write_bytes(Path(sounds[0]).read_bytes()[:-1000])
    assert cli.main(["spectrogram", str(path)]) == 2
    assert "cut.wav cannot be read as a sound: it is cut off" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.png"))
