"""DrawnScenes, its sentences and its questions: all that they say is so."""

import itertools
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fastcv.data import DrawnScenes, SceneQuestions
from fastcv.data.drawn_scenes import (
    BACKGROUNDS,
    COLOURS,
    DIGITS,
    PARTS,
    DrawnDigit,
    Scene,
    held_out,
)
from fastcv.data.scene_questions import told_by
from fastcv.data.scene_text import TAGS, Described, captions, parse, recipe, tags


@pytest.fixture(scope="module")
def items():
    scenes = DrawnScenes("test", length=30)
    return [scenes[i] for i in range(len(scenes))]


def random_scene(rng, count=None):
    """Places as far apart as those of drawn scenes are."""
    count = int(rng.integers(1, 4)) if count is None else count
    while True:
        centres = rng.uniform(0, 96, (count, 2))
        gaps = [abs(a - b) for a, b in itertools.combinations(centres, 2)]
        if all(max(gap) > 1.5 * min(gap) and max(gap) > 20 for gap in gaps):
            break
    digits = rng.permutation(10)[:count]
    colours = rng.choice(list(COLOURS), count)
    return Scene(
        str(rng.choice(list(BACKGROUNDS))),
        tuple(
            DrawnDigit(int(digit), str(colour), (float(x), float(y)))
            for digit, colour, (x, y) in zip(digits, colours, centres, strict=True)
        ),
    )


@pytest.fixture(scope="module")
def some_scenes():
    rng = np.random.default_rng(0)
    return [random_scene(rng) for _ in range(2000)]


# Pictures.


def test_targets_are_of_the_picture(items):
    for i, (image, target) in enumerate(items):
        assert image.shape == (3, 96, 96) and image.min() >= 0 and image.max() <= 1
        scene, masks = target["scene"], target["masks"]
        assert target["image_id"] == i and len(scene.digits) == len(masks)
        assert (masks.sum(0) <= 1).all()
        assert DrawnScenes.backgrounds[target["background"]] == scene.background
        for k, digit in enumerate(scene.digits):
            assert DrawnScenes.classes[target["labels"][k]] == digit.word
            assert DrawnScenes.colours[target["colours"][k]] == digit.colour
            assert target["held_out"][k] == held_out(digit.digit, digit.colour)
            rows, columns = masks[k].any(1).nonzero(), masks[k].any(0).nonzero()
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert target["boxes"][k].tolist() == [float(x) for x in box]
            assert digit.centre == ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


def test_digits_have_their_colours(items):
    for image, target in items:
        for mask, digit in zip(target["masks"], target["scene"].digits, strict=True):
            inside = -F.max_pool2d(-mask[None].float(), 3, 1, 1)[0] > 0  # no edge of the ink
            found = image[:, inside].mean(1)
            torch.testing.assert_close(
                found, torch.tensor(COLOURS[digit.colour]), rtol=0, atol=0.05
            )


def test_relations_are_clear(items):
    """1.5 times as far apart along one axis as along the other, and the word says which."""
    seen = set()
    for _, target in items:
        scene = target["scene"]
        for i, k in itertools.permutations(range(len(scene.digits)), 2):
            (x, y), (x2, y2) = scene.digits[i].centre, scene.digits[k].centre
            dx, dy = x - x2, y - y2
            assert max(abs(dx), abs(dy)) > 1.5 * min(abs(dx), abs(dy))
            is_so = {
                "left": dx < -abs(dy),
                "right": dx > abs(dy),
                "above": dy < -abs(dx),
                "below": dy > abs(dx),
            }
            assert [name for name, so in is_so.items() if so] == [scene.relation(i, k)]
            seen.add(scene.relation(i, k))
    assert seen == {"left", "right", "above", "below"}


def test_what_is_held_out_never_trains():
    assert sum(held_out(digit, colour) for digit in range(10) for colour in COLOURS) == 10
    train, test = DrawnScenes("train"), DrawnScenes("test")
    assert not any(train[i][1]["held_out"].any() for i in range(60))
    assert any(test[i][1]["held_out"].any() for i in range(60))


