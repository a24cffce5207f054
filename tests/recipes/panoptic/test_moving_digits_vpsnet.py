"""The recipe's pairs, and how it measures clips."""

import pytest
import torch
from torch import nn

from fastcv.data import MovingStreets, flow_between
from fastcv.recipes.panoptic.moving_digits_vpsnet import StreetPairs, evaluate_video
from fastcv.results import Panoptic

SMALL = {"size": (96, 128), "digit_size": (24.0, 48.0)}


def test_pairs():
    clips = MovingStreets("val", frames=3, length=2, **SMALL)
    pairs, (frames, targets) = StreetPairs(clips), clips[1]
    images, target = pairs[1]
    assert len(pairs) == 2 and torch.equal(images, frames[[0, 2]])
    assert torch.equal(target["boxes"], targets[2]["boxes"])
    assert torch.equal(target["semantic"], targets[2]["semantic"])
    assert torch.equal(target["earlier_boxes"], targets[0]["boxes"])
    assert torch.equal(target["earlier_ids"], targets[0]["ids"])
    assert torch.equal(target["flow"], flow_between(targets[2], targets[0]))


class Oracle(nn.Module):
    """Knows each frame's segments; without the track head it gives things new ids each frame."""

    def __init__(self, clips):
        super().__init__()
        self.truth = [pair for i in range(len(clips)) for pair in zip(*clips[i], strict=True)]

    def predict_frame(self, frame, state, *, track):
        target = next(t for image, t in self.truth if torch.equal(image, frame))["panoptic"]
        state = 0 if state is None else state + 1
        if not track:
            labels = {s.id + 10 * state * s.is_thing: s.label for s in target.segments}
            ids = target.segment_map
            ids = torch.where(ids > 3, ids + 10 * state, ids)
            target = Panoptic.from_map(ids, labels, target.classes, target.things)
        return target, state


def test_quality_and_switches_with_and_without_the_head():
    clips = MovingStreets("val", frames=4, length=3, **SMALL)
    metrics = evaluate_video(Oracle(clips), clips)
    objects = sum(len(clips[i][1][0]["ids"]) for i in range(3))
    assert metrics["objects"] == objects > 0
    assert metrics["VPQ"] == metrics["VPQ1"] == metrics["VPQ4"] == pytest.approx(1)
    assert metrics["id_switches"] == 0
    assert metrics["boxes_id_switches"] == 3 * objects  # from each frame to the next
    assert metrics["boxes_VPQ"] < 1
