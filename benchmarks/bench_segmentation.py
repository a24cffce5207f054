"""Segmenters against torchvision's and segmentation_models_pytorch's with the same weights."""

import pytest
import segmentation_models_pytorch as smp
import torch
from torchvision.models import segmentation

import fastcv


def of_torchvision(name):
    build = getattr(segmentation, name)
    return build(weights=None, weights_backbone=None, num_classes=21, aux_loss=False)


def of_smp(backbone):
    return smp.DeepLabV3Plus(backbone, encoder_weights=None, classes=21)


PLAIN = {"aux_loss": False}

# name: the peer, what ours is told, the side of the image, the target
PAIRS = {
    "deeplabv3plus_resnet50": (lambda: of_smp("resnet50"), {"separable": True}, 512, 1.3),
    "deeplabv3plus_xception65": (lambda: of_smp("tu-xception65"), {}, 512, 1.3),
    "deeplabv3_resnet50": (lambda: of_torchvision("deeplabv3_resnet50"), PLAIN, 513, 1.0),
    "fcn_resnet50": (lambda: of_torchvision("fcn_resnet50"), PLAIN, 513, 1.0),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("threads", [2], indirect=True, ids=["t2"])
def test_inference(name, compare, threads):
    make_peer, config, side, target = PAIRS[name]
    torch.manual_seed(0)
    peer = make_peer().eval()
    ours = fastcv.create_model(name, **config)
    ours.load_state_dict(peer.state_dict())
    fast = fastcv.optimize(ours)
    # segmentation_models_pytorch takes sides that are multiples of 16 only.
    images = torch.randn(1, 3, side, side)

    @torch.inference_mode()
    def run(model):
        output = model(images)
        return output["out"] if isinstance(output, dict) else output

    wanted = run(peer)
    torch.testing.assert_close(run(fast), wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    compare(
        "inference",
        f"{name}, {side} px",
        lambda: run(fast),
        lambda: run(peer),
        peer_name=type(peer).__module__.split(".")[0],
        target=target,
    )
