"""Training word vectors: what is the same at every run, and what users get wrong."""

import os
import signal

import pytest
import torch

from fastcv.language import read_sentences, word2vec
from fastcv.language.negative_sampling import Corpus

TEXT = [f"a{i % 7} b{i % 7} c{i % 5} a{(i + 1) % 7}".split() for i in range(300)]
FEW = dict(dim=12, epochs=2, min_count=1, progress=False)


def test_the_same_bits_at_every_run_and_for_any_threads():
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append(word2vec(TEXT, **FEW).vectors)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    assert not torch.equal(found[0], word2vec(TEXT, **FEW, seed=1).vectors)


def test_neighbours_are_learnt():
    """b3 is beside a3 and a4 alone."""
    vectors = word2vec(TEXT, **FEW | dict(epochs=60, lr=0.05), sample=0)
    assert {word for word, _ in vectors.nearest("b3", k=2)} <= {"a3", "a4", "b2", "b4"}
    assert vectors.vectors.shape == (19, 12) and vectors.vectors.isfinite().all()


def test_corpus():
    corpus = Corpus.of([["x", "y", "x"], ["z", "x", "y"]], min_count=2)
    assert corpus.words == ("x", "y") and corpus.counts.tolist() == [3, 2]
    assert corpus.ids.tolist() == [0, 1, 0, -1, 0, 1, -1]
    assert corpus.pieces(5) == [(0, 4), (4, 7)]
    assert corpus.pieces(2) == [(0, 2), (2, 4), (4, 6), (6, 7)]  # longer sentences are cut
    assert corpus.pieces() == [(0, 7)]


def test_ctrl_c_keeps_what_was_learnt(monkeypatch):
    import fastcv.language.negative_sampling as module

    calls = []

    def interrupted(*args, **options):
        calls.append(options["position"])
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(*args, **options)

    step = module.sgns_step
    monkeypatch.setattr(module, "sgns_step", interrupted)
    monkeypatch.setattr(module, "PIECE", 100)
    corpus = Corpus.of(TEXT, 1)
    monkeypatch.setattr(Corpus, "pieces", lambda self, size: [(0, 700), (700, 1500)])
    with pytest.warns(UserWarning, match="stopped after 2200 of 3000 words"):
        vectors = word2vec(corpus, **FEW)
    assert calls == [0, 700, 1500] and len(vectors) == 19


def test_the_step_falls_evenly(monkeypatch):
    import fastcv.language.negative_sampling as module

    steps = []

    def noted(*args, **options):
        steps.append(options["lr"])
        return torch.zeros(()), torch.zeros(())

    monkeypatch.setattr(module, "sgns_step", noted)
    monkeypatch.setattr(Corpus, "pieces", lambda self, size: [(0, 500), (500, 1500)])
    word2vec(TEXT, **FEW, lr=0.3, min_lr=0.0)
    assert steps == pytest.approx([0.3, 0.25, 0.15, 0.1])


@pytest.mark.parametrize(
    ("sentences", "options", "message"),
    [
        ([], {}, "sentences must have two words that are there 5 times or more, they have 0"),
        ([["a"] * 9, ["b"] * 4], {}, "they have 1: pass more text, or a smaller min_count"),
        (["a text", "b"], {}, "sentences must be lists of words, one is a string"),
        (TEXT, {"dim": 0}, "dim must be 1 or more, got 0"),
        (TEXT, {"window": 0}, "window must be 1 or more, got 0"),
        (TEXT, {"epochs": 0}, "epochs must be 1 or more, got 0"),
        (TEXT, {"negative": -1}, "negative must be 0 or more, got -1"),
        (TEXT, {"sample": -1}, "sample must be 0 or more, got -1"),
    ],
)
def test_bad_arguments(sentences, options, message):
    with pytest.raises(ValueError, match=message):
        word2vec(sentences, progress=False, **options)


def test_read_sentences(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("One cat.\n\n고양이 두 마리\n", "utf-8")
    assert read_sentences(path) == [["one", "cat", "."], ["고양이", "두", "마리"]]
    for empty in ("", "\n \n"):
        path.write_text(empty)
        with pytest.raises(ValueError, match=r"text.txt must have a word, and has none"):
            read_sentences(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"text.txt must be a text file in UTF-8"):
        read_sentences(path)
    with pytest.raises(FileNotFoundError):
        read_sentences(tmp_path / "none.txt")


def gensim_word2vec():
    return pytest.importorskip("gensim.models", reason="gensim is not installed").Word2Vec


def test_losses_of_gensims_vectors_and_ours():
    """On the planted text both learn the same: nearest words agree."""
    from fastcv.data.planted_words import planted_sentences, planted_words

    text = planted_sentences(8000)
    theirs = gensim_word2vec()(
        text, vector_size=30, sg=1, workers=1, epochs=5, sample=0, alpha=0.05, seed=1
    )
    ours = word2vec(text, dim=30, epochs=5, sample=0, lr=0.05, progress=False)
    shared = 0
    for word in planted_words():
        near = {w for w, _ in ours.nearest(word, 5)}
        shared += len(near & {w for w, _ in theirs.wv.most_similar(word, topn=5)})
    assert shared / (5 * len(planted_words())) > 0.5
