"""Boxes with masks: what is picked, drawn and written."""

import json

import numpy as np
import pytest
import torch

from fastcv.draw.canvas import color_of
from fastcv.results import Instances


@pytest.fixture
def found():
    masks = torch.zeros(2, 400, 500, dtype=torch.bool)
    masks[0, 100:200, 100:300] = True
    masks[1, 150:350, 200:400] = True
    boxes = torch.tensor([[100.0, 100, 300, 200], [200, 150, 400, 350]])
    return Instances(
        boxes, torch.tensor([0.9, 0.6]), torch.tensor([1, 2]), ("background", "cat", "dog"),
        (400, 500), masks=masks,
    )  # fmt: skip


def test_what_is_picked(found):
    assert repr(found) == "Instances(2 boxes in 400x500: 1 cat 0.90, 1 dog 0.60)"
    for index in (1, [1], torch.tensor([False, True]), slice(1, None)):
        part = found[index]
        assert isinstance(part, Instances) and part.labels.tolist() == [2]
        assert torch.equal(part.masks, found.masks[1:])
    assert len(found[found.scores > 1].masks) == 0


def test_drawing_shows_the_masks_and_the_surer_on_top(found):
    grey = np.full((400, 500, 3), 128, np.uint8)
    pixels = np.asarray(found.draw(grey)).astype(int)
    cat, dog = (np.array(color_of(label)) for label in (1, 2))
    for y, x, color in ((180, 130, cat), (175, 250, cat), (300, 300, dog)):
        np.testing.assert_allclose(pixels[y, x], (128 + color) // 2, atol=1)
    assert (pixels[380, 50] == 128).all()
    nothing = np.asarray(found[found.scores > 1].draw(grey))
    assert (nothing == 128).all()


def test_to_dict(found, tmp_path):
    found.save(tmp_path / "a.json")
    rows = json.loads((tmp_path / "a.json").read_text())["detections"]
    assert [(row["name"], row["pixels"]) for row in rows] == [("cat", 20_000), ("dog", 40_000)]


def test_masks_that_do_not_fit(found):
    for masks in (found.masks[:1], found.masks[:, :9], found.masks.float()):
        with pytest.raises(ValueError, match=r"masks must be bool \[2, 400, 500\], got torch"):
            Instances(
                found.boxes, found.scores, found.labels, found.classes, (400, 500), masks=masks
            )


def test_in_a_clip_an_object_has_its_own_color():
    """Two of one class: each in the colour of its id, wherever it comes in the result."""
    masks = torch.zeros(2, 330, 330, dtype=torch.bool)
    masks[0, 100:150, 100:150] = masks[1, 200:250, 200:250] = True
    boxes = torch.tensor([[100.0, 100, 150, 150], [200, 200, 250, 250]])
    picture = torch.zeros(3, 330, 330, dtype=torch.uint8)

    def drawn(ids, order):
        found = Instances(
            boxes[order],
            torch.ones(2),
            torch.ones(2, dtype=torch.int64),
            ("background", "cat"),
            (330, 330),
            masks=masks[order],
            fields={} if ids is None else {"id": torch.tensor(ids)[order]},
        )
        pixels = found.draw(picture)
        return pixels.getpixel((125, 125)), pixels.getpixel((225, 225)), found

    first, second, found = drawn([5, 9], [0, 1])
    assert first == tuple(value // 2 for value in color_of(5)) != second
    assert drawn([5, 9], [1, 0])[:2] == (first, second)
    assert drawn(None, [0, 1])[0] == drawn(None, [0, 1])[1]  # of the class
    assert [row["id"] for row in found.to_dict()["detections"]] == [5, 9]
