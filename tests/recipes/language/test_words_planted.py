"""The planted text, and that word2vec finds its relations."""

from collections import Counter

import pytest
import torch

from fastcv import recipes
from fastcv.data.planted_words import planted_questions, planted_sentences, planted_words
from fastcv.language import WordVectors


def test_the_text_says_what_is_planted():
    words = planted_words()
    assert len(words) == 8 * 4 + 16
    sentences = planted_sentences(500)
    assert sentences == planted_sentences(500) != planted_sentences(500, seed=1)
    for sentence in sentences:
        assert len(sentence) == 7
        around = Counter(sentence)
        around.subtract([sentence[3]])
        groups = [set(group.split()) for group in words[sentence[3]]]
        for group in groups:
            assert sum(n for word, n in around.items() if word in group) == 6 // len(groups)


def test_each_question_has_one_answer():
    """One group taken from c and another put in its place, as from a to b: that is d alone."""
    words = {word: frozenset(groups) for word, groups in planted_words().items()}
    assert len(set(words.values())) == len(words)
    for asked in planted_questions().values():
        for question in asked:
            a, b, c, d = (words[word] for word in question)
            assert len(a - b) == len(b - a) == 1
            assert (c - (a - b)) | (b - a) == d
    assert planted_questions()["number"][0] == ("man", "men", "woman", "women")


def test_the_recipe_reaches_its_level(tmp_path):
    recipe = recipes.get("words_planted")
    found = recipe.train(tmp_path, device="cpu")
    assert found.keys() == recipe.level.metrics.keys()
    assert all(share >= 0.95 for share in found.values()), found
    vectors = WordVectors.load(tmp_path / "words_planted.safetensors")
    assert vectors.words == recipe.build().classes
    for method in ("add", "mul"):
        assert vectors.analogy("man", "king", "woman", k=1, method=method)[0][0] == "queen"
        assert vectors.analogy("korea", "seoul", "italy", k=1, method=method)[0][0] == "rome"
    with pytest.raises(ValueError, match="the word 'quen': did you mean 'queen'"):
        vectors["quen"]
    assert torch.isfinite(vectors.vectors).all()
