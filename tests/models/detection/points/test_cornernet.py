"""CornerNet and CenterNet's triplets: checkpoints' keys, sizes, losses and boxes by hand."""

import math

import pytest
import torch

from fastcv.models import create_model
from fastcv.models.detection.points._detector import PointOutput
from fastcv.models.detection.points.centernet_triplet import Triplet
from fastcv.models.detection.points.cornernet import Corners
from fastcv.nn.detection.transform import ImageBatch
from fastcv.nn.points.heads import CenterMaps, CornerMaps

# Some of the keys and shapes of the authors' checkpoints, and how many there are in all.
CORNERS = {
    "pre.0.conv.weight": (128, 3, 7, 7),
    "kps.0.up1.1.conv2.weight": (256, 256, 3, 3),
    "cnvs.0.bn.running_var": (256,),
    "tl_cnvs.0.p1_conv1.conv.weight": (128, 256, 3, 3),
    "tl_cnvs.0.p_bn1.weight": (256,),
    "br_cnvs.0.conv1.weight": (256, 256, 1, 1),
    "br_cnvs.0.conv2.bn.bias": (256,),
    "tl_heats.0.0.conv.bias": (256,),
    "br_heats.0.1.weight": (80, 256, 1, 1),
    "tl_tags.0.1.bias": (1,),
    "br_tags.0.0.conv.weight": (256, 256, 3, 3),
    "tl_regrs.0.1.weight": (2, 256, 1, 1),
}
SECOND = {
    "kps.1.low2.low1.0.skip.0.weight": (384, 256, 1, 1),
    "inters.0.bn2.weight": (256,),
    "cnvs_.0.1.running_mean": (256,),
    "br_regrs.1.1.weight": (2, 256, 1, 1),
}
CENTER = {
    "tl_cnvs.0.look_conv1.conv.weight": (128, 256, 3, 3),
    "br_cnvs.0.P2_look_conv.weight": (128, 128, 3, 3),
    "ct_cnvs.0.p2_conv1.bn.weight": (128,),
    "ct_heats.0.1.weight": (80, 256, 1, 1),
    "ct_regrs.0.0.conv.weight": (256, 256, 3, 3),
}


@pytest.mark.parametrize(
    ("name", "count", "facts"),
    [
        ("cornernet_hourglass104", 1128, CORNERS | SECOND),
        ("centernet_triplet_hourglass104", 1260, CORNERS | SECOND | CENTER),
        ("centernet_triplet_hourglass52", 630, CORNERS | CENTER),
    ],
)
def test_keys_of_checkpoints(name, count, facts):
    with torch.device("meta"):
        model = create_model(name)
    state = model.state_dict()
    assert len(state) == count
    for theirs, shape in facts.items():
        assert tuple(state[model.rename_key(theirs)].shape) == shape, theirs
    assert all(model.rename_key(key) == key for key in state)


def test_511_pixels_are_128_cells():
    """A side is a multiple of 128 less one, so that the cells lie symmetrically."""
    model = create_model(
        "cornernet_hourglass104", num_classes=2, dims=(4,) * 6, modules=(1,) * 6, stacks=1
    )
    output = model.eval()([torch.rand(3, 300, 400)])
    assert output.batch.tensors.shape == (1, 3, 383, 511)
    assert output.batch.sizes == [(383, 511)]
    assert output.stacks[0].top_left.heatmap.shape == (1, 1, 96, 128)


def test_all_stacks_in_training_the_last_alone_in_eval():
    model = create_model("cornernet_hourglass104", num_classes=2, dims=(4, 4), modules=(1, 1))
    images = [torch.rand(3, 40, 50)]
    assert len(model(images).stacks) == 2 and len(model.eval()(images).stacks) == 1


def maps(points, kind):
    """Maps of points ``(channel, x, y, score, embedding, dx, dy)`` on 16 x 16 cells."""
    # A slope, so that no cell is a peak but those below, and (0, 0).
    heatmap = -12 - torch.linspace(0, 1, 256).reshape(16, 16).expand(1, 2, 16, 16).clone()
    embedding, offset = torch.zeros(1, 1, 16, 16), torch.zeros(1, 2, 16, 16)
    for channel, x, y, score, tag, dx, dy in points:
        heatmap[0, channel, y, x] = math.log(score / (1 - score))
        embedding[0, 0, y, x] = tag
        offset[0, :, y, x] = torch.tensor([dx, dy])
    return kind(heatmap, offset) if kind is CenterMaps else kind(heatmap, embedding, offset)


def planted(top_left, bottom_right, center=None):
    """The output for an image of 63 x 63, as if it held these points."""
    batch = ImageBatch(torch.zeros(1, 3, 63, 63), [(63, 63)], [(63, 63)])
    corners = maps(top_left, CornerMaps), maps(bottom_right, CornerMaps)
    stack = Corners(*corners) if center is None else Triplet(*corners, maps(center, CenterMaps))
    return PointOutput(batch, [stack])


