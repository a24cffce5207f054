"""VQA accuracy against its definition, and the official normalisation by a table of cases."""

import pytest

from fastcv.metrics import vqa_accuracy
from fastcv.metrics.vqa import CONTRACTIONS, normalise_answer


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Yes", "yes"),
        ("  a dog\n", "dog"),
        ("The cat and a hat", "cat and hat"),
        ("none", "0"),
        ("Zero", "0"),
        ("ten", "10"),
        ("eleven", "eleven"),
        ("red/white", "red white"),  # a sign between letters becomes a space
        ("red / white", "red white"),  # one beside a space goes
        ("t-shirt", "t shirt"),
        ("t-shirt - red", "tshirt red"),  # one is beside a space: all of its kind go
        ("1,000", "1000"),
        ("1,000-2,000", "10002000"),  # with a number's comma every sign goes
        ("left, right", "left right"),
        ("left,right", "left right"),
        ("2.5", "2.5"),
        ("5.", "5"),
        ("p.m.", "pm"),
        (".5", ".5"),
        ("no!", "no"),
        ("what?", "what"),
        ("man's", "man's"),  # apostrophes and colons stay
        ("10:30", "10:30"),
        ("dont", "don't"),
        ("Isnt", "isn't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("oclock", "o'clock"),
        ("yall'd've", "y'all'd've"),
        ("y'all'dve", "y'all'd've"),
        ("'ows'at", "'ow's'at"),
        ("somebody'd", "somebodyd"),  # the official table's own slip
        ("twas", "'twas"),
        ("well", "well"),  # words of their own are no contractions
        ("were", "were"),
        ("shed", "shed"),
        ("the", ""),
        ("", ""),
    ],
)
def test_normalisation(text, form):
    assert normalise_answer(text) == form


def test_contractions_only_lack_an_apostrophe():
    assert len(CONTRACTIONS) == 114  # of the official table's 120: six are never met, in lower
    for short, word in CONTRACTIONS.items():  # case, or stay as they are
        one_less = len(short) == len(word) - 1 and short.replace("'", "") == word.replace("'", "")
        assert one_less or (short, word) == ("somebody'd", "somebodyd")
    assert not {"well", "were", "shell", "hell", "ill", "id", "shed", "its"} & set(CONTRACTIONS)


@pytest.mark.parametrize("agree", range(11))
def test_ten_people(agree):
    """The mean over ten sets of nine, written out."""
    answers = ["red"] * agree + ["blue"] * (10 - agree)
    sets = [answers[:i] + answers[i + 1 :] for i in range(10)]
    expected = sum(min(nine.count("red") / 3, 1) for nine in sets) / 10
    assert vqa_accuracy(["red"], [answers]) == pytest.approx(expected)
    known = {0: 0, 1: 0.3, 2: 0.6, 3: 0.9}
    assert vqa_accuracy(["red"], [answers]) == pytest.approx(known.get(agree, 1))


def test_forms_count_where_people_differ():
    assert vqa_accuracy(["Two."], [["2"] * 4 + ["the two"] * 2 + ["3"] * 4]) == 1
    assert vqa_accuracy(["a dog"], [["dog"] * 10]) == 0  # as the official evaluation has it
    assert vqa_accuracy(["dog "], [["dog"] * 10]) == 1
    assert vqa_accuracy(["a dog"], [["dog"] * 5 + ["dog\n"] * 5]) == 0  # these do not differ
    assert vqa_accuracy(["big  dog"], [["big dog"] * 10]) == 0


def test_it_is_a_mean():
    assert vqa_accuracy(["a", "x"], [["x", "x"], ["x", "x"]]) == pytest.approx(1 / 3 / 2)


@pytest.mark.parametrize(
    ("predictions", "answers", "message"),
    [
        ([], [], "one or more: got 0"),
        (["a"], [["a", "b"]] * 2, "got 1, and answers to 2"),
        (["a"], [["a"]], "those of 0 are not"),
        (["a"], ["ab"], "those of 0 are not"),
    ],
)
def test_bad_arguments(predictions, answers, message):
    with pytest.raises(ValueError, match=message):
        vqa_accuracy(predictions, answers)
