"""Captions of files: three forms, broken lines counted, missing pictures named."""

import json
import warnings

import pytest
import torch
from PIL import Image

from fastcv.data import CaptionFolder


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(("a.png", "b.png", "c d.png")):
        Image.new("RGB", (8 + i, 6), (255, 0, 0)).save(tmp_path / name)
    (tmp_path / "val2014").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "val2014" / "e.png")
    return tmp_path


def read(folder, content, **options):
    """What the file says, by the picture's name; no warning may be told."""
    path = folder / "captions"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return by_name(CaptionFolder(folder, path, **options), folder)


def by_name(data, folder):
    return {str(path.relative_to(folder)): captions for path, captions in data.samples}


EXPECTED = {"a.png": ("A cat.", "One cat, on a mat."), "b.png": ("고양이가 상자 안에 있다.",)}
COCO = {
    "images": [
        {"id": 7, "file_name": "a.png"},
        {"id": 9, "file_name": "b.png"},
        {"id": 11, "file_name": "not_there.png"},  # without a caption it is not missed
    ],
    "annotations": [
        {"image_id": 7, "id": 1, "caption": "A cat."},
        {"image_id": 9, "id": 2, "caption": "고양이가 상자 안에 있다.\n"},
        {"image_id": 7, "id": 3, "caption": "One cat, on a mat."},
    ],
}
KARPATHY = {
    "dataset": "coco",
    "images": [
        {
            "filename": "a.png",
            "split": "train",
            "sentences": [{"raw": "A cat.", "tokens": ["a", "cat"]}, {"tokens": ["one", "cat"]}],
        },
        {"filename": "b.png", "split": "restval", "sentences": [{"raw": "A dog."}]},
        {
            "filename": "e.png",
            "filepath": "val2014",
            "split": "test",
            "sentences": [{"raw": "A mat."}],
        },
    ],
}
CSV = {
    "flickr8k.csv": 'image,caption\na.png,A cat.\na.png,"One cat, on a mat."\nb.png,{}\n',
    "no titles": "a.png,A cat.\na.png,One cat, on a mat.\nb.png,{}",
    "flickr8k.token": "a.png#0\tA cat.\na.png#1\tOne cat, on a mat.\nb.png#0\t{}\n",
    "flickr30k": "image_name| comment_number| comment\na.png| 0| A cat.\na.png| 1| One cat, on a "
    "mat.\nb.png| 0| {}\n",
    "windows": '\ufeffimage,caption\r\na.png,A cat.\r\n\r\na.png,"One cat, on a mat."\r\nb.png,{}',
}


@pytest.mark.parametrize("form", CSV)
def test_csv(folder, form):
    assert read(folder, CSV[form].format("고양이가 상자 안에 있다.")) == EXPECTED


def test_coco(folder):
    assert read(folder, COCO) == EXPECTED
    other = {**COCO, "images": [{**image, "id": str(image["id"])} for image in COCO["images"]]}
    assert read(folder, other) == EXPECTED  # ids as text


def test_karpathy(folder):
    assert read(folder, KARPATHY) == {
        "a.png": ("A cat.", "one cat"),
        "b.png": ("A dog.",),
        "val2014/e.png": ("A mat.",),
    }
    assert set(read(folder, KARPATHY, split="train")) == {"a.png", "b.png"}
    assert set(read(folder, KARPATHY, split="test")) == {"val2014/e.png"}


def test_items(folder):
    (folder / "captions.csv").write_text("c d.png,A cat.\n")
    data = CaptionFolder(folder, folder / "captions.csv")
    image, captions = data[0]
    assert len(data) == 1 and captions == ("A cat.",) and data.broken == 0
    assert image.shape == (3, 6, 10) and image.dtype == torch.float32
    assert image[0].min() == 1 and image[1:].max() == 0
    assert data.vocabulary().words[4:] == (".", "a", "cat")


BROKEN = {
    "lines": (
        'a.png,A cat.\nb.png\n,A dog.\na.png,"An open quote\na.png,...\nb.png,  \nb.png,A dog.\n',
        3,
        7,
        "line 2",
    ),
    "coco": (
        {
            **COCO,
            "annotations": [
                *COCO["annotations"],
                {"image_id": 99, "caption": "of no picture"},
                {"image_id": 7, "caption": None},
                {"image_id": 7, "caption": " "},
                {"caption": "of nothing"},
                "text",
            ],
        },
        5,
        8,
        "annotation 3",
    ),
    "karpathy": (
        {"images": [*KARPATHY["images"], {"filename": "a.png", "sentences": [{}, {"raw": 3}]}, 5]},
        3,
        7,
        "image 3",
    ),
}


@pytest.mark.parametrize("form", BROKEN)
def test_broken_entries_are_counted_and_told(folder, form):
    content, broken, total, first = BROKEN[form]
    path = folder / "captions"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    sentence = f"{broken} of {total} entries are broken and left out, the first is {first}$"
    with pytest.warns(UserWarning, match=sentence) as told:
        data = CaptionFolder(folder, path)
    assert len(told) == 1 and data.broken == broken
    found = by_name(data, folder)
    assert "A cat." in found["a.png"] and len(found["b.png"]) == 1


def test_an_open_quotation_mark_spoils_no_other_line(folder):
    found = read(folder, 'a.png,"An open quote\nb.png,A dog.\n')
    assert found == {"a.png": ("An open quote",), "b.png": ("A dog.",)}


def test_a_missing_picture_is_named(folder):
    with pytest.raises(FileNotFoundError) as error:
        read(folder, "a.png,A cat.\nx.png,A dog.\ny.png,A mat.\n")
    assert str(error.value) == (
        f"there is no image {folder / 'x.png'}, which captions has a caption of, and 1 more are "
        "missing"
    )
    with pytest.raises(FileNotFoundError, match="there is no file"):
        CaptionFolder(folder, folder / "none.csv")


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        ("", {}, "has no caption"),
        ("image,caption\n", {}, "has no caption"),
        ("{", {}, "is no JSON: "),
        ("{}", {}, "must have images and annotations, as COCO's, or images with sentences, as Ka"),
        ("[1]", {}, "must have images and annotations"),
        (COCO, {"split": "test"}, "split is of Karpathy's form, and .* is of COCO's"),
        ("a.png,A cat.", {"split": "test"}, "split is of Karpathy's form, and .* is no JSON"),
        (KARPATHY, {"split": "val"}, "split must be one of restval, test, train, .* got 'val'"),
    ],
)
def test_what_is_no_file_of_captions(folder, content, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(folder, content, **options)


def test_another_encoding(folder):
    (folder / "latin.csv").write_bytes("a.png,Un café.".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.csv must be UTF-8, and is not"):
        CaptionFolder(folder, folder / "latin.csv")


def test_a_huge_line(folder):
    """Python's csv takes fields of 131,072 signs."""
    long = "cat " * 50_000
    path = folder / "captions"
    path.write_text(f"a.png,{long}\nb.png,A dog.\n")
    with pytest.warns(UserWarning, match="1 of 2 entries are broken and left out, the first is li"):
        assert set(by_name(CaptionFolder(folder, path), folder)) == {"b.png"}


def test_a_broken_picture_is_told_when_it_is_read(folder):
    (folder / "a.png").write_bytes(b"no picture")
    (folder / "captions.csv").write_text("a.png,A cat.\n")
    with pytest.raises(ValueError, match=r"a\.png"):
        CaptionFolder(folder, folder / "captions.csv")[0]