def small(name):
    return create_model(name, num_classes=3, dims=(4, 4), modules=(1, 1), size=63)


TOP_LEFT = [(0, 2, 2, 0.9, 1.0, 0.5, 0.0), (1, 8, 1, 0.8, -1.0, 0.0, 0.0)]
BOTTOM_RIGHT = [(0, 11, 8, 0.7, 1.0, 0.0, 0.5), (1, 14, 14, 0.6, -1.0, 0.0, 0.0)]
PIXELS = 63 / 16  # from a cell to the next


def test_planted_corners_are_found():
    (found,) = small("cornernet_hourglass104").postprocess(planted(TOP_LEFT, BOTTOM_RIGHT))
    torch.testing.assert_close(found.scores, torch.tensor([0.8, 0.7]))
    assert found.labels.tolist() == [1, 2]
    want = torch.tensor([[2.5, 2, 11, 8.5], [8, 1, 14, 14]]) * PIXELS
    torch.testing.assert_close(found.boxes, want)


def test_soft_nms_lowers_what_overlaps():
    """The same bottom-right corner with two top-left ones of the class, IoU 0.75."""
    output = planted(
        [(0, 2, 2, 0.9, 1.0, 0.0, 0.0), (0, 4, 2, 0.7, 1.0, 0.0, 0.0)],
        [(0, 10, 10, 0.9, 1.0, 0.0, 0.0)],
    )
    (found,) = small("cornernet_hourglass104").postprocess(output)
    want = torch.tensor([0.9, 0.8 * math.exp(-(0.75**2) / 0.5)])
    torch.testing.assert_close(found.scores, want)


def test_a_box_needs_its_centre():
    model = small("centernet_triplet_hourglass52")
    centers = [(0, 6, 5, 0.5, 0, 0.75, 0.25)]  # the first's alone
    (found,) = model.postprocess(planted(TOP_LEFT, BOTTOM_RIGHT, centers))
    assert found.labels.tolist() == [1]
    torch.testing.assert_close(found.scores, torch.tensor([(0.9 + 0.7 + 0.5) / 3]))
    want = torch.tensor([[2.5, 2, 11, 8.5]]) * PIXELS
    torch.testing.assert_close(found.boxes, want)


def test_large_boxes_have_a_narrower_middle():
    """A centre at 0.37 of a box is in its middle third, not in its middle fifth."""
    model = small("centernet_triplet_hourglass52")
    output = planted([(0, 1, 1, 0.9, 0, 0, 0)], [(0, 11, 11, 0.9, 0, 0, 0)])
    center = maps([(0, 4, 4, 0.9, 0, 0.7, 0.7)], CenterMaps)
    output = output._replace(stacks=[Triplet(*output.stacks[0], center)])
    assert len(model.postprocess(output)[0]) == 1
    tensors = torch.zeros(1, 3, 255, 255)  # the same box, 159 pixels wide
    batch = output.batch._replace(tensors=tensors, sizes=[(255, 255)])
    assert len(model.postprocess(output._replace(batch=batch))[0]) == 0


def test_losses_by_hand():
    """Both boxes as planted, but for offsets and embeddings."""
    top_left = [(0, 2, 2, 0.9, 1.0, 0.0, 0.0), (1, 8, 1, 0.8, 0.75, 0.0, 0.0)]
    bottom_right = [(0, 11, 8, 0.7, 0.5, 0.0, 0.0), (1, 14, 14, 0.6, 0.75, 2.0, 0.0)]
    center = [(0, 6, 5, 0.5, 0, 0.75, 0.25), (1, 11, 7, 0.5, 0, 0.0, 0.5)]
    boxes = torch.tensor([[2.5, 2, 11, 8.5], [8, 1, 14, 14]]) * PIXELS
    target = {"boxes": boxes, "labels": torch.tensor([1, 2])}
    output = planted(top_left, bottom_right, center)
    losses = small("centernet_triplet_hourglass52").loss(output, [target])

    def heat(*scores):
        return -sum((1 - p) ** 2 * math.log(p) for p in scores) / len(scores)

    want = {
        "loss_heatmap": heat(0.9, 0.8) + heat(0.7, 0.6) + heat(0.5, 0.5),
        # Smooth L1 of 0.5 and of 2, of two points each.
        "loss_offset": 0.125 / 2 + (0.125 + 1.5) / 2,
        "loss_pull": 0.1 * (2 * 0.25**2) / 2,
        "loss_push": 0.1 * 1.0,  # both means are 0.75
    }
    for name, value in want.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-3), name
