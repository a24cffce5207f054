"""Search both ways, tags and analogies, by a model whose vectors are colours."""

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.language import Vocabulary
from fastcv.models.language._joint_embedding import JointEmbedding

COLOURS = ("red", "green", "blue")


class Colours(JointEmbedding):
    """A picture's vector is its mean colour, a text's the number of times it says each."""

    def __init__(self):
        super().__init__()
        self.vocabulary = Vocabulary([*COLOURS, "and", "빨강"])
        self.scale = torch.nn.Parameter(torch.tensor(3.0))  # lengths do not matter
        self.calls = []

    def encode_images(self, images):
        return self.scale * torch.stack([image.mean((1, 2)) for image in images])

    def encode_texts(self, texts):
        ids, lengths = texts
        assert lengths.tolist() == [int((row != 0).sum()) for row in ids]
        self.calls.append(len(ids))
        counts = [(ids == self.vocabulary.id_of(word)).sum(1) for word in COLOURS]
        counts[0] = counts[0] + (ids == self.vocabulary.id_of("빨강")).sum(1)
        return torch.stack(counts, 1).float()


def plain(*colour):
    return torch.tensor(colour)[:, None, None].expand(3, 4, 5).float()


RED, GREEN, BLUE, YELLOW = plain(1, 0, 0), plain(0, 1, 0), plain(0, 0, 1), plain(1, 1, 0)
GALLERY = [BLUE, YELLOW, RED, GREEN]


@pytest.fixture
def model():
    return Colours()


@pytest.fixture
def files(tmp_path):
    paths = []
    for name, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        paths.append(tmp_path / f"{name}.png")
        Image.new("RGB", (6, 4), colour).save(paths[-1])
    return paths


def test_vectors_have_length_one(model):
    torch.testing.assert_close(
        model.embed_images([YELLOW])[0], torch.tensor([0.5, 0.5, 0]) * 2**0.5
    )
    found = model.embed_texts(["red red green", "blue"])
    torch.testing.assert_close(found, torch.tensor([[2 / 5**0.5, 1 / 5**0.5, 0], [0, 0, 1]]))
    assert model.embed_texts("red").shape == (1, 3)


def test_pictures_of_a_text(model):
    (found,) = model.search("red", GALLERY, k=3)
    assert found.indices.tolist()[:2] == [2, 1] and found.text == "red"
    assert found.scores.tolist() == pytest.approx([1, 0.5**0.5, 0])
    assert found.pictures[0] is RED and found.texts is None
    both = model.search(["blue", "red and green"], GALLERY)
    assert [len(one) for one in both] == [4, 4]  # more are asked for than there are
    assert [one.pictures[0] is best for one, best in zip(both, (BLUE, YELLOW), strict=True)]
    assert [int(one.indices[0]) for one in both] == [0, 1]


def test_texts_of_a_picture(model, files):
    texts = ["green", "red and blue", "red"]
    for found in (
        model.predict(files[1], texts=texts, k=2),
        [model.predict(RED, texts=texts, k=2)[0]],
    ):
        assert found[0].texts == ["red", "red and blue"] and found[0].indices.tolist() == [2, 1]
        assert found[0].scores.tolist() == pytest.approx([1, 0.5**0.5])
    (found,) = model.predict(files[1], texts=texts)
    assert found.source == str(files[1]) and found.image_size == (4, 6)
    (found,) = model.predict(RED, texts="red")  # one text is a candidate too
    assert found.texts == ["red"]


def test_candidates_are_embedded_once(model):
    texts = model.index_texts(["red", "green"])
    model.calls.clear()
    assert len(model.predict([RED, GREEN, BLUE], texts=texts)) == 3 and not model.calls
    assert len(model.predict([RED, GREEN, BLUE], texts=["red", "green"], batch_size=1)) == 3
    assert model.calls == [2]
    pictures = model.index_images(GALLERY)
    assert len(pictures) == 4 and pictures.items[1] is YELLOW
    assert int(model.search("blue", pictures)[0].indices[0]) == 0


def test_many_texts_are_embedded_in_parts(model):
    texts = ["red", "green", "blue"] * 100
    found = model.embed_texts(texts)
    assert model.calls == [256, 44]
    torch.testing.assert_close(found, torch.eye(3).repeat(100, 1))


def test_training_flags_are_put_back(model):
    model.train()
    model.search("red", GALLERY)
    assert model.training