def test_parts_of_photographs_are_apart():
    for a, b in itertools.combinations(PARTS.values(), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_an_item_is_a_function_of_its_index(items):
    again = DrawnScenes("test", length=30)
    for i in (29, 0):
        image, target = again[i]
        assert torch.equal(image, items[i][0]) and target["scene"] == items[i][1]["scene"]
    other, _ = DrawnScenes("test", length=30, seed=1)[0]
    assert not torch.equal(other, items[0][0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "all"}, "split must be one of train, val, test, got 'all'"),
        ({"max_digits": 4}, "max_digits must be 1 to 3, got 4"),
        ({"max_angle": -1}, "max_angle must be 0 to 180, got -1"),
        ({"digit_size": (20, 60)}, "digit_size must be .* a third of the image's shorter side"),
        ({"length": -1}, "length must be 0 to"),
    ],
)
def test_arguments(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        DrawnScenes(**{"split": "val", **options})


@pytest.mark.parametrize("size", [(64, 64), (48, 160), (200, 90)])
def test_other_sizes_have_room(size):
    scenes = DrawnScenes("train", size=size, length=40)
    assert max(len(scenes[i][1]["masks"]) for i in range(40)) == 3


# Sentences.


def all_captions(scene):
    return captions(scene, {1: 6, 2: 24, 3: 36}[len(scene.digits)])


def test_captions_are_read_back(some_scenes):
    for scene in some_scenes[:100]:
        every = all_captions(scene)
        assert len(set(every)) == len(every)
        for caption in every:
            described = parse(caption)
            assert described.is_true_of(scene), caption
            assert parse("  " + caption.upper().replace(" ", "  ")) == described


def test_a_caption_of_another_scene_is_not_true(some_scenes):
    """Another background, colour, one digit less, or both of them changed over."""
    two = [scene for scene in some_scenes[:200] if len(scene.digits) == 2]
    for scene in two:
        first, *rest = scene.digits
        others = [
            Scene(next(b for b in BACKGROUNDS if b != scene.background), scene.digits),
            Scene(
                scene.background,
                (
                    DrawnDigit(
                        first.digit, next(c for c in COLOURS if c != first.colour), first.centre
                    ),
                    *rest,
                ),
            ),
            Scene(scene.background, tuple(rest)),
            Scene(
                scene.background,
                (
                    DrawnDigit(first.digit, first.colour, rest[0].centre),
                    DrawnDigit(rest[0].digit, rest[0].colour, first.centre),
                ),
            ),
        ]
        for other in others:
            assert not any(parse(caption).is_true_of(other) for caption in captions(scene))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "on grass",
        "a seven on grass",
        "a red seven",
        "a red seven on the roof",
        "the red seven on grass",
        "a red seven left of on grass",
        "a red seven a blue two on grass",
        "a red seven left of a blue two and on grass",
        "a red seven leftish of a blue two on grass",
        "a red seven left of a blue two on grass on grass",
        "一 red seven on grass",
    ],
)
def test_what_is_no_sentence_of_the_grammar(text):
    assert parse(text) is None


def test_a_sentence_in_full():
    assert parse("Gravel with one red seven over one blue two and right of one one") is None
    assert parse("gravel with one red seven over one blue two and right of one black one") == (
        Described(
            "gravel",
            ("red seven", "blue two", "black one"),
            (("red seven", "above", "blue two"), ("red seven", "right", "black one")),
        )
    )


def test_how_many_captions_there_are(some_scenes):
    scene = next(scene for scene in some_scenes if len(scene.digits) == 1)
    with pytest.raises(ValueError, match="count must be 1 to 6 for a scene of 1 digits, got 7"):
        captions(scene, 7)


def test_tags_are_the_words_of_the_scene(some_scenes):
    for scene in some_scenes[:50]:
        words = " ".join([scene.background, *map(str, scene.digits)]).split()
        assert set(tags(scene)) == set(words) and list(tags(scene)) == [
            tag for tag in TAGS if tag in words
        ]


def test_recipes_draw_the_scene(some_scenes):
    for scene in some_scenes[:100]:
        made = recipe(scene)
        assert made.instructions[0] == f"begin with {scene.background}"
        assert sorted(made.ingredients) == sorted([scene.background, *map(str, scene.digits)])
        for i, step in enumerate(made.instructions[1:]):
            named = re.findall(rf"(?:{'|'.join(COLOURS)}) \w+", step)
            assert named == [str(d) for d in (scene.digits[i], *scene.digits[max(i - 1, 0) : i])]
            if i:
                as_caption = (
                    step.removeprefix("draw ").replace("the ", "a ") + f" on {scene.background}"
                )
                ((_, relation, _),) = parse(as_caption).relations
                assert relation == scene.relation(i, i - 1)


