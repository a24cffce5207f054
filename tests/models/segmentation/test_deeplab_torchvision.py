"""DeepLab v3 and v3+ against torchvision's parts: keys, outputs, gradients, published weights."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models import segmentation
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.deeplabv3 import ASPP

from fastcv.models import create_model
from fastcv.models._registry import find_model

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def peer_v3(depth, aux=True):
    return getattr(segmentation, f"deeplabv3_resnet{depth}")(
        weights=None, weights_backbone=None, num_classes=21, aux_loss=aux
    )


@pytest.mark.parametrize("depth", [50, 101])
@pytest.mark.parametrize("aux", [True, False])
def test_v3_keys_and_shapes(depth, aux):
    with torch.device("meta"):
        ours = create_model(f"deeplabv3_resnet{depth}", aux_loss=aux)
        peer = peer_v3(depth, aux)
    expected = {key: value.shape for key, value in peer.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected


def assert_same(ours, peer, logits_of, loss_of_peer):
    """In training, with the same dropout, and after that with the statistics gathered there."""
    g = torch.Generator().manual_seed(1)
    x, targets = torch.randn(2, 3, 65, 81, generator=g), torch.randint(0, 21, (2, 65, 81))
    torch.manual_seed(2)
    output = ours.train()(x)
    torch.manual_seed(2)
    expected = peer.train()(x)
    torch.testing.assert_close(getattr(output, "logits", output), logits_of(expected), **CLOSE)
    sum(ours.loss(output, targets).values()).backward()
    loss_of_peer(expected, targets).backward()
    for key, parameter in peer.named_parameters():
        difference = (ours.get_parameter(key).grad - parameter.grad).abs().max()
        assert difference <= 1e-4 * parameter.grad.abs().max() + 1e-7, key
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), logits_of(peer.eval()(x)), **CLOSE)


def test_v3_outputs_and_gradients():
    torch.manual_seed(0)
    peer, ours = peer_v3(50), create_model("deeplabv3_resnet50")
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())

    def loss(output, targets):
        return F.cross_entropy(output["out"], targets) + F.cross_entropy(output["aux"], targets) / 2

    assert_same(ours, peer, lambda output: output["out"], loss)


class VainF(nn.Module):
    """DeepLab v3+ of torchvision's trunk and ASPP, as VainF's repository joins them."""

    def __init__(self, output_stride):
        super().__init__()
        dilates = (False, output_stride == 8, True)
        rates = (12, 24, 36) if output_stride == 8 else (6, 12, 18)
        resnet = torchvision.models.resnet50(replace_stride_with_dilation=dilates)
        layers = {"layer4": "out", "layer1": "low_level"}
        self.backbone = IntermediateLayerGetter(resnet, return_layers=layers)
        self.classifier = nn.Module()
        self.classifier.project = nn.Sequential(
            nn.Conv2d(256, 48, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU()
        )
        self.classifier.aspp = ASPP(2048, rates)
        self.classifier.aspp.project[3].p = 0.1
        self.classifier.classifier = nn.Sequential(
            nn.Conv2d(304, 256, 3, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.Conv2d(256, 21, 1),
        )

    def forward(self, x):
        maps, head = self.backbone(x), self.classifier
        low = head.project(maps["low_level"])
        high = F.interpolate(head.aspp(maps["out"]), low.shape[2:], mode="bilinear")
        scores = head.classifier(torch.cat([low, high], dim=1))
        return F.interpolate(scores, x.shape[2:], mode="bilinear")


@pytest.mark.parametrize("output_stride", [16, pytest.param(8, marks=pytest.mark.slow)])
def test_v3_plus_outputs_and_gradients(output_stride):
    torch.manual_seed(0)
    peer = VainF(output_stride)
    ours = create_model("deeplabv3plus_resnet50", output_stride=output_stride)
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())
    assert_same(ours, peer, lambda output: output, F.cross_entropy)


@pytest.mark.parametrize("depth", [50, 101])
def test_what_is_known_of_the_weights(depth):
    (ours,) = find_model(f"deeplabv3_resnet{depth}").weights
    theirs = getattr(segmentation, f"DeepLabV3_ResNet{depth}_Weights").COCO_WITH_VOC_LABELS_V1
    assert ours.url == theirs.url and ours.sha256 in ours.url and ours.name == theirs.name
    assert len(ours.classes) == len(theirs.meta["categories"])
    metrics = theirs.meta["_metrics"]["COCO-val2017-VOC-labels"]
    assert list(ours.metric.values()) == [metrics["miou"], metrics["pixel_acc"]]
    assert theirs.transforms().resize_size == [ours.preprocessing["resize"]]
    with torch.device("meta"):
        model = create_model(f"deeplabv3_resnet{depth}")
    assert sum(p.numel() for p in model.parameters()) == theirs.meta["num_params"]
