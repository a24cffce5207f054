"""``fastcv listen``."""

import json

import pytest
import torch
from PIL import Image

import fastcv
from fastcv import cli
from fastcv.results import Audio

SMALL = {"depth": 18, "width": 4, "widths": (4, 4, 6, 8, 10), "kernel": 3, "frames": 64}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    model = fastcv.create_model("resdavenet_vq", **SMALL, codebooks=(0, 12, 8, 0, 0))
    fastcv.save_model(tmp_path / "m.safetensors", model)
    fastcv.save_model(tmp_path / "plain.safetensors", fastcv.create_model("resdavenet", **SMALL))
    for name, color in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (40, 30), color).save(tmp_path / f"{name}.png")
        Audio(torch.rand(6000) - 0.5, 16000).save(tmp_path / f"{name}.wav")
    (tmp_path / "broken.png").write_text("no picture")
    Audio(torch.zeros(1), 16000).save(tmp_path / "short.wav")
    return tmp_path


def listen(folder, *arguments, weights="m.safetensors"):
    paths = [str(folder / x) if "." in x else x for x in arguments]
    return cli.main(["listen", *paths, "--weights", str(folder / weights), "--device", "cpu"])


def test_units(folder, capsys):
    assert listen(folder, "a.wav", "b.wav", "--json", "o.json") == 0
    model = fastcv.load_model(folder / "m.safetensors")
    lines = capsys.readouterr().out.splitlines()
    told = json.loads((folder / "o.json").read_text())
    for name, line, row in zip("ab", lines, told, strict=True):
        units = model.units(folder / f"{name}.wav")
        assert line == f"{folder / name}.wav: {units.text}"
        assert row == units.to_dict() and "ranked" not in row


def test_pictures(folder, capsys):
    assert (
        listen(folder, "a.wav", "--layer", "2", "--json", "o.json", "--images", "a.png", "b.png")
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    (row,) = json.loads((folder / "o.json").read_text())
    assert len(lines) == 3 and {r["index"] for r in row["ranked"]} == {0, 1}
    assert row["ranked"][0]["score"] >= row["ranked"][1]["score"]
    model = fastcv.load_model(folder / "m.safetensors")
    assert row["units"] == model.units(folder / "a.wav", layer=2).units.tolist()


def test_without_codebooks(folder, capsys):
    assert listen(folder, "a.wav", "--images", "a.png", weights="plain.safetensors") == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{folder / 'a.wav'}:"
    assert listen(folder, "a.wav", weights="plain.safetensors") == 2
    assert "has no codebooks, and so no units: pass --images" in capsys.readouterr().err


def test_what_cannot_be_read_is_told_and_the_others_are_heard(folder, capsys):
    sounds = ("short.wav", "a.wav", "none.wav")
    assert listen(folder, *sounds, "--images", "a.png", "broken.png", "-k", "1") == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2
    for part in ("broken.png", "more than 200 samples", "there is no sound"):
        assert part in told.err
    assert listen(folder, "short.wav") == 2


def test_bad_arguments(folder, capsys):
    assert listen(folder, "a.wav", "--layer", "4") == 2
    assert "--layer must be one that has a codebook (2, 3), got 4" in capsys.readouterr().err
    fastcv.save_model(folder / "other.safetensors", fastcv.create_model("lenet5"))
    assert listen(folder, "a.wav", weights="other.safetensors") == 2
    assert "lenet5 hears no captions" in capsys.readouterr().err
