"""VQA accuracy: an answer is right as far as people gave it too."""

from __future__ import annotations

import re
from collections.abc import Sequence

ARTICLES = ("a", "an", "the")
NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}
NUMBERS["none"] = "0"
SIGNS = ';/[]"{}()=+\\_-><@`,?!'
MOST_POINTS = 32  # that are taken out of an answer, by the official program

# Contractions that people type without their apostrophe, or without one of several.
ONE_APOSTROPHE = """
ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd
how'll how's isn't it'd it'll ma'am mightn't might've mustn't must've needn't not've o'clock
oughtn't shan't should've shouldn't somebody'll somebody's someone'd someone'll someone's
something'd something'll that's there'd there're there's they'd they'll they're they've 'twas
wasn't we've weren't what'll what're what's what've when's where'd where's where've who'd who'll
who's who've why'll why're why's won't would've wouldn't y'all you'd you'll you're you've
"""
MORE_APOSTROPHES = """
couldn't've hadn't've he'd've it'd've mightn't've she'd've shouldn't've somebody'd've someone'd've
something'd've there'd've they'd've we'd've who'd've wouldn't've y'all'll you'd've y'all'd've
'ow's'at
"""


def _without_one(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i, sign in enumerate(word) if sign == "'"]


CONTRACTIONS = {
    short: word
    for word in (ONE_APOSTROPHE + MORE_APOSTROPHES).split()
    for short in _without_one(word)
}
CONTRACTIONS["somebody'd"] = "somebodyd"  # a slip of the official program, which decides


def normalise_answer(text: str) -> str:
    """An answer as the official evaluation compares it.

    Signs go: one beside a space leaves nothing, as does any in an answer with a comma in a number;
    others leave a space. A point goes unless a digit follows. In lower case, number words up to ten
    become digits, articles go, and contractions get the apostrophe that they lack.

    Example:
        >>> from fastcv.metrics.vqa import normalise_answer
        >>> normalise_answer("The red-and-white bus."), normalise_answer("Two")
        ('red and white bus', '2')
    """
    text = _on_one_line(text)
    has_number = re.search(r"\d,\d", text) is not None
    cleaned = text
    for sign in SIGNS:
        beside_space = f"{sign} " in text or f" {sign}" in text
        cleaned = cleaned.replace(sign, "" if beside_space or has_number else " ")
    cleaned = re.sub(r"\.(?!\d)", "", cleaned, count=MOST_POINTS)
    words = (NUMBERS.get(word, word) for word in cleaned.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def _on_one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def vqa_accuracy(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> float:
    """The mean accuracy of answers, each by those that people gave.

    An answer's accuracy is min(people who gave it / 3, 1), the mean over the sets that leave out
    one person each. Where people do not all say the same, answers are compared in the form of
    ``normalise_answer``, else as they are.

    Args:
        predictions: an answer for each question.
        answers: for each question, what people answered: ten in VQA's data, two or more.

    Returns:
        0 to 1.

    Raises:
        ValueError: there is no question, not an answer for each, or one of less than two people.

    Source: Antol et al., "VQA: Visual Question Answering" (2015), section 3, and its evaluation.

    Example:
        >>> from fastcv.metrics import vqa_accuracy
        >>> vqa_accuracy(["two"], [["2"] * 3 + ["3"] * 7])  # (3 * 2/3 + 7 * 1) / 10
        0.9
    """
    if not predictions or len(predictions) != len(answers):
        raise ValueError(
            "predictions must be one for each question, one or more: got "
            f"{len(predictions)}, and answers to {len(answers)}"
        )
    for i, of_people in enumerate(answers):
        if isinstance(of_people, str) or len(of_people) < 2:
            raise ValueError(f"answers must be of two people or more, those of {i} are not")
    return sum(map(_accuracy, predictions, answers)) / len(predictions)


def _accuracy(prediction: str, answers: Sequence[str]) -> float:
    prediction, *answers = map(_on_one_line, (prediction, *answers))
    if len(set(answers)) > 1:
        prediction, *answers = map(normalise_answer, (prediction, *answers))
    same = [answer == prediction for answer in answers]
    # Without one person who agrees there is one fewer.
    return sum(min((sum(same) - own) / 3, 1.0) for own in same) / len(same)
