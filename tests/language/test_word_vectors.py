"""Nearest words, analogies, and the files of word vectors."""

import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import parquet
from real_weights import real_weights
from safetensors.torch import save_file

from fastcv import cli
from fastcv.language import WordVectors, read_numpy_vectors, read_word2vec, write_word2vec
from fastcv.metrics import evaluate_analogies, read_analogies


def some(count=30, dim=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    words = [f"w{i}" for i in range(count)]
    return WordVectors(words, torch.randn(count, dim, generator=g))


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def test_nearest_by_sorting_all():
    vectors = some()
    for word in ("w0", "w17"):
        by_cosine = sorted(
            (w for w in vectors.words if w != word),
            key=lambda w: -cosine(vectors[word], vectors[w]),
        )
        found = vectors.nearest(word, k=5)
        assert [w for w, _ in found] == by_cosine[:5]
        for w, value in found:
            assert value == pytest.approx(cosine(vectors[word], vectors[w]), abs=1e-6)
    assert vectors.nearest("w0", k=1, exclude=[by_cosine[0]])[0][0] != by_cosine[0]
    assert vectors.nearest(vectors["w3"] * 7, k=1)[0][0] == "w3"
    assert len(vectors.nearest("w0", k=99)) == 29


@pytest.mark.parametrize("method", ["add", "mul"])
def test_analogies_by_the_formula(method):
    vectors = some()
    units = vectors.vectors / vectors.vectors.norm(dim=1, keepdim=True)

    def score(a, b, c, d):
        a, b, c, d = (units[int(w[1:])] for w in (a, b, c, d))
        if method == "add":  # the sum of three cosines, but for the length of b - a + c
            return float(d @ b - d @ a + d @ c) / float((b - a + c).norm())
        of_a, of_b, of_c = ((1 + float(d @ x)) / 2 for x in (a, b, c))
        return of_b * of_c / (of_a + 1e-6)

    for asked in (("w1", "w2", "w3"), ("w9", "w4", "w9")):
        found = vectors.analogy(*asked, k=30, method=method)
        assert {w for w, _ in found} == set(vectors.words) - set(asked)
        assert [w for w, _ in found] == sorted(
            (w for w, _ in found), key=lambda w: -score(*asked, w)
        )
        for w, value in found:
            assert value == pytest.approx(score(*asked, w), rel=1e-4, abs=1e-5)
    with pytest.raises(ValueError, match="method must be 'add' or 'mul', got 'sub'"):
        vectors.analogy("w1", "w2", "w3", method="sub")


def test_accuracy_is_that_of_asking_one_by_one():
    vectors = some(count=8, dim=2)
    words = vectors.words
    questions = [(a, b, c, d) for a in words for b in words for c in words for d in words[:3]]
    questions = [q for q in questions if len(set(q)) == 4]
    found = evaluate_analogies(vectors, {"all of them": questions, "none": [("x", *"abc")]})
    right = sum(vectors.analogy(a, b, c, k=1)[0][0] == d for a, b, c, d in questions)
    assert found == {
        "all of them": right / len(questions),
        "all": right / len(questions),
        "asked": len(questions),
    }
    assert 0 < right < len(questions)


def test_files_of_analogies(tmp_path):
    path = tmp_path / "questions.txt"
    path.write_text(": capital\nAthens Greece Oslo Norway\n\n: family\nboy girl he she\n")
    assert read_analogies(path) == {
        "capital": [("athens", "greece", "oslo", "norway")],
        "family": [("boy", "girl", "he", "she")],
    }
    path.write_text(": family\nboy girl he\n")
    with pytest.raises(ValueError, match=r"questions.txt:2 must be ': section' or four words"):
        read_analogies(path)


def test_spellings_are_suggested():
    vectors = WordVectors(["queen", "quern", "king", "고양이"], torch.eye(4))
    with pytest.raises(ValueError, match="the word 'quen': did you mean 'quern', 'queen'"):
        vectors.nearest("quen")
    with pytest.raises(ValueError, match=r"no vector of the word 'xyz'$"):
        vectors.analogy("king", "xyz", "queen")
    with pytest.raises(ValueError, match="did you mean '고양이'"):
        vectors["고양"]
    assert "king" in vectors and "man" not in vectors and len(vectors) == 4


@pytest.mark.parametrize(
    ("words", "vectors", "message"),
    [
        (["a", "b"], torch.zeros(3, 2), "2 words, and 3 vectors"),
        (["a", "b", "a"], torch.zeros(3, 2), "'a' is there again"),
        (["a"], torch.zeros(1), r"of shape \[V, D\], got torch.float32 \[1\]"),
        (["a"], torch.zeros(1, 2, dtype=torch.int64), "must be floating point"),
    ],
)
def test_bad_vectors(words, vectors, message):
    with pytest.raises(ValueError, match=message):
        WordVectors(words, vectors)


WORDS = ["a", "고양이", "naïve", "12", "-"]


def test_safetensors(tmp_path):
    vectors = WordVectors(WORDS, torch.randn(5, 3, dtype=torch.float64))
    path = tmp_path / "new" / "v.safetensors"
    vectors.save(path)
    loaded = WordVectors.load(path)
    assert loaded.words == vectors.words and torch.equal(loaded.vectors, vectors.vectors)
    with pytest.raises(ValueError, match=r"must end in .safetensors, got 'v.bin'"):
        vectors.save(tmp_path / "v.bin")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        WordVectors.load(tmp_path / "none.safetensors")
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"is no .safetensors that can be read"):
        WordVectors.load(path)
    save_file({"vectors": torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match="has no word vectors"):
        WordVectors.load(path)
    save_file({"vectors": torch.zeros(2, 2)}, path, {"words": '["a"]'})
    with pytest.raises(ValueError, match=r"v.safetensors: .* 1 words, and 2 vectors"):
        WordVectors.load(path)


def test_text_files(tmp_path):
    vectors = WordVectors(WORDS, torch.randn(5, 3))
    path = tmp_path / "v.txt"
    write_word2vec(path, vectors)
    assert path.read_text("utf-8").startswith("5 3\na ")
    loaded = read_word2vec(path)
    assert loaded.words == vectors.words and torch.equal(loaded.vectors, vectors.vectors)
    lines = path.read_text("utf-8").split("\n", 1)[1]
    path.write_text(lines, "utf-8")  # GloVe's
    assert torch.equal(read_word2vec(path).vectors, vectors.vectors)
    with pytest.raises(ValueError, match="'a b' has one"):
        write_word2vec(path, WordVectors(["a b"], torch.zeros(1, 2)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a word and its vector"),
        ("2 2\na 1 2\n", "must have 2 words, as its first line says: 1"),
        ("1 2\na 1 2 3\n", ":2 must be a word and 2 numbers"),
        ("a 1 2\nb 1\n", ":2 must be a word and 2 numbers"),
        ("a 1 2\nb 1 x\n", ":2 must be a word and 2 numbers"),
        ("a 1 2\na 1 2\n", "'a' is there again"),
        (b"\xff\xfe\x00", "must be a text file in UTF-8"),
    ],
)
def test_broken_text_files(tmp_path, text, message):
    path = tmp_path / "v.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        read_word2vec(path)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize("words", ["v.txt", "index.parquet", "other.txt"])
def test_numpy_files(tmp_path, words, dtype):
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(dtype)
    np.save(tmp_path / "v.npy", rows)
    if words.endswith(".txt"):
        (tmp_path / words).write_text("\n".join(WORDS) + "\n", "utf-8")
    else:
        parquet.write_table(pyarrow.table({"index": WORDS}), tmp_path / words)
    vectors = read_numpy_vectors(tmp_path / "v.npy")
    assert vectors.words == tuple(WORDS)
    assert vectors.vectors.dtype == (torch.float64 if dtype == "<f8" else torch.float32)
    assert vectors.vectors.tolist() == rows.astype(float).tolist()
    chosen = read_numpy_vectors(tmp_path / "v.npy", tmp_path / words)
    assert torch.equal(chosen.vectors, vectors.vectors)


def test_the_words_of_the_arrays_name_come_first(tmp_path):
    np.save(tmp_path / "v.npy", np.eye(2))
    (tmp_path / "v.txt").write_text("a\nb")
    (tmp_path / "w.txt").write_text("c\nd")
    assert read_numpy_vectors(tmp_path / "v.npy").words == ("a", "b")


def test_broken_numpy_files(tmp_path):
    path, words = tmp_path / "v.npy", tmp_path / "w.txt"

    def refused(message, array=None):
        if array is not None:
            np.save(path, array, allow_pickle=True)
        with pytest.raises(ValueError, match=message):
            read_numpy_vectors(path)

    with pytest.raises(FileNotFoundError):
        read_numpy_vectors(path)
    path.write_bytes(b"")
    refused("must be a .npy of numbers")
    path.write_bytes(b"nothing")
    refused("must be a .npy of numbers")
    refused("must be a .npy of numbers", np.array([{}, 1], dtype=object))  # pickled
    refused(r"\[V, D\], floating point: \(2,\)", np.ones(2))
    refused("floating point", np.ones((2, 2), dtype=int))
    refused("must lie beside .*v.npy: none", np.eye(2))
    words.write_text("a")
    refused("v.npy and w.txt: .*1 words, and 2 vectors")
    words.write_bytes(b"\xff\xfe")
    refused("w.txt must be a text file in UTF-8")
    (tmp_path / "x.parquet").write_bytes(b"nothing")
    refused("beside .*: w.txt, x.parquet")
    words.unlink()
    refused("x.parquet must be a Parquet file")
    for columns in ({"a": [1, 2]}, {"a": ["x", "y"], "b": ["x", "y"]}, {"a": ["x", None]}):
        parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
        refused("must have one column, of words")


def test_glove_knows_a_queen(capsys):
    path = real_weights("glove")
    vectors = read_numpy_vectors(path)
    assert vectors.vectors.shape == (400_000, 50) and vectors.words[:2] == ("the", ",")
    assert vectors.analogy("man", "king", "woman", k=1)[0][0] == "queen"
    assert vectors.nearest("blue", k=1)[0][0] == "red"
    arguments = ["analogy", "man", "king", "woman", "--weights", path, "-k", "1"]
    assert cli.main(["words", *arguments]) == 0
    assert capsys.readouterr().out.split()[1] == "queen"
