"""The proposal network on cases made by hand."""

import math

import pytest
import torch
from torch.nn import functional as F

from fastcv.nn.detection.anchors import AnchorGenerator
from fastcv.nn.detection.rpn import RegionProposalNetwork, RPNHead, RPNOutput

SIZE = (100, 100)


def network(**options):
    return RegionProposalNetwork(
        AnchorGenerator([[16]]), torch.nn.Identity(), **{"batch_size_per_image": 4, **options}
    )


# Three anchors, an object that fits the first, is near the second and far from the third.
ANCHORS = torch.tensor([[10.0, 10, 30, 30], [10, 10, 30, 50], [60, 60, 90, 90]])
OBJECT = torch.tensor([[10.0, 10, 30, 34]])  # IoU 20/24, 24/40 and 0
LOGITS = torch.tensor([[2.0, 5.0, -1.0]])
DELTAS = torch.tensor([[[0.1, 0.0, 0.05, 0.0], [9.0, 9, 9, 9], [8.0, 8, 8, 8]]])


def test_loss_by_hand():
    output = RPNOutput([LOGITS], [DELTAS], [ANCHORS])
    losses = network().loss(output, [OBJECT], [SIZE])
    # The second anchor (IoU 0.6) counts for neither. -log of what is said of the other two:
    entropy = math.log(1 + math.exp(-2.0)) + math.log(1 + math.exp(-1.0))
    assert losses["loss_objectness"].item() == pytest.approx(entropy / 2, rel=1e-5)
    # Centre 22 instead of 20, 24 high instead of 20: equation 2.
    expected = [0.0, 2 / 20, 0.0, math.log(24 / 20)]
    errors = [abs(d - w) for d, w in zip([0.1, 0.0, 0.05, 0.0], expected, strict=True)]
    smooth = [e * e / 2 * 9 if e < 1 / 9 else e - 1 / 18 for e in errors]
    assert losses["loss_rpn_box_reg"].item() == pytest.approx(sum(smooth) / 2, rel=1e-5)


def test_loss_without_objects_is_background_alone():
    output = RPNOutput([LOGITS], [DELTAS], [ANCHORS])
    losses = network().loss(output, [torch.zeros(0, 4)], [SIZE])
    want = F.binary_cross_entropy_with_logits(LOGITS, torch.zeros(1, 3))
    torch.testing.assert_close(losses["loss_objectness"], want)
    assert losses["loss_rpn_box_reg"] == 0


def test_anchors_across_the_boundary_can_be_left_out():
    output = RPNOutput([LOGITS], [DELTAS], [ANCHORS])
    losses = network(ignore_cross_boundary=True).loss(output, [OBJECT], [(100, 80)])
    want = math.log(1 + math.exp(-2.0))  # the third anchor reaches to x = 90
    assert losses["loss_objectness"].item() == pytest.approx(want, rel=1e-5)
    none_left = network(ignore_cross_boundary=True).loss(output, [OBJECT], [(5, 5)])
    assert [float(loss) for loss in none_left.values()] == [0, 0]


def test_proposals_by_hand():
    anchors = torch.tensor(
        [
            [0.0, 0, 20, 20],
            [1, 0, 21, 20],  # overlaps the first, less sure: dropped
            [50, 50, 120, 70],  # clipped at 100
            [40, 0, 60, 20],
            [110, 110, 120, 120],  # outside: nothing is left of it
        ]
    )
    logits = torch.tensor([[1.0, 0.5, 3.0, -2.0, 9.0]])
    deltas = torch.zeros(1, 5, 4)
    deltas[0, 3, 0] = 0.5  # half a width to the right
    output = RPNOutput([logits], [deltas], [anchors])
    (boxes,) = network().propose(output, [SIZE])
    assert boxes.tolist() == [[50, 50, 100, 70], [0, 0, 20, 20], [50, 0, 70, 20]]
    (boxes,) = network(post_nms_top_n=(9, 1)).eval().propose(output, [SIZE])
    assert boxes.tolist() == [[50, 50, 100, 70]]
    (boxes,) = network(pre_nms_top_n=(2, 9)).train().propose(output, [SIZE])
    assert boxes.tolist() == [[50, 50, 100, 70]]
    (boxes,) = network(min_size=30).propose(output, [SIZE])
    assert boxes.shape == (0, 4)


def test_levels_do_not_suppress_each_other():
    box, other = torch.tensor([[0.0, 0, 20, 20]]), torch.tensor([[1.0, 0, 20, 20]])
    output = RPNOutput(
        [torch.tensor([[1.0]]), torch.tensor([[2.0]])], [torch.zeros(1, 1, 4)] * 2, [box, other]
    )
    (boxes,) = network().propose(output, [SIZE])
    assert torch.equal(boxes, torch.cat([other, box]))


def test_no_gradient_goes_through_proposals():
    deltas = torch.zeros(1, 3, 4, requires_grad=True)
    boxes = network().propose(RPNOutput([LOGITS], [deltas], [ANCHORS]), [SIZE])
    assert not boxes[0].requires_grad


def test_softmax_head_is_the_two_class_cross_entropy():
    torch.manual_seed(0)
    head = RPNHead(8, num_anchors=3, objectness_outputs=2)
    torch.nn.init.normal_(head.cls_logits.weight)
    feature = torch.rand(2, 8, 4, 5)
    (logits,), (deltas,) = head([feature])
    assert logits.shape == (2, 60) and deltas.shape == (2, 60, 4)
    raw = head.cls_logits(head.conv(feature))  # background of each anchor, then object of each
    pairs = raw.unflatten(1, (2, 3)).permute(0, 3, 4, 2, 1).reshape(-1, 2)
    labels = torch.arange(len(pairs)) % 2
    want = F.cross_entropy(pairs, labels)
    got = F.binary_cross_entropy_with_logits(logits.flatten(), labels.float())
    torch.testing.assert_close(got, want)


def test_outputs_lie_as_the_anchors_do():
    head = RPNHead(1, num_anchors=3)
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    head.bbox_pred.bias.data = torch.arange(12.0)
    head.cls_logits.bias.data = torch.tensor([0.0, 10.0, 20.0])
    (logits,), (deltas,) = head([torch.zeros(1, 1, 2, 2)])
    assert logits[0].tolist() == [0.0, 10.0, 20.0] * 4
    assert deltas[0, :3].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_old_keys():
    head = RPNHead(4, 3)
    old = {key.replace("conv.0.0", "conv"): value + 1 for key, value in head.state_dict().items()}
    assert "conv.weight" in old
    head.load_state_dict(old)
    assert torch.equal(head.conv[0][0].weight, old["conv.weight"])


def test_half_precision_is_left_before_boxes():
    head = RPNHead(4, 3).to(torch.bfloat16)
    (logits,), (deltas,) = head([torch.rand(1, 4, 2, 2, dtype=torch.bfloat16)])
    assert logits.dtype == deltas.dtype == torch.float32
