"""``fastcv explain neighbours``: a folder, a query, an index that is kept."""

import json

import numpy as np
import pytest
from PIL import Image
from small_models import make_small

from fastcv import cli
from fastcv.models import save_model


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(8):
        pixels = np.random.default_rng(i).integers(0, 255, (70, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


@pytest.fixture
def weights(tmp_path):
    save_model(tmp_path / "model.safetensors", make_small("resnet18"))
    return tmp_path / "model.safetensors"


def run(*arguments):
    return cli.main(["explain", "neighbours", *map(str, arguments)])


def test_a_picture(folder, weights, tmp_path, capsys):
    out, query = tmp_path / "new" / "found.png", folder / "3.png"
    arguments = ["--weights", weights, "--layer", "layer2", "--k", 4, "--out", out]
    assert run(folder, "--query", query, *arguments) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == f"{query}: 4 of Neighbours(8 pictures by resnet18's layer2): {out}"
    assert len(lines) == 4 and lines[0].endswith(str(query))
    distances = [float(line.split()[0]) for line in lines]
    assert distances == sorted(distances) and distances[0] < 1e-3
    assert Image.open(out).width > 5 * 320


def test_numbers_of_pixels(folder, tmp_path, capsys):
    out = tmp_path / "found.json"
    assert run(folder, "--query", folder / "3.png", "--out", out, "--k", 100) == 0
    assert "8 of Neighbours(8 pictures by pixels)" in capsys.readouterr().out
    found = json.loads(out.read_text())
    (row,) = found["neighbours"]
    assert found["file"] == str(folder / "3.png") and len(row) == 8
    assert row[0]["file"] == str(folder / "3.png")


def test_broken_files_are_counted(folder, tmp_path, capsys):
    for i in range(5):
        (folder / f"{i}.png").write_text("no picture")
    assert run(folder, "--query", folder / "7.png", "--out", tmp_path / "found.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("left out")] == [
        f"left out: {folder / '0.png'} is not an image that can be read",
        f"left out: {folder / '1.png'} is not an image that can be read",
        f"left out: {folder / '2.png'} is not an image that can be read",
        "left out: 2 more files that cannot be read",
    ]
    assert "3 of Neighbours(3 pictures" in lines[-1]


def test_an_index_is_kept(folder, weights, tmp_path, capsys, monkeypatch):
    index, out = tmp_path / "index.safetensors", tmp_path / "found.png"
    (folder / "1.png").write_text("no picture")
    arguments = [folder, "--query", folder / "3.png", "--weights", weights, "--out", out]
    assert run(*arguments, "--index", index) == 0 and index.exists()
    first, written = capsys.readouterr().out, index.read_bytes()
    monkeypatch.chdir(tmp_path)  # from anywhere, and by another way to the folder
    arguments[0] = "photos"
    assert run(*arguments, "--index", index) == 0
    assert capsys.readouterr().out == first and index.read_bytes() == written
    (folder / "5.png").unlink()
    assert run(*arguments, "--index", index) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{index} is of other files: made anew") and "6 pictures" in told
    assert run(*arguments, "--index", index, "--layer", "layer1") == 0
    assert "is of layer4 by l2: made anew" in capsys.readouterr().out
    assert run(*arguments, "--index", index, "--layer", "layer1", "--metric", "cosine") == 0
    assert "is of layer1 by l2: made anew" in capsys.readouterr().out


def test_an_index_of_another_model(folder, weights, tmp_path, capsys):
    index, out = tmp_path / "index.safetensors", tmp_path / "found.png"
    arguments = [folder, "--query", folder / "3.png", "--index", index, "--out", out]
    assert run(*arguments) == 0
    assert run(*arguments, "--weights", weights) == 2
    assert f"{index} was made by pixels, and model is resnet18" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--layer", "layer9", "--weights", "W"], "layer: the model has no 'layer9': did you"),
        (["--layer", "layer2"], "--layer layer2 needs --model NAME or --weights FILE"),
        (["--k", 0], "k must be 1 to the 8 of the database, got 0"),
        (["--query", "no.jpg"], "there is no file or folder no.jpg"),
        (["--query", "photos"], "--query must be one picture, and photos are 8"),
        (["--out", "a.txt"], "path must end in .json or an image's suffix, got 'a.txt'"),
        (["--index", "a.npz"], "--index a.npz must end in .safetensors"),
    ],
)
def test_mistakes(arguments, sentence, folder, weights, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [weights if a == "W" else a for a in arguments]
    assert run(folder, "--query", folder / "3.png", *given) == 2
    told = capsys.readouterr().err
    assert told.startswith("fastcv explain: ") and sentence in told and told.count("\n") == 1


def test_an_empty_folder(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", "--query", "x.png") == 2
    assert "has no images" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["folder", "map.xyz", "", ".png"])
def test_what_cannot_be_written_is_told_first(out, capsys):
    """Before the folder is read: it is not there."""
    arguments = ["neighbours", "none", "--query", "none.png", "--out", out]
    assert cli.main(["explain", *arguments]) == 2
    assert f"path must end in .json or an image's suffix, got {out!r}" in capsys.readouterr().err
