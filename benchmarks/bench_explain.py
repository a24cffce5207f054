"""Maps of what a network looks at, against captum and grad-cam, with the same layers and windows.

Guided backpropagation and the windows of occlusion are captum's very forwards and backwards, so the
ratios are of what lies around them.
"""

import pytest
import torch
from torch import nn

from fastcv import explain
from fastcv.models import create_model

captum = pytest.importorskip("captum.attr", reason="no captum here")
grad_cams = pytest.importorskip("pytorch_grad_cam", reason="no grad-cam here")

BATCH, SIDE = 8, 224
TARGETS = list(range(BATCH))
WINDOW, STRIDE = 32, 16


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = create_model("resnet50").eval()
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # captum's hooks do not bear one in place
    return model


@pytest.fixture(scope="module")
def images():
    return torch.randn(BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


WORK = f"ResNet-50, {BATCH} x {SIDE}^2"


def test_grad_cam(compare, threads, model, images):
    peer = captum.LayerGradCam(model, model.layer4)
    compare(
        "grad_cam",
        WORK,
        lambda: explain.grad_cam(model, images, TARGETS, layer="layer4"),
        lambda: peer.interpolate(
            peer.attribute(images, TARGETS, relu_attributions=True), (SIDE, SIDE), "bilinear"
        ),
        peer_name="captum",
        target=1.0,
    )


def test_grad_cam_against_grad_cam(compare, threads, model, images):
    with grad_cams.GradCAM(model, [model.layer4]) as peer:
        of_class = [lambda scores, k=k: scores[k] for k in TARGETS]
        compare(
            "grad_cam",
            WORK,
            lambda: explain.grad_cam(model, images, TARGETS, layer="layer4"),
            lambda: peer(images.clone(), of_class),
            peer_name="grad-cam",
            target=1.2,
        )


@pytest.mark.filterwarnings("ignore::UserWarning:captum")
def test_guided_backprop(compare, threads, model, images):
    few = images[:2]
    peer = captum.GuidedBackprop(model)
    compare(
        "guided_backprop",
        f"ResNet-50, 2 x {SIDE}^2",
        lambda: explain.guided_backprop(model, few, TARGETS[:2]),
        lambda: peer.attribute(few.clone().requires_grad_(), TARGETS[:2]),
        peer_name="captum",
        target=1.0,
    )


@pytest.mark.parametrize("batch", [1, 4, 16], ids="captum-by-{}".format)
def test_occlusion(compare, threads, batch):
    """captum's own default is one window at a time; more are asked for by hand."""
    model = create_model("resnet18").eval()
    image = torch.randn(1, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    peer = captum.Occlusion(model)
    compare(
        "occlusion",
        f"ResNet-18, 112^2, 36 windows, captum {batch} at a time",
        lambda: explain.occlusion(model, image, 3, window=WINDOW, stride=STRIDE),
        lambda: peer.attribute(
            image,
            (3, WINDOW, WINDOW),
            strides=(3, STRIDE, STRIDE),
            target=3,
            perturbations_per_eval=batch,
        ),
        peer_name="captum",
        target=3.0 if batch == 1 else 1.0,
    )


PICTURES = 1000  # of 10,000: whatever their number, the same is done with each


def test_top_patches(compare, threads):
    """All channels of five layers in one pass, beside the forwards alone."""
    model = create_model("resnet18").eval()
    images = torch.randn(PICTURES, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    layers = ["conv1", "layer1", "layer2", "layer3", "layer4"]

    def forwards() -> None:
        with torch.no_grad():
            for batch in images.split(32):
                model(batch)

    compare(
        "top_patches",
        f"ResNet-18, {PICTURES} x 64^2, 5 layers, 1,024 channels",
        lambda: explain.top_patches(model, images, layers),
        forwards,
        peer_name="plain forward",
        target=1 / 1.15,
    )
