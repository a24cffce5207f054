"""``fastcv ask``, and ``fastcv evaluate --vqa``."""

import json

import pytest
import torch
from PIL import Image

import fastcv
from fastcv import cli


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    model = fastcv.create_model(
        "vqa_lstm_cnn",
        words=("what", "colour", "is", "it"),
        classes=("red", "blue"),
        image_encoder="small",
        width=4,
        image_size=32,
        features=8,
        hidden_size=8,
        common_size=8,
    )
    fastcv.save_model(tmp_path / "m.safetensors", model)
    for name in ("a_1.png", "b_2.png"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    return tmp_path


def ask(folder, *arguments):
    paths = [str(folder / x) if x.endswith((".png", ".json", "/")) else x for x in arguments]
    return cli.main(["ask", *paths, "--weights", str(folder / "m.safetensors"), "--device", "cpu"])


def test_one_question(folder, capsys):
    assert ask(folder, "a_1.png", "what colour is it?", "--out", "o.png", "--json", "o.json") == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{folder / 'a_1.png'}: Answer(what colour is it? ")
    (row,) = json.loads((folder / "o.json").read_text())
    assert row["question"] == "what colour is it?" and row["answer"] in ("red", "blue")
    assert row["file"] == str(folder / "a_1.png")
    with Image.open(folder / "o.png") as drawing:
        assert drawing.width == 320


def test_several_of_both(folder, capsys):
    code = ask(
        folder, "a_1.png", "b_2.png", "what is it", "--also", "what colour", "--out", "drawn/"
    )
    assert code == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    names = sorted(path.name for path in (folder / "drawn").iterdir())
    assert names == ["a_1_1.png", "a_1_2.png", "b_2_1.png", "b_2_2.png"]


def test_a_broken_picture(folder, capsys):
    (folder / "c.png").write_text("no picture")
    assert ask(folder, "a_1.png", "c.png", "what is it", "--json", "o.json") == 1
    assert f"{folder / 'c.png'} is not an image" in capsys.readouterr().err
    rows = json.loads((folder / "o.json").read_text())
    assert ["error" in row for row in rows] == [False, True]
    assert ask(folder, "c.png", "what is it") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a_1.png", ""), "a question's text must have a word, got ''"),
        (("a_1.png", "무엇"), "a question's text must have a word that is known"),
        (("a_1.png", "what", "--also", "what"), "the questions must differ"),
        (("a_1.png", "what", "--also", "is it", "--out", "o.png"), "is one file for 2 questions"),
        (("a_1.png", "what", "--out", "a_1.png"), "would overwrite the image"),
        (("none.png", "what"), "there is no file or folder"),
        (("a_1.png", "what", "--font", "x.ttf"), "--font is of drawings"),
    ],
)
def test_what_cannot_be(folder, capsys, arguments, words):
    assert ask(folder, *arguments) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


def test_other_models(folder, capsys):
    path = folder / "lenet.safetensors"
    fastcv.save_model(path, fastcv.create_model("lenet5"))
    assert cli.main(["ask", str(folder / "a_1.png"), "what", "--weights", str(path)]) == 2
    assert "lenet5 answers no questions: `fastcv models --task vqa`" in capsys.readouterr().err
    weights = str(folder / "m.safetensors")
    assert cli.main(["predict", str(folder / "a_1.png"), "--weights", weights]) == 2
    assert "`fastcv ask` runs it" in capsys.readouterr().err


def test_evaluate(folder, capsys):
    (folder / "q.json").write_text(
        json.dumps({"questions": [{"question_id": 5, "image_id": 1, "question": "what is it?"}]})
    )
    answers = [{"answer": "red"}] * 5 + [{"answer": "blue"}] * 5
    (folder / "a.json").write_text(
        json.dumps({"annotations": [{"question_id": 5, "answers": answers}]})
    )
    out = folder / "metrics.json"
    vqa = ("--vqa", str(folder), str(folder / "q.json"), str(folder / "a.json"))
    code = cli.main(
        ["evaluate", "--weights", str(folder / "m.safetensors"), "--json", str(out), *vqa]
    )
    assert code == 0
    assert json.loads(out.read_text()) == {"accuracy": 1.0, "other": 1.0, "answerable": 1.0}
    assert "accuracy" in capsys.readouterr().out
