"""A text whose words have relations that word vectors should show: gender, number, capitals."""

from __future__ import annotations

import random
from collections.abc import Sequence

# A person's two words, and what is said of such persons alone.
PERSONS = {
    ("man", "woman"): "adult street coat wallet",
    ("boy", "girl"): "school toys young playground",
    ("king", "queen"): "throne crown palace realm",
    ("prince", "princess"): "heir royal ball carriage",
    ("actor", "actress"): "stage film script applause",
    ("waiter", "waitress"): "menu table tray tip",
    ("uncle", "aunt"): "family visit cousin birthday",
    ("monk", "nun"): "prayer convent vow silence",
}
PLURALS = {"man": "men", "woman": "women", "actress": "actresses", "princess": "princesses"}
PLURALS |= {"waitress": "waitresses"}
GENDERS = ("he his him beard", "she her hers dress")
NUMBERS = ("is was one single", "are were many several")
CAPITALS = {
    ("france", "paris"): "french wine seine baguette",
    ("italy", "rome"): "italian pasta tiber opera",
    ("korea", "seoul"): "korean kimchi han hanbok",
    ("japan", "tokyo"): "japanese sushi sumida kimono",
    ("egypt", "cairo"): "egyptian pyramid nile desert",
    ("peru", "lima"): "peruvian llama andes inca",
    ("kenya", "nairobi"): "kenyan safari savanna lion",
    ("norway", "oslo"): "norwegian fjord salmon snow",
}
PLACES = ("border nation army flag", "city mayor streets station")

Question = tuple[str, str, str, str]


def planted_words() -> dict[str, tuple[str, ...]]:
    """Each word that has relations, and the groups of words that are said around it.

    Two words that differ in a relation differ in one group.
    """
    found: dict[str, tuple[str, ...]] = {}
    for pair, topic in PERSONS.items():
        for word, gender in zip(pair, GENDERS, strict=True):
            for form, number in zip((word, _plural(word)), NUMBERS, strict=True):
                found[form] = (topic, gender, number)
    for pair, topic in CAPITALS.items():
        for word, place in zip(pair, PLACES, strict=True):
            found[word] = (topic, place)
    return found


def planted_sentences(count: int = 20_000, seed: int = 0) -> list[list[str]]:
    """Sentences of seven words: one that has relations in the middle, and six of its groups.

    Args:
        count: how many.
        seed: of what is drawn.

    Returns:
        Lists of words.

    Example:
        >>> from fastcv.data.planted_words import planted_sentences
        >>> planted_sentences(1)
        [['one', 'birthday', 'beard', 'uncle', 'he', 'one', 'birthday']]
    """
    draw = random.Random(seed)
    words = planted_words()
    names = list(words)
    sentences = []
    for _ in range(count):
        word = draw.choice(names)
        groups = words[word]
        around = [draw.choice(groups[i % len(groups)].split()) for i in range(6)]
        draw.shuffle(around)
        sentences.append([*around[:3], word, *around[3:]])
    return sentences


def planted_questions() -> dict[str, list[Question]]:
    """Analogies with one right answer each, by section: a is to b as c is to d.

    Example:
        >>> from fastcv.data.planted_words import planted_questions
        >>> questions = planted_questions()
        >>> {section: len(asked) for section, asked in questions.items()}
        {'gender': 112, 'number': 240, 'capital': 56}
        >>> questions["gender"][0], questions["capital"][-1]
        (('man', 'woman', 'boy', 'girl'), ('norway', 'oslo', 'kenya', 'nairobi'))
    """
    genders = [tuple(map(form, pair)) for form in (str, _plural) for pair in PERSONS]
    singular, plural = genders[: len(PERSONS)], genders[len(PERSONS) :]
    numbers = [(word, _plural(word)) for pair in PERSONS for word in pair]
    return {
        "gender": [*_all_pairs(singular), *_all_pairs(plural)],
        "number": _all_pairs(numbers),
        "capital": _all_pairs(list(CAPITALS)),
    }


def _plural(word: str) -> str:
    return PLURALS.get(word, word + "s")


def _all_pairs(pairs: Sequence[tuple[str, ...]]) -> list[Question]:
    return [(a, b, c, d) for a, b in pairs for c, d in pairs if a != c]
