"""Accuracy of answers, what each modality gives, and what is told without pictures."""

from types import SimpleNamespace

import pytest
import torch

from fastcv.metrics import (
    answer_accuracy,
    evaluate_answers,
    modality_share,
    prior_accuracy,
    vqa_accuracy,
)


class Says:
    """A question answerer that calls a function of a pair, and notes what it is asked."""

    classes = ("yes", "no", "2", "red")

    def __init__(self, function):
        self.function, self.options = function, []

    def predict(self, pairs, **options):
        self.options.append(options)
        return [SimpleNamespace(text=self.function(*pair)) for pair in pairs]


def picture(value):
    return torch.full((3, 4, 4), float(value))


def test_accuracy_of_one_answer():
    assert answer_accuracy("yes", "yes") == 1 and answer_accuracy("Yes", "yes") == 0
    assert answer_accuracy("yes", ("yes",)) == 1
    people = ["2"] * 2 + ["3"] * 8
    assert answer_accuracy("two", people) == vqa_accuracy(["two"], [people]) == pytest.approx(0.6)


def test_evaluate_answers():
    data = [
        (picture(0), "is it?", "yes"),
        (picture(0), ("is it dark?", "how many?"), ("no", "three")),
        (picture(0), "what?", ["red"] * 5 + ["blue"] * 5),
        (picture(0), "who?", "a cat"),
    ]
    model = Says(lambda image, question: "red" if question == "what?" else "yes")
    found = evaluate_answers(model, data, batch_size=2, without="image")
    assert found == pytest.approx(
        {"accuracy": 2 / 5, "yes/no": 1 / 2, "number": 0, "other": 1 / 2, "answerable": 3 / 5}
    )
    assert all(options["without"] == "image" for options in model.options)
    assert "number" not in evaluate_answers(model, data[:1])
    with pytest.raises(ValueError, match="there are no questions to measure on"):
        evaluate_answers(model, [])


def test_the_best_answer_may_be_written_otherwise():
    data = [(picture(0), "how many?", ["two"] * 6 + ["three"] * 4)]
    found = evaluate_answers(Says(lambda image, question: "2"), data)
    assert found == {"accuracy": 1.0, "number": 1.0, "answerable": 1.0}


def by_image(image, question):
    return str(int(image.mean()))


def by_both(image, question):
    return f"{int(image.mean())} {question}"


@pytest.mark.parametrize(
    ("function", "image", "question"),
    [
        (by_image, 1, 0),  # the answer is the picture's number
        (lambda image, question: question, 0, 1),
        (by_both, 1, 1),
    ],
)
def test_modality_share(function, image, question):
    """A model that is always right and uses one modality, or both."""
    data = [(picture(i), f"q{i}", function(picture(i), f"q{i}")) for i in range(10)]
    found = modality_share(Says(function), data, batch_size=4)
    assert found["accuracy"] == 1
    assert found["share"] == {"image": image, "question": question}
    assert found["permuted"] == {"image": 1 - image, "question": 1 - question}


def test_share_of_a_model_that_looks_now_and_then():
    """Every second question tells its answer: half of the accuracy comes from the picture."""

    def answer(image, question):
        return question if question.startswith("say") else str(int(image.mean()))

    data = []
    for i in range(40):
        question = f"say {i}" if i % 2 else "which"
        data.append((picture(i), question, answer(picture(i), question)))
    found = modality_share(Says(answer), data)
    assert found["share"]["image"] == pytest.approx(0.5)
    assert modality_share(Says(answer), data, seed=1)["share"]["image"] == pytest.approx(0.5)


def test_shares_that_cannot_be():
    data = [(picture(i), "which?", str(i)) for i in range(3)]
    none_right = modality_share(Says(lambda image, question: "?"), data)
    assert none_right["accuracy"] == 0 and none_right["share"] == {"image": 0, "question": 0}
    with pytest.raises(ValueError, match="two questions or more in a batch"):
        modality_share(Says(by_image), data[:1])
    # What is left over at the end cannot be permuted.
    assert modality_share(Says(by_image), data, batch_size=2)["share"]["image"] == 1


def test_prior_accuracy():
    train = [
        ("is it red", "yes"),
        ("is it red", "yes"),
        ("is it blue", "no"),
        ("Is it blue", "no"),
        ("is it green", "no"),
        ("what colour", "red"),
    ]
    test = [
        ("is it red", "yes"),  # prior: no, type: no, question: yes
        ("is it white", "no"),  # a new one: no by its type
        ("what colour", "red"),
        ("how many", "no"),  # a new type: the prior
        ("what colour", ["blue", "blue"]),
    ]
    found = prior_accuracy(train, test)
    assert found == pytest.approx({"prior": 2 / 5, "type": 3 / 5, "question": 4 / 5})
    for a, b in (([], test), (train, [])):
        with pytest.raises(ValueError, match="train and test must have a question each"):
            prior_accuracy(a, b)
