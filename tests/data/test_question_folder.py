"""VQA's JSON: what is read, what is left out and told, and which picture is meant."""

import json

import pytest
from PIL import Image

from fastcv.data import QuestionFolder

PICTURES = ("COCO_val2014_000000000042.jpg", "COCO_val2014_000000000007.png", "kitchen.jpg")


def question(number, image, text="Is it dark?"):
    return {"question_id": number, "image_id": image, "question": text}


def annotation(number, *answers):
    return {"question_id": number, "answers": [{"answer": answer} for answer in answers]}


@pytest.fixture
def make(tmp_path):
    for name, colour in zip(PICTURES, ("red", "green", "blue"), strict=True):
        Image.new("RGB", (8, 6), colour).save(tmp_path / name)
    (tmp_path / "notes_42.txt").write_text("no picture")

    def made(questions, annotations, **options):
        files = []
        for key, entries in (("questions", questions), ("annotations", annotations)):
            path = tmp_path / f"{key}.json"
            path.write_text(json.dumps({key: entries} if isinstance(entries, list) else entries))
            files.append(path)
        return QuestionFolder(tmp_path, *files, **options)

    return made


def test_items(make):
    data = make(
        [question(3, 7, "What colour?"), question(1, 42), question(2, "kitchen.jpg", "어디인가?")],
        [
            annotation(1, "yes", "no", "yes"),
            annotation(2, "kitchen"),
            annotation(3, *["green"] * 10),
        ],
    )
    assert len(data) == 3 and data.questions == ["What colour?", "Is it dark?", "어디인가?"]
    (green, text, ten), (red, _, three), (blue, korean, one) = (data[i] for i in range(3))
    assert text == "What colour?" and ten == ("green",) * 10
    assert three == ("yes", "no", "yes") and one == ("kitchen",) and korean == "어디인가?"
    for image, channel in ((red, 0), (green, 1), (blue, 2)):
        assert image.shape == (3, 6, 8) and image.mean((1, 2)).argmax() == channel


def test_by_picture(make):
    data = make(
        [question(1, 42), question(2, 7, "Why?"), question(3, 42, "Who?")],
        [annotation(i, "a", "b") for i in (1, 2, 3)],
        by_picture=True,
    )
    assert len(data) == 2
    assert data[0][1:] == (("Is it dark?", "Who?"), (("a", "b"), ("a", "b")))
    assert data[1][1:] == (("Why?",), (("a", "b"),))


def test_answers_may_be_plain_texts(make):
    assert make([question(1, 42)], [{"question_id": 1, "answers": ["yes"]}])[0][2] == ("yes",)


def test_broken_entries_are_counted_and_told(make):
    questions = [
        question(1, 42),
        question(2, 42, ""),
        question(3, 42, "?!"),
        question(1, 7, "the same number?"),
        question(4, 42, None),
        {"image_id": 42, "question": "no number?"},
        {"question_id": 5, "question": "no image?"},
        question(6, 42, "nobody answered?"),
        question(7, 42, "an empty answer?"),
        "no object",
    ]
    annotations = [
        annotation(1, "yes"),
        annotation(7),
        {"answers": ["lost"]},
        annotation(1, "no"),
        5,
    ]
    with pytest.warns(UserWarning) as told:
        data = make(questions, annotations)
    assert len(data) == 1 and data[0][2] == ("yes",)
    (warning,) = told
    text = str(warning.message)
    for part in (
        "4 questions of which each has no text",
        "1 question of which each has no question_id",
        "1 question of which each has no image_id",
        "2 questions of which each has no answers",
        "1 question of which each has the question_id of one before it",
        "2 annotations of which each has no question_id",
        "1 annotation of which each has no answers",
        "1 annotation of which each has the question_id of one before it",
        "nobody answered?",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (43, FileNotFoundError, "there is no image 43 in .*, of question 1"),
        ("bath.jpg", FileNotFoundError, "there is no image .*bath.jpg, of question 1"),
    ],
)
def test_a_missing_image_is_named(make, image, error, words):
    with pytest.raises(error, match=words):
        make([question(1, image)], [annotation(1, "yes")])


def test_two_images_of_one_number(make, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "other_42.png")
    with pytest.raises(ValueError, match="both end with 42, of question 1: which is meant"):
        make([question(1, 42)], [annotation(1, "yes")])


def test_files_that_are_none(make, tmp_path):
    with pytest.raises(ValueError, match="must have a question with answers"):
        make([], [])
    with pytest.raises(ValueError, match=r'questions.json must be JSON as {"questions": \[...\]}'):
        make({"entries": []}, [])
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match=r'broken.json must be JSON as {"annotations"'):
        QuestionFolder(tmp_path, tmp_path / "questions.json", tmp_path / "broken.json")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere.json"):
        QuestionFolder(tmp_path, tmp_path / "nowhere.json", tmp_path / "nowhere.json")
    (tmp_path / "good.json").write_text('{"annotations": []}')
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        QuestionFolder(tmp_path / "x", tmp_path / "questions.json", tmp_path / "good.json")
