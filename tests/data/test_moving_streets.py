"""Clips on streets: every pixel has a class and an id, and ids stay."""

import numpy as np
import pytest
import torch

import fastcv
from fastcv.data import MovingDigits, MovingStreets, flow_between

SMALL = {"size": (96, 128), "digit_size": (24.0, 48.0)}


@pytest.fixture(scope="module")
def clip():
    return next(c for c in MovingStreets("val", **SMALL) if len(c[1][0]["ids"]) > 1)


def test_every_pixel_has_a_segment(clip):
    frames, targets = clip
    assert frames.shape == (12, 3, 96, 128)
    for target in targets:
        assert not target["panoptic"].void.any()
        assert torch.equal(target["panoptic"].semantic, target["semantic"])
        assert target["panoptic"].things == MovingStreets.things


def test_digits_are_on_top_under_ids_that_stay(clip):
    _, targets = clip
    for target in targets:
        assert torch.equal(target["ids"], targets[0]["ids"])
        assert torch.equal(target["labels"], targets[0]["labels"])
        for mask, id, label in zip(target["masks"], target["ids"], target["labels"], strict=True):
            assert (target["panoptic"].segment_map[mask] == 3 + id).all()
            assert (target["semantic"][mask] == label).all() and label >= 3
        ground = ~target["masks"].any(0)
        assert torch.equal(
            target["panoptic"].segment_map[ground] - 1, target["semantic"][ground].int()
        )
        assert (target["semantic"][ground] < 3).all()


def test_segments_move_as_the_flow_says(clip):
    frames, targets = clip
    for t in (1, 5, 11):
        flow = flow_between(targets[t], targets[0])[None]
        before = torch.cat([frames[0], targets[0]["panoptic"].segment_map[None].float()])
        *pixels, ids = fastcv.ops.flow_warp(before[None], flow)[0]
        same = ((torch.stack(pixels) - frames[t]).abs().amax(0) < 1e-4) & (ids > 0)
        assert same.float().mean() > 0.7  # the others have come into view
        assert (ids == targets[t]["panoptic"].segment_map)[
            same
        ].float().mean() > 0.995  # soft edges


def test_it_is_moving_digits_on_another_ground():
    streets, digits = MovingStreets("val", **SMALL), MovingDigits("val", **SMALL)
    assert len(streets) == len(digits) == 50 and streets.classes[3:] == digits.classes[1:]
    assert (streets.num_stuff, streets.things) == (3, tuple(range(3, 13)))
    assert "semantic" not in digits[0][1][0]
    for a, b in ((streets[5], streets[5]), (streets[-1], streets[49])):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1][3]["semantic"], b[1][3]["semantic"])


def test_the_classes_occur():
    counts = np.zeros(13)
    for i in range(12):
        _, (target,) = MovingStreets("val", frames=1, **SMALL)[i]
        counts += np.bincount(target["semantic"].ravel(), minlength=13) > 0
    assert (counts[:3] == 12).all() and (counts[3:] > 0).sum() >= 6