# Questions.


def answer(question, scene):
    """From the scene's own places."""
    words = question.split()
    if words[0] == "is":
        return "yes" if " ".join(words[-2:]) in map(str, scene.digits) else "no"
    if words[:2] == ["how", "many"]:
        return DIGITS[len(scene.digits)]
    if words[1] == "colour":
        return next(d.colour for d in scene.digits if d.word == words[-1])
    if words[2] == "behind":
        return scene.background
    (x, y) = next(d.centre for d in scene.digits if str(d) == " ".join(words[-2:]))
    so = {
        "left": lambda p: x - p[0] > abs(y - p[1]),
        "right": lambda p: p[0] - x > abs(y - p[1]),
        "above": lambda p: y - p[1] > abs(x - p[0]),
        "below": lambda p: p[1] - y > abs(x - p[0]),
    }[words[2]]
    (found,) = [d.word for d in scene.digits if so(d.centre)]
    return found


def asked_of(scenes, split="test", **options):
    questions = SceneQuestions(DrawnScenes(split, length=0), **options)
    return [questions.asked({"scene": s, "image_id": i}) for i, s in enumerate(scenes)]


@pytest.mark.parametrize("leak", [0, 0.9])
def test_answers_are_right(some_scenes, leak):
    kinds = Counter()
    for scene, (question, told) in zip(some_scenes, asked_of(some_scenes, leak=leak), strict=True):
        assert answer(question, scene) == told and told in SceneQuestions.answers
        kinds[" ".join(question.split()[:2])] += 1
    assert len(kinds) == 4 and min(kinds.values()) > 150


def best_guess(asked):
    """How often the answer that is most frequent for a question in one half is right in the
    other, and how often that of its kind is."""
    half = len(asked) // 2
    for key in (lambda q: q, lambda q: " ".join(q.split()[:3])):
        seen = defaultdict(Counter)
        for question, told in asked[:half]:
            seen[key(question)][told] += 1
        right = [
            bool(seen[key(q)]) and seen[key(q)].most_common(1)[0][0] == told
            for q, told in asked[half:]
        ]
        yield sum(right) / len(right)


def test_a_question_does_not_tell_its_answer(some_scenes):
    of_question, of_kind = best_guess(asked_of(some_scenes))
    assert of_question < of_kind + 0.03 < 0.45
    existence = Counter(told for q, told in asked_of(some_scenes) if q.startswith("is there"))
    # Four standard deviations of a fair coin thrown so often.
    assert abs(existence["yes"] - existence["no"]) < 4 * existence.total() ** 0.5


def test_leaking_questions_tell_it(some_scenes):
    asked = asked_of(some_scenes, leak=0.9)
    assert sum(told_by(q) == told for q, told in asked) / len(asked) > 0.88
    of_question, _ = best_guess(asked)
    assert of_question > 0.7


def test_what_is_held_out_is_not_asked_about_in_training(some_scenes):
    trains = [
        scene for scene in some_scenes if not any(held_out(d.digit, d.colour) for d in scene.digits)
    ]
    asked = [q.split() for q, _ in asked_of(trains, "train") if q.startswith("is there")]
    assert len(asked) > 100
    assert not any(held_out(DIGITS.index(words[-1]), words[-2]) for words in asked)
    asked = [q.split() for q, _ in asked_of(some_scenes, "test") if q.startswith("is there")]
    assert any(held_out(DIGITS.index(words[-1]), words[-2]) for words in asked)


def test_a_question_is_a_function_of_its_index(items):
    scenes = DrawnScenes("test", length=30)
    questions = SceneQuestions(scenes, seed=3)
    image, question, told = questions[7]
    assert torch.equal(image, items[7][0]) and questions[7][1:] == (question, told)
    assert len(questions) == 30
    assert [q[1:] for q in map(questions.__getitem__, range(8))] != [
        q[1:] for q in map(SceneQuestions(scenes).__getitem__, range(8))
    ]
    with pytest.raises(ValueError, match="leak must be 0 to 1, got 2"):
        SceneQuestions(scenes, leak=2)
