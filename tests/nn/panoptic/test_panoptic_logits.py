"""The panoptic head on hand-made logits, against its definition written pixel by pixel."""

import math

import pytest
import torch

from fastcv.nn.panoptic.panoptic_logits import instance_terms, panoptic_logits, windows


def bilinear(mask, y, x):
    """A value of a mask between its samples, which lie at .5, 1.5 and so on; edges go on."""
    size = len(mask)
    y, x = (min(max(v - 0.5, 0.0), size - 1.0) for v in (y, x))
    top, left = min(int(y), size - 1), min(int(x), size - 1)
    below, right = min(top + 1, size - 1), min(left + 1, size - 1)
    fy, fx = y - top, x - left
    upper = mask[top][left] * (1 - fx) + mask[top][right] * fx
    lower = mask[below][left] * (1 - fx) + mask[below][right] * fx
    return upper * (1 - fy) + lower * fy


def oracle(semantic, boxes, labels, masks, num_stuff, unknown):
    """Section 3.1 of the paper, a pixel at a time."""
    classes, height, width = semantic.shape
    size = masks.shape[-1]
    values = semantic.tolist()
    found = []
    of_class = []
    for box, label, mask in zip(boxes.tolist(), labels.tolist(), masks.tolist(), strict=True):
        x1, y1 = math.floor(box[0]), math.floor(box[1])
        x2, y2 = max(math.ceil(box[2]), x1 + 1), max(math.ceil(box[3]), y1 + 1)
        own = [[0.0] * width for _ in range(height)]
        total = [[0.0] * width for _ in range(height)]
        for y in range(height):
            for x in range(width):
                if x1 <= x < x2 and y1 <= y < y2:
                    own[y][x] = values[label][y][x]
                    inside = bilinear(
                        mask, (y + 0.5 - y1) * size / (y2 - y1), (x + 0.5 - x1) * size / (x2 - x1)
                    )
                    total[y][x] = own[y][x] + inside
        of_class.append(own)
        found.append(total)
    rows = [*values[:num_stuff], *found]
    if unknown:
        rows.append(
            [
                [
                    max(values[c][y][x] for c in range(num_stuff, classes))
                    - max((own[y][x] for own in of_class), default=0.0)
                    for x in range(width)
                ]
                for y in range(height)
            ]
        )
    return torch.tensor(rows, dtype=semantic.dtype)


def scene(boxes, size=(11, 14), stuff=2, things=3, mask=4):
    generator = torch.Generator().manual_seed(len(boxes))
    semantic = torch.randn(stuff + things, *size, generator=generator, dtype=torch.float64)
    masks = torch.randn(len(boxes), mask, mask, generator=generator, dtype=torch.float64)
    labels = stuff + torch.arange(len(boxes)) % things
    return semantic, torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4), labels, masks


CASES = {
    "none": [],
    "one": [[2.0, 1, 9, 6]],
    "overlapping": [[2.0, 1, 9, 6], [4.0, 3, 12, 10], [4.0, 3, 12, 10]],
    "fractions of pixels": [[2.3, 1.7, 9.6, 6.2], [0.1, 0.1, 0.2, 0.3]],
    "beyond the borders": [[-5.0, -3, 4, 5], [10.5, 7.5, 30, 20]],
    "the whole map and more": [[-20.0, -20, 40, 40]],
    "without area": [[3.0, 3, 3, 3]],
    "outside": [[20.0, 2, 25, 6], [-9.0, -9, -2, -1], [1.0, 1, 3, 3]],
}


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_is_its_definition(name, unknown):
    parts = scene(CASES[name])
    got = panoptic_logits(*parts, num_stuff=2, unknown=unknown)
    expected = oracle(*parts, 2, unknown)
    assert got.shape == (2 + len(CASES[name]) + unknown, 11, 14)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_by_hand():
    """Two pixels: one within the box of a cat, one beside it that looks like a dog."""
    semantic = torch.tensor([[1.0, 1.0], [4.0, 0.5], [-1.0, 3.0]])[:, None]  # grass, cat, dog
    box, label, mask = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([1]), torch.tensor([[[2.0]]])
    got = panoptic_logits(semantic, box, label, mask, num_stuff=1)
    # The cat's is 4 + 2 within its box; unknown is 4 - 4 there, and 3 - 0 on the dog.
    assert got[:, 0].tolist() == [[1.0, 1.0], [6.0, 0.0], [0.0, 3.0]]
    assert got.argmax(0).tolist() == [[1, 2]]  # the cat, and unknown
    without = panoptic_logits(semantic, box, label, mask, num_stuff=1, unknown=False)
    assert without[:, 0].tolist() == [[1.0, 1.0], [6.0, 0.0]]
    assert without.argmax(0).tolist() == [[1, 0]]  # the cat, and grass


def test_a_second_instance_of_the_class_leaves_nothing_unknown():
    semantic = torch.tensor([[0.0, 0.0], [5.0, 5.0]])[:, None]
    boxes = torch.tensor([[0.0, 0, 1, 1], [1.0, 0, 2, 1]])
    labels, masks = torch.tensor([1, 1]), torch.ones(2, 3, 3)
    assert (panoptic_logits(semantic, boxes, labels, masks, num_stuff=1)[-1] == 0).all()


@pytest.mark.parametrize("name", ["overlapping", "fractions of pixels", "beyond the borders"])
def test_gradients(name):
    semantic, boxes, labels, masks = scene(CASES[name], size=(5, 6), mask=2)

    def logits(semantic, masks):
        return panoptic_logits(semantic, boxes / 2, labels, masks, num_stuff=2)

    inputs = semantic.requires_grad_(), masks.requires_grad_()
    assert torch.autograd.gradcheck(logits, inputs)


def test_terms_are_zero_outside_of_the_boxes():
    semantic, boxes, labels, masks = scene(CASES["overlapping"])
    of_class, of_mask = instance_terms(semantic + 10, boxes, labels, masks + 10)
    for i, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
        inside = torch.zeros(11, 14, dtype=torch.bool)
        inside[y1:y2, x1:x2] = True
        assert torch.equal(of_class[i] != 0, inside) and torch.equal(of_mask[i] != 0, inside)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_box_that_is_no_box_has_no_pixels(value):
    semantic, _, labels, masks = scene([[0.0, 0, 0, 0]])
    boxes = torch.tensor([[0.0, 0, value, 4]])
    assert windows(boxes, (11, 14)) == [None]
    of_class, of_mask = instance_terms(semantic, boxes, labels, masks)
    assert not of_class.any() and not of_mask.any()


def test_nan_stays_where_it_is():
    semantic, boxes, labels, masks = scene(CASES["one"])
    semantic[0, 0, 0] = math.nan
    got = panoptic_logits(semantic, boxes, labels, masks, num_stuff=2)
    assert got.isnan().nonzero().tolist() == [[0, 0, 0]]
