"""Faster R-CNN against torchvision's: keys, detections, losses, gradients."""

import pytest
import skimage.data
import torch
import torchvision
from torchvision.models.detection import FasterRCNN as PeerFasterRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FrozenBatchNorm2d

from fastcv.models import create_model

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
SIZES = {"min_size": 128, "max_size": 200}


def speak_up(peer):
    """Random heads say nothing loudly enough to be detected, or to move a proposal."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in peer.named_parameters():
        if name.startswith(("rpn.head.cls", "rpn.head.bbox", "roi_heads.box_predictor")):
            scale = 1.5 if "cls" in name else 0.3
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
    head, predictor = TwoMLPHead(32 * 49, 64), FastRCNNPredictor(64, 5)
    peer = PeerFasterRCNN(backbone, box_head=head, box_predictor=predictor, **SIZES)
    ours = create_model(
        "fasterrcnn_resnet18_fpn", num_classes=5, fpn_channels=32, head_channels=64, **SIZES
    )
    return same_state(ours, speak_up(peer)), peer


@pytest.fixture(scope="module")
def photographs():
    """Two, of different sizes and proportions."""
    images = [skimage.data.astronaut()[::3, ::3], skimage.data.coffee()[::4, ::3]]
    return [torch.tensor(image.copy()).permute(2, 0, 1) / 255 for image in images]


def assert_same_detections(ours, peer, images):
    ours.eval(), peer.eval()
    with torch.inference_mode():
        found, expected = ours.predict(images, batch_size=len(images)), peer(images)
    for mine, theirs, image in zip(found, expected, images, strict=True):
        assert len(mine) > 5
        assert mine.image_size == tuple(image.shape[-2:])
        assert torch.equal(mine.labels, theirs["labels"])
        torch.testing.assert_close(mine.boxes, theirs["boxes"], **CLOSE)
        torch.testing.assert_close(mine.scores, theirs["scores"], **CLOSE)


def test_detections_on_photographs(small, photographs):
    assert_same_detections(*small, photographs)


def peer_resnet50(frozen_norm):
    """What torchvision's builder makes; it freezes the norms only of weights it downloads."""
    norm = FrozenBatchNorm2d if frozen_norm else torch.nn.BatchNorm2d
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=norm, trainable_layers=5
    )
    return PeerFasterRCNN(backbone, num_classes=91, **SIZES)


@pytest.mark.parametrize("frozen_norm", [False, True])
def test_resnet50_has_the_published_keys(frozen_norm):
    with torch.device("meta"):
        ours = create_model("fasterrcnn_resnet50_fpn", frozen_norm=frozen_norm)
        peer = peer_resnet50(frozen_norm)
    expected = {key: value.shape for key, value in peer.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected


@pytest.mark.slow
def test_resnet50_with_frozen_norms(photographs):
    """The form of the published weights."""
    torch.manual_seed(0)
    peer = peer_resnet50(frozen_norm=True)
    # Without statistics, every block would add to the size of what it was given.
    for name, buffer in peer.named_buffers():
        if name.endswith("bn3.running_var"):
            buffer += 1
    ours = create_model("fasterrcnn_resnet50_fpn", frozen_norm=True, **SIZES)
    assert_same_detections(same_state(ours, speak_up(peer)), peer, photographs[:1])


def test_detections_on_noise(small):
    g = torch.Generator().manual_seed(1)
    assert_same_detections(*small, [torch.rand(3, 90, 120, generator=g) for _ in range(2)])


BOXES = [
    torch.tensor([[5.0, 8.0, 60.0, 90.0], [30.0, 40.0, 110.0, 100.0], [70.0, 5.0, 90.0, 30.0]]),
    torch.tensor([[10.0, 20.0, 80.0, 70.0]]),
]
LABELS = [torch.tensor([1, 4, 2]), torch.tensor([3])]
NO_BOXES, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)


@pytest.mark.parametrize("second", ["with boxes", "without boxes"])
@pytest.mark.parametrize("sampled", ["all", "some"])
def test_losses_and_gradients(small, photographs, monkeypatch, second, sampled):
    ours, peer = small
    # It draws a size even where there is one only, which would move the seed.
    monkeypatch.setattr(peer.transform, "torch_choice", lambda sizes: sizes[0])
    boxes, labels = list(BOXES), list(LABELS)
    if second == "without boxes":
        boxes[1], labels[1] = NO_BOXES, NO_LABELS
    targets = [{"boxes": b, "labels": y} for b, y in zip(boxes, labels, strict=True)]
    samples = 100_000 if sampled == "all" else 64
    for model in (ours, peer):
        sampler = "sampler" if model is ours else "fg_bg_sampler"
        for part in (model.rpn, model.roi_heads):
            one = getattr(part, sampler)
            new = type(one)(samples, one.positive_fraction)
            monkeypatch.setattr(part, sampler, new)
        model.train().zero_grad()
    state = {k: v.clone() for k, v in peer.state_dict().items()}  # running statistics move

    torch.manual_seed(3)
    losses = ours.loss(ours(photographs), targets)
    sum(losses.values()).backward()
    torch.manual_seed(3)
    expected = peer(photographs, targets)
    sum(expected.values()).backward()

    assert set(losses) == set(expected)
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
