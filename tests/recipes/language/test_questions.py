"""The recipes of questions: their words and answers, what leaks, and that small runs are whole."""

from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial

import pytest
import torch

import fastcv
from fastcv import recipes
from fastcv.data import EasyVQA, SceneQuestions
from fastcv.language import tokenize
from fastcv.metrics import prior_accuracy
from fastcv.recipes.language._asked_scenes import ASKED, AskedScenes
from fastcv.recipes.language.scenes_vqa import LEAK


@pytest.fixture(scope="module")
def sets():
    return {leak: AskedScenes("train", 60, leak) for leak in (0.0, LEAK)}


def test_items(sets):
    data = sets[0.0]
    image, questions, answers = data[3]
    assert image.shape == (3, 64, 64) and image.dtype == torch.uint8
    assert len(questions) == len(answers) == ASKED and len(data) == 60
    assert [*zip(questions, answers, strict=True)] == data.asked[3]
    assert data.images is sets[LEAK].images  # drawn once


@pytest.mark.parametrize("leak", [0.0, LEAK])
def test_every_word_and_answer_is_known(sets, leak):
    for question, answer in sets[leak].pairs:
        assert set(tokenize(question)) <= set(SceneQuestions.words), question
        assert answer in SceneQuestions.answers


def test_leaking_questions_tell_their_answers(sets):
    """Of questions that were asked ten times or more, by their most frequent answer."""
    shares = {}
    for leak, data in sets.items():
        answers = defaultdict(Counter)
        for question, answer in data.pairs:
            answers[question][answer] += 1
        often = [counter for counter in answers.values() if counter.total() >= 10]
        shares[leak] = sum(c.most_common(1)[0][1] for c in often) / sum(c.total() for c in often)
    assert shares[LEAK] > 0.85 and shares[0.0] < 0.6


def test_what_can_be_told_without_pictures():
    train, test = ({k: AskedScenes(s, 60, k) for k in (0.0, LEAK)} for s in ("train", "test"))
    priors = {k: prior_accuracy(train[k].pairs, test[k].pairs) for k in (0.0, LEAK)}
    assert priors[LEAK]["question"] > priors[0.0]["question"] + 0.3
    assert priors[0.0]["question"] < priors[0.0]["type"] + 0.05


def test_a_small_run_of_the_scenes(tmp_path):
    recipe = recipes.get("scenes_vqa")
    data = {
        "train": partial(AskedScenes, "train", 60),
        "test": partial(AskedScenes, "test", 8),
        "leaky": partial(AskedScenes, "train", 60, LEAK),
        "leaky test": partial(AskedScenes, "test", 8, LEAK),
    }
    small = replace(recipe, data=data)
    found = small.train(tmp_path, epochs=1, device="cpu")
    assert found.keys() == recipe.level.metrics.keys()
    for name in ("scenes_vqa", "scenes_vqa_leaky", "scenes_vqa_dropout"):
        model = fastcv.load_model(tmp_path / f"{name}.safetensors")
        assert model.classes == SceneQuestions.answers
        assert model.drop["question"] == (0.5 if name.endswith("dropout") else 0)
        assert (tmp_path / f"{name}.safetensors").stat().st_size < 400_000
    assert (tmp_path / "shares.png").stat().st_size > 0
    again = small.evaluate(tmp_path / "scenes_vqa.safetensors", device="cpu")
    assert again.keys() == {"accuracy", "other pictures", "other questions"}


def test_easy_vqa_knows_all_words_and_answers():
    model = recipes.get("easy_vqa").build()
    try:
        parts = [EasyVQA(split) for split in ("train", "test")]
    except ImportError as error:
        pytest.skip(f"no easy-VQA: {error}")
    for data in parts:
        assert set(data.answers) == set(model.classes)
        words = {word for question in set(data.questions) for word in tokenize(question)}
        assert words <= set(model.vocabulary.words)


def test_easy_vqa_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr("fastcv.data.easy_vqa.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install --no-deps easy-vqa==1\.0"):
        recipes.get("easy_vqa").train(tmp_path, device="cpu")
