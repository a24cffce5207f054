"""fastcv words."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fastcv import cli
from fastcv.language import WordVectors, write_word2vec

VECTORS = WordVectors(
    ["man", "woman", "king", "queen"],
    torch.tensor([[1.0, 0, 0], [1, 1, 0], [2, 0, 1], [2, 1, 1]]),
)


@pytest.fixture(params=["v.safetensors", "v.txt", "v.npy"])
def weights(tmp_path, request):
    path = tmp_path / request.param
    if path.suffix == ".txt":
        write_word2vec(path, VECTORS)
    elif path.suffix == ".npy":
        np.save(path, VECTORS.vectors.numpy())
        path.with_suffix(".txt").write_text("\n".join(VECTORS.words))
    else:
        VECTORS.save(path)
    return str(path)


def test_nearest(weights, tmp_path, capsys):
    out = tmp_path / "near.json"
    assert cli.main(["words", "nearest", "king", "--weights", weights, "-k", "2",
                     "--json", str(out)]) == 0  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["queen", "man"]
    assert [word for word, _ in json.loads(out.read_text())["king"]] == ["queen", "man"]
    assert cli.main(["words", "nearest", "king", "man", "--weights", weights]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "king:"


@pytest.mark.parametrize("method", ["add", "mul"])
def test_analogy(weights, capsys, method):
    arguments = ["analogy", "man", "king", "woman", "--weights", weights, "--method", method]
    assert cli.main(["words", *arguments]) == 0
    assert capsys.readouterr().out.split()[1] == "queen"


def test_train(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("The cat sat.\nThe dog sat.\n고양이 sat.\n" * 6, "utf-8")
    out = str(tmp_path / "v.safetensors")
    assert cli.main(["words", "train", str(text), "--out", out, "--dim", "8"]) == 0
    assert "WordVectors of 6 words, 8 numbers each" in capsys.readouterr().out
    assert WordVectors.load(out)["고양이"].shape == (8,)


def test_sentences_for_what_cannot_be(tmp_path, capsys, weights):
    empty, broken = tmp_path / "empty.txt", tmp_path / "broken.safetensors"
    empty.touch()
    save_file({"vectors": torch.zeros(3, 2)}, broken, {"words": '["a", "b"]'})
    out = ["--out", str(tmp_path / "o.safetensors")]
    for arguments, sentence in [
        (["train", str(empty), *out], f"{empty} must have a word, and has none"),
        (["train", str(tmp_path / "no.txt"), *out], "no.txt: no such file"),
        (["train", str(empty), "--out", "v.bin"], "--out must end in .safetensors, got v.bin"),
        (["nearest", "quen", "--weights", weights], "'quen': did you mean 'queen'?"),
        (["nearest", "a", "--weights", str(broken)], "2 words, and 3 vectors"),
        (["analogy", "a", "b", "c", "--weights", str(tmp_path / "no.txt")], "no such file"),
        (["nearest", "a", "--weights", str(empty)], "must have a word and its vector"),
    ]:
        assert cli.main(["words", *arguments]) == 2
        told = capsys.readouterr().err
        assert told.startswith("fastcv words: ") and sentence in told and told.count("\n") == 1


def test_help_lists_it_in_its_chapter(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    chapters = capsys.readouterr().out.split("\n\n")
    assert any(chapter.startswith("Language:\n  words ") for chapter in chapters)
