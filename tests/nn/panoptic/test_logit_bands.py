"""Bands of panoptic logits are, bit by bit, the whole map's."""

import pytest
import torch
from torch.nn import functional as F

from fastcv.nn.panoptic.logit_bands import logit_bands
from fastcv.nn.panoptic.panoptic_logits import panoptic_logits
from fastcv.nn.panoptic.segments import segments_of

STUFF, THINGS, SIDE = 3, 4, (13, 17)


def case(seed, stride, boxes):
    g = torch.Generator().manual_seed(seed)
    height, width = (stride * side for side in SIDE)
    corner = torch.rand(boxes, 2, generator=g) * torch.tensor([width, height]) * 1.2 - 5
    box = torch.cat([corner, corner + torch.rand(boxes, 2, generator=g) * height], 1)
    return (
        torch.randn(STUFF + THINGS, *SIDE, generator=g),
        box,
        torch.randint(STUFF, STUFF + THINGS, (boxes,), generator=g),
        torch.randn(boxes, 28, 28, generator=g),
    )


def whole(semantic, *instances, stride, size, **options):
    large = F.interpolate(
        semantic[None], scale_factor=stride, mode="bilinear", align_corners=False
    )[0, :, : size[0], : size[1]]
    return panoptic_logits(large, *instances, **options)


@pytest.mark.parametrize("numbers", [1, 1500, 5000, 40_000, 2**24])
@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("boxes", [0, 1, 9])
@pytest.mark.parametrize("unknown", [True, False])
def test_the_very_bits(numbers, stride, boxes, unknown):
    semantic, *instances = case(boxes, stride, boxes)
    size = (stride * SIDE[0] - 1, stride * SIDE[1] - 3)
    options = {"stride": stride, "size": size, "num_stuff": STUFF, "unknown": unknown}
    bands = list(logit_bands(semantic, *instances, **options, numbers=numbers))
    assert torch.equal(torch.cat(bands, 1), whole(semantic, *instances, **options))
    rows = max(numbers // ((STUFF + THINGS + 3 * boxes) * size[1]), 1)
    assert [band.shape[1] for band in bands[:-1]] == [rows] * (len(bands) - 1)


@pytest.mark.parametrize(
    "box",
    [
        [3.0, 0.99999994, 9.0, 40.0],  # less 64 it is -63.00000006: in float32 -63, a row less
        [3.0, 12.0, 9.0, 12.0],
        [-50.0, -50.0, 200.0, 200.0],
        [float("nan"), 1.0, 2.0, 3.0],
        [0.0, 51.9, 70.0, 52.1],
        [1e6, 1e6, 2e6, 2e6],
    ],
)
def test_odd_boxes(box):
    semantic, _, _, masks = case(0, 4, 1)
    instances = (torch.tensor([box]), torch.tensor([STUFF]), masks)
    options = {"stride": 4, "size": (52, 68), "num_stuff": STUFF}
    bands = logit_bands(semantic, *instances, **options, numbers=700)
    assert torch.equal(torch.cat(list(bands), 1), whole(semantic, *instances, **options))


def test_not_a_number():
    semantic, *instances = case(1, 4, 2)
    semantic[:, 5, 5] = float("nan")
    options = {"stride": 4, "size": (52, 68), "num_stuff": STUFF}
    bands = torch.cat(list(logit_bands(semantic, *instances, **options, numbers=700)), 1)
    expected = whole(semantic, *instances, **options)
    assert bands.isnan().any() and torch.equal(bands.isnan(), expected.isnan())
    assert torch.equal(bands.nan_to_num(), expected.nan_to_num())


@pytest.mark.parametrize("size", [(50, 68), (77, 31)])
def test_segments_of_bands(size):
    semantic, boxes, labels, masks = case(2, 4, 5)
    options = {"num_stuff": STUFF, "unknown": True}
    logits = whole(semantic, boxes, labels, masks, stride=4, size=(50, 68), **options)
    bands = logit_bands(
        semantic, boxes, labels, masks, stride=4, size=(50, 68), numbers=900, **options
    )
    rest = (labels, torch.rand(5))
    options = {"num_stuff": STUFF, "min_stuff_area": 100, "size": size}
    ids, *tables = segments_of(bands, *rest, **options)
    expected, *expected_tables = segments_of(logits, *rest, **options)
    assert torch.equal(ids, expected) and tables == expected_tables
