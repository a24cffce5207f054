"""``fastcv search``: what it prints, draws and writes is what the model ranks."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv import cli, create_model, load_model, save_model

WORDS = ["a", "red", "seven", "two", "three", "on", "grass", "빨강"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("joint") / "small.safetensors"
    torch.manual_seed(0)
    model = create_model(
        "vsepp_resnet18", width=8, embedding_size=12, word_size=6, words=WORDS
    ).eval()
    model.preprocessing = {**model.preprocessing, "resize": 32, "crop": 32}
    save_model(path, model)
    return str(path)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 32 + i, 3), np.uint8)
        Image.fromarray(pixels // (i + 1)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("a red seven\n\ntwo on grass\n빨강\n", "utf-8")
    return path


def lines_of(ranking):
    return [f"{score:6.3f}  {ranking.name(i)}" for i, score in enumerate(ranking.scores.tolist())]


def test_pictures_of_a_text(weights, photos, tmp_path, capsys):
    out, told = tmp_path / "ranking.png", tmp_path / "ranking.json"
    arguments = ["search", "a red seven", str(photos), "--weights", weights, "-k", "3"]
    assert cli.main([*arguments, "--out", str(out), "--json", str(told)]) == 0
    (expected,) = load_model(weights).search("a red seven", sorted(photos.iterdir()), k=3)
    assert capsys.readouterr().out.splitlines() == lines_of(expected)
    assert json.loads(told.read_text("utf-8")) == expected.to_dict()
    with Image.open(out) as drawing:
        assert np.array_equal(np.asarray(drawing), np.asarray(expected.draw()))


def test_texts_of_a_picture(weights, photos, texts, tmp_path, capsys):
    out = tmp_path / "ranking.jpg"
    picture = str(photos / "1.png")
    arguments = ["search", picture, str(texts), "--weights", weights, "--out", str(out)]
    assert cli.main(arguments) == 0
    known = ["a red seven", "two on grass", "빨강"]
    (expected,) = load_model(weights).predict(picture, texts=known)
    assert capsys.readouterr().out.splitlines() == lines_of(expected)
    assert out.is_file()


def test_an_analogy(weights, photos, capsys):
    picture = str(photos / "1.png")
    change = ["--minus", "seven", "--plus", "three"]
    assert cli.main(["search", picture, str(photos), "--weights", weights, *change]) == 0
    expected = load_model(weights).analogy(
        picture, minus="seven", plus="three", gallery=sorted(photos.iterdir())
    )
    assert capsys.readouterr().out.splitlines() == lines_of(expected)


def test_broken_pictures_are_told(weights, photos, capsys):
    (photos / "broken.png").write_bytes(b"no picture")
    assert cli.main(["search", "two", str(photos), "--weights", weights]) == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 4 and "broken.png is not an image" in told.err


def test_lines_that_are_not_understood_are_counted(weights, photos, texts, capsys):
    texts.write_bytes(b"two\ncat\nhund\n" + b"\xff\xfe\n" + "빨강\n".encode())
    arguments = ["search", str(photos / "0.png"), str(texts), "--weights", weights]
    with pytest.warns(UserWarning, match="1 lines are no UTF-8 and were left out"):
        assert cli.main(arguments) == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2
    assert "2 of 4 lines have no word that the model knows and are left out" in told.err


def test_predict_takes_texts(weights, photos, texts, capsys):
    picture = str(photos / "0.png")
    arguments = ["predict", picture, "--weights", weights, "--texts", str(texts)]
    assert cli.main(arguments) == 0
    assert f"{picture}: Ranking(3 texts, best " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["predict", picture, "--weights", weights, "--texts", "none.txt"])
    assert "there is no file none.txt" in capsys.readouterr().err
    assert cli.main(["predict", picture, "--weights", weights]) == 2
    assert "texts must be given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cat", "PHOTOS"], "a word that is known, and none of 'cat'"),
        (["", "PHOTOS"], "text must have a word, got ''"),
        (["none.png", "PHOTOS"], "there is no image none.png"),
        (["two", "nowhere"], "there is no file or folder nowhere"),
        (["two", "PHOTOS", "--out", "ranking.txt"], "--out must be an image file"),
        (["two", "PHOTOS", "--json", "."], "--json must be a file"),
        (["two", "PHOTOS", "--font", "none.ttf", "--out", "a.png"], "font must be a font file"),
        (["two", "PHOTOS", "--minus", "two", "--plus", "three"], "'two' is a text"),
        (["PHOTOS/0.png", "PHOTOS", "--minus", "two"], "--minus and --plus go together"),
        (["PHOTOS/0.png", "none.txt"], "there is no file none.txt"),
        (["PHOTOS/0.png", "a.txt", "b.txt"], "pass one file of them"),
        (["PHOTOS/0.png", "EMPTY"], "has no text"),
        (["PHOTOS/0.png", "STRANGE"], "2 of 2 lines have no word that the model knows"),
    ],
)
def test_what_cannot_be(arguments, sentence, weights, photos, tmp_path, capsys):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "strange.txt").write_text("cat\ndog\n")
    places = {
        "PHOTOS": photos,
        "EMPTY": tmp_path / "empty.txt",
        "STRANGE": tmp_path / "strange.txt",
    }
    for name, path in places.items():
        arguments = [argument.replace(name, str(path)) for argument in arguments]
    assert cli.main(["search", *arguments, "--weights", weights]) == 2
    told = capsys.readouterr()
    assert sentence in told.err and len(told.err.splitlines()) == 1 and not told.out


def test_a_model_of_another_task(photos, tmp_path, capsys):
    path = tmp_path / "resnet.safetensors"
    save_model(path, create_model("resnet18", num_classes=2, width=8))
    assert cli.main(["search", "two", str(photos), "--weights", str(path)]) == 2
    assert "resnet18 embeds no texts" in capsys.readouterr().err


def test_help_lists_it(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "\n  search  " in capsys.readouterr().out
