"""RetinaNet against torchvision's: keys, detections, losses, gradients."""

import re

import pytest
import skimage.data
import torch
import torchvision
from torchvision.models import detection
from torchvision.models.detection import RetinaNet as PeerRetinaNet
from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from fastcv.models import create_model
from fastcv.models._registry import find_model
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d as OurFrozenBatchNorm2d

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
SIZES = {"min_size": 128, "max_size": 200}


def speak_up(peer):
    """Random heads say the prior of everything: nothing that would be detected."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in peer.head.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() > 1:
            gain = {"cls_logits": 0.6, "bbox_reg": 0.2}.get(name.split(".")[1], 1.4)
            parameter.data = noise * gain / parameter[0].numel() ** 0.5
    return peer


def same_state(ours, peer):
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())
    assert list(ours.state_dict()) == list(peer.state_dict())
    return ours


@pytest.fixture(scope="module")
def small():
    """ResNet-18 with a narrow pyramid: ours and the peer, of the same weights."""
    torch.manual_seed(0)
    layers = {f"layer{i + 2}": str(i) for i in range(3)}
    backbone = BackboneWithFPN(
        torchvision.models.resnet18(weights=None),
        layers,
        [128, 256, 512],
        32,
        LastLevelP6P7(32, 32),
    )
    peer = PeerRetinaNet(backbone, num_classes=5, **SIZES)
    ours = create_model("retinanet_resnet18_fpn", num_classes=5, fpn_channels=32, **SIZES)
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


def test_detections_on_noise(small):
    g = torch.Generator().manual_seed(1)
    assert_same_detections(*small, [torch.rand(3, 90, 120, generator=g) for _ in range(2)])


def peer_resnet50(frozen_norm):
    """What torchvision's builder makes; it freezes the norms only of weights it downloads."""
    norm = FrozenBatchNorm2d if frozen_norm else torch.nn.BatchNorm2d
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights=None,
        norm_layer=norm,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    return PeerRetinaNet(backbone, num_classes=91, **SIZES)


@pytest.mark.parametrize("form", ["frozen_norm", "v1", "v2"])
def test_resnet50_has_the_published_keys(form):
    frozen = form == "frozen_norm"
    with torch.device("meta"):
        if form == "v2":
            ours = create_model("retinanet_resnet50_fpn_v2")
            peer = detection.retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None)
        else:
            ours = create_model("retinanet_resnet50_fpn", frozen_norm=frozen)
            peer = peer_resnet50(frozen)
    expected = {key: value.shape for key, value in peer.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected


@pytest.mark.parametrize(
    ("name", "enum"),
    [
        ("retinanet_resnet50_fpn", detection.RetinaNet_ResNet50_FPN_Weights),
        ("retinanet_resnet50_fpn_v2", detection.RetinaNet_ResNet50_FPN_V2_Weights),
    ],
)
def test_published_weights_are_torchvisions(name, enum):
    (weights,) = find_model(name).weights
    peer = enum.COCO_V1
    assert weights.url == peer.url
    assert weights.url.endswith(f"-{weights.sha256}.pth")
    assert weights.metric == {"box mAP": peer.meta["_metrics"]["COCO-val2017"]["box_map"]}
    # COCO's categories by label; the gaps are named otherwise.
    assert len(weights.classes) == len(peer.meta["categories"])
    with torch.device("meta"):
        model = create_model(name, **weights.config)
    assert sum(p.numel() for p in model.parameters()) == peer.meta["num_params"]
    norms = [m for m in model.modules() if isinstance(m, OurFrozenBatchNorm2d)]
    assert all(norm.eps == 0 for norm in norms) and len(norms) == (0 if "v2" in name else 53)


def test_keys_of_old_checkpoints(small):
    """Before version 2 of torchvision's head, activations were counted among the layers."""
    _, peer = small
    old = {
        re.sub(r"(head\.\w+\.conv)\.(\d)\.0\.", lambda m: f"{m[1]}.{2 * int(m[2])}.", key): value
        for key, value in peer.state_dict().items()
    }
    assert "head.regression_head.conv.6.bias" in old
    fresh = create_model("retinanet_resnet18_fpn", num_classes=5, fpn_channels=32)
    fresh.load_state_dict(old)
    for key, value in peer.state_dict().items():
        assert torch.equal(fresh.state_dict()[key], value)


@pytest.mark.slow
def test_resnet50_v2(photographs):
    """Group norms in the subnets and P6 of C5."""
    torch.manual_seed(0)
    peer = detection.retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None, **SIZES)
    ours = create_model("retinanet_resnet50_fpn_v2", **SIZES)
    same_state(ours, speak_up(peer))
    # In training mode the norms keep the size of what passes; in eval mode new ones do not.
    boxes = torch.tensor([[5.0, 8.0, 60.0, 90.0], [30.0, 40.0, 110.0, 100.0]])
    targets = [{"boxes": boxes, "labels": torch.tensor([3, 90])}] * 2
    losses, expected = ours.loss(ours(photographs), targets), peer(photographs, targets)
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], loss, **CLOSE)


BOXES = [
    torch.tensor([[5.0, 8.0, 60.0, 90.0], [30.0, 40.0, 110.0, 100.0], [70.0, 5.0, 90.0, 30.0]]),
    torch.tensor([[10.0, 20.0, 80.0, 70.0]]),
]
LABELS = [torch.tensor([1, 4, 2]), torch.tensor([3])]
NO_BOXES, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)


@pytest.mark.parametrize("second", ["with boxes", "without boxes"])
def test_losses_and_gradients(small, photographs, second):
    ours, peer = small
    boxes, labels = list(BOXES), list(LABELS)
    if second == "without boxes":
        boxes[1], labels[1] = NO_BOXES, NO_LABELS
    targets = [{"boxes": b, "labels": y} for b, y in zip(boxes, labels, strict=True)]
    for model in (ours, peer):
        model.train().zero_grad()
    state = {k: v.clone() for k, v in peer.state_dict().items()}  # running statistics move

    losses = ours.loss(ours(photographs), targets)
    sum(losses.values()).backward()
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
