"""SSD's prior boxes, worked out by hand."""

import math

import pytest
import torch

from fastcv.models import create_model
from fastcv.nn.detection.prior_boxes import PriorBoxes

MAPS_300 = [torch.zeros(1, 1, n, n) for n in (38, 19, 10, 5, 3, 1)]
MAPS_512 = [torch.zeros(1, 1, n, n) for n in (64, 32, 16, 8, 4, 2, 1)]


def priors_of(name, **options):
    with torch.device("meta"):
        return create_model(name, **options).anchor_generator


def test_the_boxes_of_a_cell():
    (boxes,) = PriorBoxes([(2, 3)], [0.2, 0.45])((100, 200), [torch.zeros(1, 1, 2, 2)])
    assert len(boxes) == 4 * 6
    first = boxes[:6]
    centre, side = (first[:, :2] + first[:, 2:]) / 2, first[:, 2:] - first[:, :2]
    assert torch.allclose(centre, torch.tensor([50.0, 25.0]).expand(6, 2))
    shares = [
        (0.2, 0.2),
        (0.3, 0.3),  # the root of 0.2 * 0.45
        (0.2 * math.sqrt(2), 0.2 / math.sqrt(2)),
        (0.2 / math.sqrt(2), 0.2 * math.sqrt(2)),
        (0.2 * math.sqrt(3), 0.2 / math.sqrt(3)),
        (0.2 / math.sqrt(3), 0.2 * math.sqrt(3)),
    ]
    want = torch.tensor([(200 * w, 100 * h) for w, h in shares])
    torch.testing.assert_close(side, want, rtol=1e-5, atol=1e-5)
    # Cells row by row.
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2)[::6]
    assert centres.tolist() == [[50, 25], [150, 25], [50, 75], [150, 75]]


def test_sides_end_at_the_images():
    (boxes,) = PriorBoxes([(4,)], [0.9, 1.6])((100, 100), [torch.zeros(1, 1, 1, 1)])
    expected = [[5, 5, 95, 95], [0, 0, 100, 100], [0, 27.5, 100, 72.5], [27.5, 0, 72.5, 100]]
    torch.testing.assert_close(boxes, torch.tensor(expected), rtol=1e-5, atol=1e-4)


def test_steps_move_centres_and_clipping_brings_them_back():
    maps = [torch.zeros(1, 1, 10, 10)]
    last = [
        PriorBoxes([()], [0.1, 0.4], [32], clip_centres=clip)((300, 300), maps)[0][-2]
        for clip in (False, True)
    ]
    torch.testing.assert_close(last[0], torch.tensor([289.0, 289, 319, 319]))
    torch.testing.assert_close(last[1], torch.tensor([285.0, 285, 315, 315]))


@pytest.mark.parametrize(
    ("name", "dataset", "maps", "pixels"),
    [
        # The least and the next size of each map, in pixels: the tables of the authors' programs.
        ("ssd300_vgg16", "voc", MAPS_300, [30, 60, 111, 162, 213, 264, 315]),
        ("ssd300_vgg16", "coco", MAPS_300, [21, 45, 99, 153, 207, 261, 315]),
        ("ssd512_vgg16", "voc", MAPS_512, [35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8, 537.6]),
        (
            "ssd512_vgg16",
            "coco",
            MAPS_512,
            [20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72],
        ),
    ],
)
def test_published_scales(name, dataset, maps, pixels):
    size = 300 if "300" in name else 512
    boxes = priors_of(name, dataset=dataset)((size, size), maps)
    assert sum(map(len, boxes)) == (8732 if size == 300 else 24564)
    for level, least, following in zip(boxes, pixels, pixels[1:], strict=False):
        sides = level[:2, 2:] - level[:2, :2]
        want = torch.tensor([[least] * 2, [min(math.sqrt(least * following), size)] * 2])
        torch.testing.assert_close(sides, want, rtol=1e-4, atol=1e-3)


def test_errors():
    with pytest.raises(ValueError, match="scales must be one more than the 2 aspect_ratios, got 2"):
        PriorBoxes([(), ()], [0.1, 0.2])
    with pytest.raises(ValueError, match="steps must be as many as the 1 aspect_ratios, got 2"):
        PriorBoxes([()], [0.1, 0.2], [8, 16])
    with pytest.raises(ValueError, match="PriorBoxes: expected 1 maps, got 6"):
        PriorBoxes([()], [0.1, 0.2])((300, 300), MAPS_300)
