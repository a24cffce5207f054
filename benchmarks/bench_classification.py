"""Classifiers against torchvision's and timm's with the same weights: inference and training."""

import pytest
import timm
import torch
import torchvision.models
from torch.nn import functional as F

import fastcv

NAMES = [
    "alexnet",
    "vgg16",
    "vgg16_bn",
    "googlenet",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "densenet161",
    "legacy_seresnet50",
    "legacy_senet154",
    "efficientnet_b0",
    "efficientnet_b4",
    "legacy_xception",
]

OPTIONS = {"googlenet": {"init_weights": False}}  # theirs takes a minute


@pytest.fixture(scope="module", params=NAMES)
def pair(request):
    """The peer, ours with its weights, the peer's name."""
    name = request.param
    torch.manual_seed(0)
    library = timm if name.startswith("legacy") else torchvision
    peer = (
        timm.create_model(name)
        if library is timm
        else torchvision.models.get_model(name, **OPTIONS.get(name, {}))
    )
    ours = fastcv.create_model(name)
    ours.load_state_dict(peer.state_dict())
    return peer, ours, library.__name__


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("threads", [2], indirect=True, ids=["t2"])
def test_inference(pair, compare, threads, batch):
    peer, ours, library = pair
    peer.eval()
    fast, images = fastcv.optimize(ours), torch.randn(batch, 3, 224, 224)

    @torch.inference_mode()
    def run(model):
        return model(images)

    wanted = run(peer)
    torch.testing.assert_close(run(fast), wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    compare(
        "inference",
        f"{ours.model_name}, {batch} x 224 px",
        lambda: run(fast),
        lambda: run(peer),
        peer_name=library,
        target=1.0,
    )


@pytest.mark.parametrize("threads", [2], indirect=True, ids=["t2"])
def test_training_step(pair, compare, threads):
    peer, ours, library = pair
    images, labels = torch.randn(4, 3, 224, 224), torch.tensor([1, 2, 3, 4])

    def step(model):
        model.zero_grad(set_to_none=True)
        output = model(images)
        F.cross_entropy(getattr(output, "logits", output), labels).backward()

    peer.train(), ours.train()
    compare(
        "training step",
        f"{ours.model_name}, 4 x 224 px",
        lambda: step(ours),
        lambda: step(peer),
        peer_name=library,
        target=1.0,
    )
