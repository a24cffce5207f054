"""Stacked hourglasses: the authors' layers by their keys, loss and reading by hand, boxes."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.classes import MPII_KEYPOINTS, KeypointSchema
from fastcv.models import create_model
from fastcv.models.landmarks._keypoint_estimator import KeypointEstimator
from fastcv.results import Detections, Instances, Keypoints

SMALL = {"keypoints": 3, "channels": 8, "crop_size": 64}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = create_model("stacked_hourglass_2", **SMALL).train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.rand(4, 3, 64, 64))  # statistics that fit the weights
    return model.eval()


# The network, from its keys.


@pytest.mark.parametrize(("stacks", "count"), [(2, 8_429_088), (4, 16_559_168), (8, 32_819_328)])
def test_counts(stacks, count):
    with torch.device("meta"):
        model = create_model(f"stacked_hourglass_{stacks}")
    assert sum(p.numel() for p in model.parameters()) == count
    assert model.schema is MPII_KEYPOINTS and model.classes == ("background", "person")


def network(state, image, stacks, depth):
    """What the authors' PoseNet does, written as functions of a state dict."""

    def conv(x, key, stride=1):
        weight = state[f"{key}.weight"]
        padding = weight.shape[-1] // 2
        return F.conv2d(x, weight, state[f"{key}.bias"], stride, padding)

    def norm(x, key):
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{key}.{name}"] for name in names))

    def block(x, key):
        out = conv(norm(x, f"{key}.bn1").relu(), f"{key}.conv1.conv")
        out = conv(norm(out, f"{key}.bn2").relu(), f"{key}.conv2.conv")
        out = conv(norm(out, f"{key}.bn3").relu(), f"{key}.conv3.conv")
        return out + (x if x.shape == out.shape else conv(x, f"{key}.skip_layer.conv"))

    def hourglass(x, key, depth):
        low = block(F.max_pool2d(x, 2), f"{key}.low1")
        low = hourglass(low, f"{key}.low2", depth - 1) if depth > 1 else block(low, f"{key}.low2")
        low = block(low, f"{key}.low3")
        return block(x, f"{key}.up1") + low.repeat_interleave(2, 2).repeat_interleave(2, 3)

    x = norm(conv(image, "pre.0.conv", 2), "pre.0.bn").relu()
    x = F.max_pool2d(block(x, "pre.1"), 2)
    x = block(block(x, "pre.3"), "pre.4")
    heatmaps = []
    for i in range(stacks):
        feature = block(hourglass(x, f"hgs.{i}.0", depth), f"features.{i}.0")
        feature = norm(conv(feature, f"features.{i}.1.conv"), f"features.{i}.1.bn").relu()
        heatmaps.append(conv(feature, f"outs.{i}.conv"))
        if i < stacks - 1:
            x = x + conv(heatmaps[i], f"merge_preds.{i}.conv.conv")
            x = x + conv(feature, f"merge_features.{i}.conv.conv")
    return torch.stack(heatmaps, 1)


def test_computes_what_the_keys_say(model):
    crops = torch.rand(2, 3, 64, 128)
    with torch.no_grad():
        expected = network(model.state_dict(), crops, 2, 4)
        torch.testing.assert_close(model(crops), expected, rtol=1e-4, atol=1e-5)
    assert expected.shape == (2, 2, 3, 16, 32) and expected.std() > 0.01


def test_the_authors_checkpoints_load(model, tmp_path):
    state = {f"model.module.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state, "optimizer": {}, "epoch": 3}, tmp_path / "checkpoint.pt")
    loaded = create_model("stacked_hourglass_2", str(tmp_path / "checkpoint.pt"), **SMALL)
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, model.state_dict()[key])


