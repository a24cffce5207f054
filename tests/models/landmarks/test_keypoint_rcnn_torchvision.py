"""Keypoint R-CNN against torchvision's: keys, boxes, keypoints, losses, gradients."""

import pytest
import skimage.data
import torch
import torchvision
from torchvision.models.detection import KeypointRCNN as PeerKeypointRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints
from torchvision.ops import FrozenBatchNorm2d

from fastcv.models import create_model
from fastcv.nn.detection.keypoint_branch import heatmap_peaks

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
SIZES = {"min_size": 128, "max_size": 200}
LOUD = ("rpn.head.cls", "rpn.head.bbox", "roi_heads.box_predictor", "roi_heads.keypoint_predictor")


def speak_up(peer):
    """Random heads say nothing loudly enough to be detected, or to move a proposal."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in peer.named_parameters():
        if name.startswith(LOUD):
            scale = 1.5 if "cls" in name or "keypoint" in name else 0.3
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = noise * scale / max(parameter[0].numel(), 25) ** 0.5
    return peer


def same_state(ours, peer):
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())
    assert list(ours.state_dict()) == list(peer.state_dict())
    return ours


@pytest.fixture(scope="module")
def small():
    """ResNet-18 with narrow heads: ours and the peer, of the same weights."""
    torch.manual_seed(0)
    layers = {f"layer{i + 1}": str(i) for i in range(4)}
    backbone = BackboneWithFPN(
        torchvision.models.resnet18(weights=None), layers, [64, 128, 256, 512], out_channels=32
    )
    peer = PeerKeypointRCNN(
        backbone,
        box_head=TwoMLPHead(32 * 49, 64),
        box_predictor=FastRCNNPredictor(64, 3),
        keypoint_head=KeypointRCNNHeads(32, [24] * 8),
        keypoint_predictor=KeypointRCNNPredictor(24, 6),
        **SIZES,
    )
    ours = create_model(
        "keypointrcnn_resnet18_fpn",
        num_classes=3,
        keypoints=6,
        fpn_channels=32,
        head_channels=64,
        keypoint_channels=24,
        **SIZES,
    )
    return same_state(ours, speak_up(peer)), peer


@pytest.fixture(scope="module")
def photographs():
    """Two, of different sizes and proportions."""
    images = [skimage.data.astronaut()[::3, ::3], skimage.data.coffee()[::4, ::3]]
    return [torch.tensor(image.copy()).permute(2, 0, 1) / 255 for image in images]


def test_boxes_and_keypoints(small, photographs):
    ours, peer = small
    ours.eval(), peer.eval()
    with torch.inference_mode():
        found, expected = ours.predict(photographs, batch_size=2), peer(photographs)
    for mine, theirs in zip(found, expected, strict=True):
        assert len(mine) > 5
        assert torch.equal(mine.labels, theirs["labels"])
        torch.testing.assert_close(mine.boxes, theirs["boxes"], **CLOSE)
        torch.testing.assert_close(mine.scores, theirs["scores"], **CLOSE)
        torch.testing.assert_close(mine.keypoint_scores, theirs["keypoints_scores"], **CLOSE)
        torch.testing.assert_close(mine.keypoints, theirs["keypoints"], **CLOSE)
        assert mine.keypoints[..., :2].flatten(0, 1).std(dim=0).min() > 5  # not all at one place


@pytest.mark.parametrize(
    "box",
    [[10.0, 20, 45, 61], [0.0, 0, 0.3, 0.2], [3.2, 4.7, 90.1, 8.9], [-4.0, -3, 20, 30]],
)
def test_peaks_of_any_box(box):
    g = torch.Generator().manual_seed(2)
    maps, boxes = torch.randn(1, 5, 56, 56, generator=g), torch.tensor([box])
    points, scores = heatmap_peaks(maps, boxes)
    expected, expected_scores = heatmaps_to_keypoints(maps, boxes)
    torch.testing.assert_close(points, expected[..., :2])
    torch.testing.assert_close(scores, expected_scores)


@pytest.mark.parametrize("frozen_norm", [False, True])
def test_resnet50_has_the_published_keys(frozen_norm):
    norm = FrozenBatchNorm2d if frozen_norm else torch.nn.BatchNorm2d
    with torch.device("meta"):
        ours = create_model("keypointrcnn_resnet50_fpn", frozen_norm=frozen_norm)
        peer = PeerKeypointRCNN(
            resnet_fpn_backbone(
                backbone_name="resnet50", weights=None, norm_layer=norm, trainable_layers=5
            ),
            num_classes=2,
        )
    expected = {key: value.shape for key, value in peer.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected
    count = sum(p.numel() for p in ours.parameters())
    assert count == (59_137_258 if frozen_norm else 59_190_378)


BOXES = [
    torch.tensor([[5.0, 8.0, 60.0, 90.0], [30.0, 40.0, 110.0, 100.0], [70.0, 5.0, 90.0, 30.0]]),
    torch.tensor([[10.0, 20.0, 80.0, 70.0]]),
]
LABELS = [torch.tensor([1, 2, 2]), torch.tensor([1])]


def points_in(boxes):
    """Six a box: within it, on its corners, outside, and two that are not seen."""
    places = torch.tensor([[0.3, 0.2], [0.0, 0.0], [1.0, 1.0], [1.2, 0.5], [0.5, 0.5], [0.7, 0.9]])
    xy = boxes[:, None, :2] + places * (boxes[:, None, 2:] - boxes[:, None, :2])
    seen = torch.tensor([2.0, 1, 2, 2, 0, 0]).expand(len(boxes), 6)[..., None]
    return torch.cat([xy, seen], dim=-1)


@pytest.mark.parametrize("second", ["with boxes", "without boxes", "unseen"])
def test_losses_and_gradients(small, photographs, monkeypatch, second):
    ours, peer = small
    # It draws a size even where there is one only, which would move the seed.
    monkeypatch.setattr(peer.transform, "torch_choice", lambda sizes: sizes[0])
    boxes, labels = list(BOXES), list(LABELS)
    if second == "without boxes":
        boxes[1], labels[1] = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    targets = [
        {"boxes": b, "labels": y, "keypoints": points_in(b)}
        for b, y in zip(boxes, labels, strict=True)
    ]
    if second == "unseen":
        targets[1]["keypoints"][..., 2] = 0
    for model in (ours, peer):
        sampler = "sampler" if model is ours else "fg_bg_sampler"
        for part in (model.rpn, model.roi_heads):
            one = getattr(part, sampler)
            monkeypatch.setattr(part, sampler, type(one)(64, one.positive_fraction))
        model.train().zero_grad()
    state = {k: v.clone() for k, v in peer.state_dict().items()}  # running statistics move

    torch.manual_seed(3)
    losses = ours.loss(ours(photographs), targets)
    sum(losses.values()).backward()
    torch.manual_seed(3)
    expected = peer(photographs, targets)
    sum(expected.values()).backward()

    assert set(losses) == set(expected) and "loss_keypoint" in losses
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], loss, **CLOSE, msg=lambda m, n=name: f"{n}: {m}")
        assert loss > 0
    gradients = dict(peer.named_parameters())
    for name, parameter in ours.named_parameters():
        want = gradients[name].grad
        torch.testing.assert_close(
            parameter.grad, want, rtol=1e-3, atol=1e-4 * float(want.abs().max() + 1e-3), msg=name
        )
    ours.load_state_dict(state), peer.load_state_dict(state)