def test_rank_is_by_cosine(model):
    rng = np.random.default_rng(0)
    queries, candidates = rng.normal(size=(5, 7)), rng.normal(size=(11, 7))
    scores, indices = model.rank(torch.tensor(queries), torch.tensor(candidates), 4)
    for q, query in enumerate(queries):
        cosines = [query @ c / (np.linalg.norm(query) * np.linalg.norm(c)) for c in candidates]
        expected = sorted(range(11), key=lambda i: -cosines[i])[:4]
        assert indices[q].tolist() == expected
        assert scores[q].tolist() == pytest.approx([cosines[i] for i in expected], abs=1e-6)


def test_tags_are_words_that_are_near(model):
    words = ("blue", "green", "red")
    assert model.tags([YELLOW, BLUE], words, min_score=0.5) == [("green", "red"), ("blue",)]
    assert model.tags(YELLOW, words, min_score=0.99) == [("green", "red")]  # as near as each other
    assert model.tags(plain(0.9, 0.5, 0), words, min_score=0.99) == [("red",)]  # the best


def test_an_analogy_changes_one_thing(model, files):
    found = model.analogy(YELLOW, minus="red", plus="blue", gallery=[RED, plain(0, 1, 1), YELLOW])
    # (1, 1, 0) / sqrt(2) - (1, 0, 0) + (0, 0, 1) is nearest to (0, 1, 1).
    vector = np.array([0.5**0.5 - 1, 0.5**0.5, 1])
    assert found.indices.tolist()[0] == 1 and found.text == "- red + blue"
    expected = vector @ np.array([0, 1, 1]) / (np.linalg.norm(vector) * 2**0.5)
    assert float(found.scores[0]) == pytest.approx(expected, abs=1e-6)
    found = model.analogy(files[1], minus="red", plus="blue", gallery=files, k=1)
    assert found.source == str(files[1]) and found.pictures == [files[0]]
    assert found.draw().size[0] > 0


def test_broken_pictures_are_noted(model, files, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    index = model.index_images([*files, broken, tmp_path / "none.png"], on_error="note")
    assert list(index.items) == files and len(index.errors) == 2
    assert "broken.png" in str(index.errors[0]) and "none.png" in str(index.errors[1])
    with pytest.raises(FileNotFoundError, match=r"there is no image .*none\.png"):
        model.search("red", [*files, tmp_path / "none.png"])
    with pytest.raises(ValueError, match=r"images must have one that can be read.*broken\.png"):
        model.index_images([broken], on_error="note")


def test_texts_of_any_script_and_form(model):
    decomposed = "\u1108\u1161\u11af\u1100\u1161\u11bc"  # the letters of 빨강 one by one
    torch.testing.assert_close(
        model.embed_texts(["빨강", decomposed]), model.embed_texts(["red", "RED"])
    )


def test_a_long_text_is_cut(model):
    with pytest.warns(UserWarning, match="a text of 10000 words was cut to its first 1000"):
        found = model.embed_texts("red " * 9_000 + "green " * 1_000)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0, 0]]))


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda m: m.embed_texts(""), ValueError, "text must have a word, got ''"),
        (lambda m: m.embed_texts("  \n"), ValueError, "text must have a word"),
        (lambda m: m.embed_texts("cat"), ValueError, "a word that is known, and none of 'cat'"),
        (lambda m: m.embed_texts([]), ValueError, "texts must have at least one, got none"),
        (lambda m: m.embed_texts([7]), TypeError, "a text must be a string, got int"),
        (lambda m: m.embed_images([]), ValueError, "images must have one that can be read"),
        (lambda m: m.predict(RED), ValueError, "texts must be given"),
        (lambda m: m.predict(RED, texts=["red"], k=0), ValueError, "k must be at least 1, got 0"),
        (lambda m: m.search("red", []), ValueError, "images must have one"),
        (lambda m: m.search("red", 7), TypeError, "an image must be a path"),
        (lambda m: m.predict(RED, texts=m.index_images([RED])), ValueError, "index of texts is"),
        (lambda m: m.search("red", m.index_texts(["red"])), ValueError, "index of pictures is"),
        (
            lambda m: m.rank(torch.ones(2, 3), torch.ones(2, 4)),
            ValueError,
            r"\[2, 3\] and \[2, 4\]",
        ),
        (lambda m: m.analogy(RED, minus="", plus="red", gallery=GALLERY), ValueError, "a word"),
    ],
)
def test_what_cannot_be(model, call, kind, sentence):
    with pytest.raises(kind, match=sentence) as error:
        call(model)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200