def test_unused_skip_layers_change_nothing(model):
    crops = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = model(crops)
        state = {k: v.clone() for k, v in model.state_dict().items()}
        for key, value in state.items():
            if "skip_layer" in key and not key.startswith(("pre.1.", "pre.4.")):
                value.fill_(math.nan)
        other = create_model("stacked_hourglass_2", **SMALL).eval()
        other.load_state_dict(state)
        assert torch.equal(other(crops), before)


# Loss.


def test_loss_by_hand(model):
    output = torch.rand(2, 2, 3, 16, 16, dtype=torch.float64)
    keypoints = torch.tensor(
        [
            [[10.0, 20.0, 2.0], [0.0, 0.0, 0.0], [63.5, 1.0, 1.0]],
            [[-3.0, 70.0, 1.0], [33.0, 34.0, 2.0], [2.0, 2.0, 0.0]],
        ]
    )
    losses = model.loss(output, (torch.tensor([1, 1]), keypoints))
    for stack in range(2):
        squares = []
        for n, k, i, j in np.ndindex(2, 3, 16, 16):
            x, y, seen = keypoints[n, k].tolist()
            # Cell j reaches from pixel 4j to 4j + 4; its centre is pixel 4j + 2.
            d2 = ((4 * j + 2 - x) / 4) ** 2 + ((4 * i + 2 - y) / 4) ** 2
            expected = math.exp(-d2 / 2) if seen else 0.0
            squares.append((output[n, stack, k, i, j].item() - expected) ** 2)
        own = losses[f"heatmaps_{stack + 1}"].item()
        assert own == pytest.approx(sum(squares) / len(squares) / 2, rel=1e-6)
    assert list(losses) == ["heatmaps_1", "heatmaps_2"]


def test_learns():
    torch.manual_seed(0)
    model = create_model("stacked_hourglass_2", keypoints=2, channels=8, crop_size=64)
    crops = torch.rand(2, 3, 64, 64)
    keypoints = torch.tensor([[[9.0, 41, 2], [50, 13, 2]], [[30, 30, 2], [20, 57, 2]]])
    targets = torch.ones(2).long(), keypoints
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        losses.append(sum(model.loss(model(crops), targets).values()))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2


TWO = torch.ones(2).long(), torch.ones(2, 3, 3)


@pytest.mark.parametrize(
    ("targets", "kind", "message"),
    [
        (TWO[1], TypeError, "targets must be a tensor of labels and one of keypoints, got Tensor"),
        ((TWO[0], [1]), TypeError, "targets must be .*, got tuple of Tensor, list"),
        ((TWO[0][:1], TWO[1]), ValueError, r"labels must be int64 \[2\], got torch.int64 \[1\]"),
        ((TWO[0] * 2, TWO[1]), ValueError, r"labels must be 1 to 1, got \[2, 2\]"),
        ((TWO[0], TWO[1][:, :2]), ValueError, r"keypoints must be .* \[2, 3, 3\].* \[2, 2, 3\]"),
        ((TWO[0], TWO[1][..., :2]), ValueError, r"keypoints must be .* \[2, 3, 3\].* \[2, 3, 2\]"),
        ((TWO[0], TWO[1].long()), ValueError, r"keypoints must be floating .* got torch.int64"),
    ],
)
def test_wrong_targets(model, targets, kind, message):
    with pytest.raises(kind, match=message):
        model.loss(torch.zeros(2, 2, 3, 16, 16), targets)


# Reading.


def read_by_the_authors(heatmap):
    """HeatmapParser of the authors' code, for one heatmap with a peak above 0."""
    height, width = heatmap.shape
    row, column = divmod(int(heatmap.argmax()), width)
    x = column + (
        0.25
        if heatmap[row, min(column + 1, width - 1)] > heatmap[row, max(column - 1, 0)]
        else -0.25
    )
    y = row + (
        0.25
        if heatmap[min(row + 1, height - 1), column] > heatmap[max(row - 1, 0), column]
        else -0.25
    )
    return (x + 0.5) * 4, (y + 0.5) * 4


