"""The RoI heads on cases made by hand."""

import math

import pytest
import torch
from torch import nn

from fastcv.nn.detection.roi_heads import (
    FastRCNNPredictor,
    RoIHeads,
    SingleLevelRoIPool,
    TwoMLPHead,
)
from fastcv.ops import roi_pool

SIZE = [(100, 100)]


class Says(nn.Module):
    """A predictor that says the same of every box."""

    def __init__(self, logits, deltas):
        super().__init__()
        self.logits, self.deltas = torch.tensor(logits), torch.tensor(deltas)

    def forward(self, x):
        return self.logits.expand(len(x), -1), self.deltas.expand(len(x), -1)


class Nothing(nn.Module):
    def forward(self, features, boxes, sizes):
        return torch.zeros(sum(map(len, boxes)), 1)


LOGITS = [0.5, 1.0, -1.0]
DELTAS = [0.0] * 4 + [0.2, 0.1, 0.0, -0.3] + [7.0] * 4


@pytest.mark.parametrize("beta", [1 / 9, 1.0])
def test_loss_by_hand(beta):
    heads = RoIHeads(Nothing(), nn.Identity(), Says(LOGITS, DELTAS), smooth_l1_beta=beta)
    proposals = torch.tensor([[10.0, 10, 30, 30], [60, 60, 90, 90]])
    objects, labels = torch.tensor([[10.0, 10, 30, 34]]), torch.tensor([1])
    losses = heads.loss({}, [proposals], [objects], [labels], SIZE)
    # Sampled: both proposals (IoU 20/24 and 0) and the object's own box. Two are class 1.
    total = math.log(sum(math.exp(x) for x in LOGITS))
    entropy = 2 * (total - LOGITS[1]) + (total - LOGITS[0])
    assert losses["loss_classifier"].item() == pytest.approx(entropy / 3, rel=1e-5)
    # Offsets of class 1 alone, in units of (1/10, 1/10, 1/5, 1/5); the object is 2 lower, 4 higher.
    expected = [[0.0, 10 * 2 / 20, 0.0, 5 * math.log(24 / 20)], [0.0] * 4]
    errors = [abs(d - w) for row in expected for d, w in zip(DELTAS[4:8], row, strict=True)]
    smooth = [e * e / 2 / beta if e < beta else e - beta / 2 for e in errors]
    assert losses["loss_box_reg"].item() == pytest.approx(sum(smooth) / 3, rel=1e-5)


def test_loss_without_objects():
    heads = RoIHeads(Nothing(), nn.Identity(), Says(LOGITS, DELTAS))
    none = torch.zeros(0, 4)
    labels = torch.zeros(0, dtype=torch.int64)
    losses = heads.loss({}, [torch.tensor([[10.0, 10, 30, 30]])], [none], [labels], SIZE)
    assert losses["loss_classifier"].item() == pytest.approx(
        math.log(sum(math.exp(x) for x in LOGITS)) - LOGITS[0], rel=1e-5
    )
    assert losses["loss_box_reg"] == 0


def detect(logits, deltas, proposals, **options):
    heads = RoIHeads(Nothing(), nn.Identity(), Says(LOGITS, DELTAS))
    options = {"score_threshold": 0.05, "iou_threshold": 0.5, "max_detections": 100, **options}
    return heads.detect(logits, deltas, proposals, SIZE * len(proposals), **options)


def test_detect_by_hand():
    proposals = [
        torch.tensor([[10.0, 10, 30, 30], [11, 10, 30, 30], [80, 80, 130, 100]]),
        torch.tensor([[0.0, 0, 10, 10]]),
    ]
    chances = torch.tensor(
        [[0.1, 0.6, 0.3], [0.1, 0.1, 0.8], [0.2, 0.76, 0.04], [0.98, 0.01, 0.01]]
    )
    deltas = torch.zeros(4, 3, 4)
    deltas[0, 1, 0] = 10.0  # class 1 of the first box: a width to the right
    first, second = detect(chances.log(), deltas, proposals)
    # Two boxes of class 2 overlap, the surer stays; two boxes of class 1 do not overlap.
    assert first.labels.tolist() == [2, 1, 1, 1]
    torch.testing.assert_close(first.scores, torch.tensor([0.8, 0.76, 0.6, 0.1]))
    assert first.boxes.tolist() == [
        [11, 10, 30, 30],
        [80, 80, 100, 100],  # clipped
        [30, 10, 50, 30],
        [11, 10, 30, 30],
    ]
    assert len(second.boxes) == 0 and second.boxes.shape == (0, 4)
    assert len(detect(chances.log(), deltas, proposals, max_detections=2)[0].boxes) == 2
    assert detect(chances.log(), deltas, proposals, score_threshold=0.7)[0].scores.min() > 0.7
    assert len(detect(chances.log(), deltas, proposals, iou_threshold=0.99)[0].boxes) == 5


def test_dropout_only_in_training():
    torch.manual_seed(0)
    head = TwoMLPHead(12, 64, dropout=0.5)
    x = torch.rand(3, 3, 2, 2)
    assert not torch.equal(head(x), head(x))
    assert torch.equal(head.eval()(x), head(x))


def test_predictor_starts_undecided():
    logits, deltas = FastRCNNPredictor(64, 5)(torch.rand(10, 64))
    assert logits.shape == (10, 5) and deltas.shape == (10, 20)
    assert logits.abs().max() < 0.5 and deltas.abs().max() < 0.05


def test_single_level_pool():
    x, boxes = torch.rand(1, 3, 8, 8), [torch.tensor([[0.0, 16, 64, 100]])]
    pooled = SingleLevelRoIPool(7, stride=16)({"0": x}, boxes, [(128, 128)])
    assert torch.equal(pooled, roi_pool(x, boxes, 7, 1 / 16))
