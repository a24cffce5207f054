"""``fastcv caption``: a sentence for each picture; and what predict and evaluate know of it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv import cli, create_model, load_model, save_model
from fastcv.metrics import evaluate_captions


def weights_of(folder, name):
    path = folder / f"{name}.safetensors"
    torch.manual_seed(1)
    model = create_model(f"{name}_resnet18", words=("a", "cat", "on", "mat"), width=4, size=32)
    with torch.no_grad():
        (model.fc if hasattr(model, "fc") else model.decoder.fc).weight.mul_(30)
    save_model(path, model)
    return path


@pytest.fixture(scope="module")
def attends(tmp_path_factory):
    return weights_of(tmp_path_factory.mktemp("captioner"), "show_attend_and_tell")


@pytest.fixture(scope="module")
def tells(tmp_path_factory):
    return weights_of(tmp_path_factory.mktemp("captioner"), "show_and_tell")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, size in enumerate(((24, 32), (40, 36))):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["--beam", "3"], {"method": "beam", "beam_size": 3}),
        (["--sample", "7"], {"method": "sample", "seed": 7}),
        (["--max-words", "2"], {"max_words": 2}),
    ],
)
def test_a_folder(arguments, options, attends, photos, tmp_path, capsys):
    out, file, strips = tmp_path / "drawn", tmp_path / "captions.json", tmp_path / "strips"
    given = ["caption", str(photos), "--weights", str(attends), *arguments]
    given += ["--out", str(out), "--json", str(file), "--attention", str(strips)]
    assert cli.main(given) == 0
    told = capsys.readouterr().out.splitlines()
    rows = json.loads(file.read_text())
    paths = [photos / "0.png", photos / "1.png"]
    expected = load_model(attends).predict(paths, batch_size=8, **options)
    assert rows == [caption.to_dict() for caption in expected]
    assert told == [f"{p}: {c}" for p, c in zip(paths, expected, strict=True)]
    for path, caption in zip(paths, expected, strict=True):
        with Image.open(out / path.name) as drawing:
            assert drawing.size == caption.draw().size
        with Image.open(strips / path.name) as strip:
            assert strip.size == caption.draw_attention().size


def test_a_broken_picture_costs_no_other(attends, photos, tmp_path, capsys):
    (photos / "2.png").write_bytes(b"no picture")
    file = tmp_path / "captions.json"
    given = ["caption", str(photos), "--weights", str(attends), "--json", str(file)]
    assert cli.main(given) == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2
    assert "fastcv caption: " in told.err and "1 of 3 could not be read" in told.err
    assert [("error" in row) for row in json.loads(file.read_text())] == [False, False, True]


def test_what_cannot_be(attends, tells, photos, tmp_path, capsys):
    save_model(tmp_path / "lenet.safetensors", create_model("lenet5"))
    photo, strip = str(photos / "0.png"), str(tmp_path / "strip.png")
    for arguments, sentence in (
        (["--weights", str(tmp_path / "lenet.safetensors")], "lenet5 is no captioner: `fastcv mod"),
        (
            ["--weights", str(tells), "--attention", strip],
            "show_and_tell_resnet18 does not look at",
        ),
        (["--weights", str(attends), "--font", "x.ttf"], "--font is of drawings"),
        (["--weights", "none.safetensors"], "no file"),
        (["--model", "show_attend_and_tell"], "show_attend_and_tell has no published weights"),
    ):
        assert cli.main(["caption", photo, *arguments]) == 2
        assert sentence in capsys.readouterr().err
    for arguments in (["--beam", "0"], ["--beam", "2", "--sample", "3"]):
        with pytest.raises(SystemExit):
            cli.main(["caption", photo, "--weights", str(attends), *arguments])


def test_predict(attends, photos, tmp_path, capsys):
    photo, strip = photos / "0.png", tmp_path / "strip.png"
    given = ["predict", str(photo), "--weights", str(attends), "--method", "beam"]
    given += ["--beam-size", "2", "--max-words", "4", "--attention", str(strip)]
    assert cli.main(given) == 0
    (caption,) = load_model(attends).predict(photo, method="beam", beam_size=2, max_words=4)
    assert capsys.readouterr().out == f"{photo}: {caption}\n" and strip.is_file()


def test_evaluate(attends, photos, tmp_path, capsys):
    file, out = tmp_path / "captions.csv", tmp_path / "metrics.json"
    file.write_text("0.png,A cat on a mat.\n1.png,A mat.\n1.png,\n0.png,a cat\n")
    given = ["evaluate", "--weights", str(attends), "--captions", str(photos), str(file)]
    with pytest.warns(UserWarning, match="1 of 4 entries are broken and left out"):
        assert cli.main([*given, "--method", "beam", "--json", str(out)]) == 0
    found = load_model(attends).predict([photos / "0.png", photos / "1.png"], method="beam")
    expected = evaluate_captions(
        [caption.text for caption in found], [["A cat on a mat.", "a cat"], ["A mat."]]
    )
    assert json.loads(out.read_text()) == pytest.approx(expected)
    assert "CIDEr-D" in capsys.readouterr().out
    file.write_text("0.png,A cat.\nx.png,A mat.\n")
    assert cli.main(given) == 2
    assert "x.png" in capsys.readouterr().err