def test_reads_as_the_authors(model):
    output = torch.rand(5, 2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    output[0, 1, 0, 0, 0] = output[0, 1, 1, 15, 15] = output[1, 1, 0, 7, 15] = 2  # at borders
    points, scores = model.read(output)
    for n, k in np.ndindex(5, 3):
        expected = read_by_the_authors(output[n, 1, k].numpy())
        assert ((points[n, k] + 0.5) * 4).tolist() == pytest.approx(expected)
        assert scores[n, k] == output[n, 1, k].max()


def test_what_has_no_peak_is_not_there(model):
    output = torch.full((1, 3, 2), 4.0), torch.tensor([[0.5, -0.1, math.nan]])
    box = Detections(
        torch.tensor([[0.0, 0, 8, 8]]),
        torch.tensor([0.9]),
        torch.tensor([1]),
        ("background", "object"),
        (8, 8),
    )
    (found,) = model.postprocess(output, box, box.boxes)
    assert found.keypoints[0, :, 2].tolist() == [1, 0, 0]


# Boxes.


class Coloured(KeypointEstimator):
    """Finds the middle of what is red and of what is green: crops alone decide where that is."""

    schema, classes = KeypointSchema(("red", "green")), ("background", "page")
    crop_size, stride = 128, 4

    def __init__(self):
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, crops):
        assert crops.shape[1:] == (3, 128, 128)
        return F.avg_pool2d(crops[:, :2], 4)

    def read(self, output):
        share = output / output.sum((2, 3), keepdim=True)
        x = (share.sum(2) * torch.arange(32)).sum(-1)
        y = (share.sum(3) * torch.arange(32)).sum(-1)
        return torch.stack([x, y], -1), output.amax((2, 3))


def page():
    picture = torch.zeros(3, 90, 120)
    picture[0, 30:34, 50:54] = 1  # its middle is (52, 32)
    picture[1, 44:48, 62:66] = 1  # (64, 46)
    return picture


@pytest.mark.parametrize(
    "boxes",
    [
        None,
        [[40, 20, 80, 60]],
        torch.tensor([[45, 25, 70, 50], [40.5, 10.25, 100, 55.75]]),
        np.array([[-20.0, 20, 70, 60]]),  # beyond the picture
    ],
)
def test_points_are_in_the_picture(boxes):
    (found,) = Coloured().predict(page(), boxes=boxes)
    assert len(found) == (1 if boxes is None else len(boxes))
    for points in found.keypoints:
        # Resampling blurs, and moves nothing.
        torch.testing.assert_close(
            points[:, :2], torch.tensor([[52.0, 32], [64, 46]]), rtol=0, atol=0.2
        )
    expected = torch.tensor([[0.0, 0, 120, 90]]) if boxes is None else torch.as_tensor(boxes)
    torch.testing.assert_close(found.boxes, expected.float())
    assert found.image_size == (90, 120) and found.labels.tolist() == [1] * len(found)
    torch.testing.assert_close(found.scores, found.keypoint_scores.mean(1))


def test_detections_keep_what_they_are():
    boxes = Instances(
        torch.tensor([[40.0, 20, 80, 60], [45, 25, 70, 50]]),
        torch.tensor([0.3, 0.9]),
        torch.tensor([2, 1]),
        ("background", "cat", "dog"),
        (90, 120),
        masks=torch.zeros(2, 90, 120, dtype=torch.bool),
        fields={"track": torch.tensor([4, 5])},
    )
    (found,) = Coloured().predict(page(), boxes=boxes)
    assert type(found) is Keypoints and found.classes == boxes.classes
    assert found.scores.tolist() == pytest.approx([0.3, 0.9])
    assert found.labels.tolist() == [2, 1] and found.fields["track"].tolist() == [4, 5]
    assert found.point(1, "green") == pytest.approx((64, 46), abs=0.15)


