"""Sentences about a drawn scene, and reading them back: a small grammar, both ways."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace

from fastcv.data.drawn_scenes import BACKGROUNDS, COLOURS, DIGITS, Scene
from fastcv.language.written_recipe import WrittenRecipe

ARTICLES = ("a", "one")
SAID = {
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
"""How a relation is said."""

# Where the background stands in a sentence.
FRAMES = ("{digits} on {background}", "on {background} {digits}", "{background} with {digits}")

TAGS = (*DIGITS, *COLOURS, *BACKGROUNDS)


@dataclass(frozen=True)
class Described:
    """What a caption says of a scene.

    Args:
        background: one of ``BACKGROUNDS``.
        digits: ``"colour word"`` of each.
        relations: ``(i, relation, k)`` says that digit ``i`` is, for example, left of ``k``.
    """

    background: str
    digits: tuple[str, ...]
    relations: tuple[tuple[str, str, str], ...]

    def is_true_of(self, scene: Scene) -> bool:
        """Whether the scene is on that background, has exactly these digits, and they lie so."""
        there = {str(digit): i for i, digit in enumerate(scene.digits)}
        return (
            self.background == scene.background
            and sorted(self.digits) == sorted(there)
            and all(scene.relation(there[i], there[k]) == r for i, r, k in self.relations)
        )


def captions(scene: Scene, count: int = 5, *, in_order: bool = False) -> list[str]:
    """Sentences of several wordings that name all digits, the background, and how digits lie.

    Each begins with another digit, article, wording of the relations or place of the background,
    as far as there are enough of them. ``parse`` reads all back.

    Args:
        scene: of ``DrawnScenes``.
        count: how many.
        in_order: all begin with the digit that is farthest to the left, and go on to the right.

    Returns:
        ``count`` different sentences of lower-case words, always the same for a scene.

    Raises:
        ValueError: more than there are.

    Example:
        >>> from fastcv.data import DrawnScenes
        >>> from fastcv.data.scene_text import captions
        >>> for caption in captions(DrawnScenes("val")[3][1]["scene"], 3):
        ...     print(caption)
        a black five below a yellow seven and left of a white six on brick
        on brick a white six right of a black five and below a yellow seven
        brick with one yellow seven above one black five and above one white six
    """
    firsts = range(len(scene.digits))
    if in_order:
        digits = sorted(scene.digits, key=lambda digit: digit.centre)
        scene, firsts = replace(scene, digits=tuple(digits)), range(1)
    ways = [
        _sentence(scene, first, article, way, frame)
        for way, article, first, frame in itertools.product(range(2), ARTICLES, firsts, FRAMES)
    ]
    different = list(dict.fromkeys(ways))
    if not 1 <= count <= len(different):
        raise ValueError(
            f"count must be 1 to {len(different)} for a scene of {len(scene.digits)} digits, "
            f"got {count}"
        )
    # A step that shares no factor with their number visits all, and neighbours differ in much.
    step = next(s for s in (7, 11, 13) if len(different) % s)
    return [different[i * step % len(different)] for i in range(count)]


def _sentence(scene: Scene, first: int, article: str, way: int, frame: str) -> str:
    others = [k for k in range(len(scene.digits)) if k != first]
    digits = f"{article} {scene.digits[first]}"
    relations = [
        f"{SAID[scene.relation(first, k)][way]} {article} {scene.digits[k]}" for k in others
    ]
    if relations:
        digits += " " + " and ".join(relations)
    return frame.format(digits=digits, background=scene.background)


_DIGIT = re.compile(rf"(?:{'|'.join(ARTICLES)}) ((?:{'|'.join(COLOURS)}) (?:{'|'.join(DIGITS)}))")
_RELATION = {phrase: name for name, phrases in SAID.items() for phrase in phrases}


def parse(caption: str) -> Described | None:
    """What a sentence of the grammar says; None where it is none.

    Args:
        caption: words of any case, with spaces between.

    Example:
        >>> from fastcv.data.scene_text import parse
        >>> parse("a red seven left of a blue two on grass").relations
        (('red seven', 'left', 'blue two'),)
        >>> parse("a seven on grass") is None
        True
    """
    text = " ".join(caption.lower().split())
    found = re.fullmatch(r"(?P<digits>.+) on (?P<background>\w+)", text)
    found = found or re.fullmatch(r"on (?P<background>\w+) (?P<digits>.+)", text)
    found = found or re.fullmatch(r"(?P<background>\w+) with (?P<digits>.+)", text)
    if not found or found["background"] not in BACKGROUNDS:
        return None
    first = _DIGIT.match(found["digits"])
    if not first:
        return None
    digits, relations = [first[1]], []
    rest = found["digits"][first.end() :]
    # " left of a blue two and above a green one": each part says how the first digit lies.
    for part in rest.removeprefix(" ").split(" and ") if rest else []:
        relation = next((phrase for phrase in _RELATION if part.startswith(phrase + " ")), None)
        other = relation and _DIGIT.fullmatch(part[len(relation) + 1 :])
        if not relation or not other:
            return None
        digits.append(other[1])
        relations.append((first[1], _RELATION[relation], other[1]))
    return Described(found["background"], tuple(digits), tuple(relations))


def tags(scene: Scene) -> tuple[str, ...]:
    """The words for the digits, the colours and the background, in the order of ``TAGS``.

    Example:
        >>> from fastcv.data import DrawnScenes
        >>> from fastcv.data.scene_text import tags
        >>> tags(DrawnScenes("val")[3][1]["scene"])
        ('five', 'six', 'seven', 'yellow', 'white', 'black', 'brick')
    """
    words = {scene.background}
    for digit in scene.digits:
        words |= {digit.word, digit.colour}
    return tuple(tag for tag in TAGS if tag in words)


def recipe(scene: Scene) -> WrittenRecipe:
    """What is needed to draw a scene, and how it is done, in the order in which it was.

    Its ingredients are ``"colour word"`` of each digit, and the background, in alphabetical order.
    Its instructions are a sentence for each step.

    Example:
        >>> from fastcv.data import DrawnScenes
        >>> from fastcv.data.scene_text import recipe
        >>> for step in recipe(DrawnScenes("val")[3][1]["scene"]).instructions:
        ...     print(step)
        begin with brick
        draw the black five
        draw the yellow seven above the black five
        draw the white six below the yellow seven
    """
    steps = [f"begin with {scene.background}", f"draw the {scene.digits[0]}"]
    for i in range(1, len(scene.digits)):
        relation = SAID[scene.relation(i, i - 1)][0]
        steps.append(f"draw the {scene.digits[i]} {relation} the {scene.digits[i - 1]}")
    return WrittenRecipe(tuple(sorted([*map(str, scene.digits), scene.background])), tuple(steps))