def test_no_boxes_and_no_pictures(model):
    for boxes in ([], torch.empty(0, 4), np.zeros((0, 4))):
        (found,) = model.predict(torch.rand(3, 50, 40), boxes=boxes)
        assert len(found) == 0 and found.keypoints.shape == (0, 3, 3)
        assert found.draw(torch.rand(3, 50, 40)) and found.to_dict()["detections"] == []
    assert model.predict([]) == []


def test_many_at_a_time_are_as_one_by_one(model):
    pictures = [torch.rand(3, 40 + i, 70 - i) for i in range(3)]
    boxes = torch.tensor([[i, 2.0, i + 20, 35] for i in range(7)])
    together = model.predict(pictures, boxes=boxes, batch_size=3)
    for picture, found in zip(pictures, together, strict=True):
        (alone,) = model.predict(picture, boxes=boxes[4:5])
        torch.testing.assert_close(found[4].keypoints, alone.keypoints, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[5, 5, 5, 9]], "boxes must be .* with x1 < x2, y1 < y2"),
        ([[9, 5, 5, 9]], "boxes must be .* with x1 < x2, y1 < y2"),
        ([[0, 0, math.nan, 9]], "boxes must be .* with x1 < x2, y1 < y2"),
        ([[0, 0, math.inf, 9]], "boxes must be .* with x1 < x2, y1 < y2"),
        ([0, 0, 5, 9], r"boxes must be \[N, 4\], got \[4\]"),
        ([[0, 0, 5]], r"boxes must be \[N, 4\], got \[1, 3\]"),
    ],
)
def test_wrong_boxes(model, boxes, message):
    with pytest.raises(ValueError, match=message):
        model.predict(torch.rand(3, 40, 60), boxes=boxes)


def test_boxes_of_another_picture(model):
    (found,) = model.predict(torch.rand(3, 40, 60))
    with pytest.raises(ValueError, match="boxes must be those of the image, which is 60x40"):
        model.predict(torch.rand(3, 60, 40), boxes=found)


def test_a_picture_of_one_pixel(model):
    (found,) = model.predict(torch.rand(3, 1, 1))
    assert ((found.keypoints[..., :2] >= 0) & (found.keypoints[..., :2] <= 1)).all()


# Forms.


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": 30}, "channels must be a multiple of 4, got 30"),
        ({"channels": 0}, "channels must be a multiple of 4, got 0"),
        ({"crop_size": 96}, "crop_size must be a multiple of 64, got 96"),
        ({"crop_size": 0}, "crop_size must be a multiple of 64, got 0"),
        ({"keypoints": ["a", "a"]}, "names must be given, each once"),
    ],
)
def test_wrong_config(config, message):
    with pytest.raises(ValueError, match=message):
        create_model("stacked_hourglass_2", **config)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 96, 64), (1, 3, 64, 0)])
def test_wrong_crops(model, shape):
    with pytest.raises(ValueError, match=r"crops must be \[N, 3, H, W\] with H and W multiples"):
        model(torch.zeros(shape))


def test_the_schema_is_saved(tmp_path):
    hand = KeypointSchema(("wrist", "thumb"), edges=[("wrist", "thumb")], sigmas=0.1)
    model = create_model("stacked_hourglass_2", **{**SMALL, "keypoints": hand})
    fastcv.save_model(tmp_path / "hand.safetensors", model)
    assert fastcv.load_model(tmp_path / "hand.safetensors").schema == hand
    (found,) = model.predict(torch.rand(3, 30, 30))
    assert list(found.to_dict()["detections"][0]["keypoints"]) == ["wrist", "thumb"]
    json.dumps(found.to_dict())


def test_mpii():
    assert len(MPII_KEYPOINTS) == 16
    assert MPII_KEYPOINTS.names[:7] == (
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
    )
    # flipped_parts of the authors' data/MPII/ref.py
    expected = [5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10]
    assert MPII_KEYPOINTS.flip_order == expected
