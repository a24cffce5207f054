"""A multi-layer perceptual loss on VGG-16: ours, optimised, and torchvision's features in eager."""

import pytest
import torch
import torchvision
from torch.nn import functional as F

import fastcv
from fastcv.nn.backbones.loss_network import MEAN, STD, LossNetwork
from fastcv.nn.losses.perceptual import PerceptualLoss

PLACES = {"relu1_2": 3, "relu2_2": 8, "relu3_3": 15, "relu4_3": 22}
CONTENT = "relu2_2"
SIDE = 128


def eager(features, style):
    """Johnson's loss as pytorch/examples writes it: modules one by one, ``bmm`` for Gram."""
    mean, std = (torch.tensor(x)[:, None, None] for x in (MEAN, STD))

    def maps(pictures):
        x, found = (pictures - mean) / std, {}
        for place, layer in enumerate(features[: max(PLACES.values()) + 1]):
            x = layer(x)
            found.update({name: x for name, at in PLACES.items() if at == place})
        return found

    def gram(x):
        b, c, h, w = x.shape
        flat = x.reshape(b, c, h * w)
        return flat.bmm(flat.mT) / (c * h * w)

    with torch.no_grad():
        grams = {name: gram(x) for name, x in maps(style).items()}

    def loss(made, wanted):
        found = maps(made)
        with torch.no_grad():
            target = maps(wanted)[CONTENT]
        terms = [F.mse_loss(gram(found[name]), grams[name].expand(len(made), -1, -1))
                 for name in PLACES]  # fmt: skip
        return 1e5 * F.mse_loss(found[CONTENT], target) + 1e10 * torch.stack(terms).sum()

    return loss


@pytest.mark.parametrize("with_gradient", [False, True])
def test_perceptual_loss(compare, threads, with_gradient):
    torch.manual_seed(0)
    peer_features = torchvision.models.vgg16(weights=None).features.eval().requires_grad_(False)
    network = LossNetwork()
    peer_features.load_state_dict(network.features.state_dict())
    style, made, wanted = torch.rand(3, 1, 3, SIDE, SIDE)
    made.requires_grad_(with_gradient)
    ours = fastcv.optimize(
        PerceptualLoss(
            network,
            content={CONTENT: 1e5},
            style=dict.fromkeys(PLACES, 1e10),
            style_picture=style[0],
        )
    )
    theirs = eager(peer_features, style)

    def run(total):
        if with_gradient:
            made.grad = None
            total.backward()
        return total

    def run_ours():
        return run(torch.stack(list(ours(made, wanted).values())).sum())

    def run_theirs():
        return run(theirs(made, wanted))

    torch.testing.assert_close(run_ours(), run_theirs(), rtol=1e-3, atol=0)
    compare(
        "perceptual loss",
        f"VGG-16 to relu4_3, {SIDE} px, {'with' if with_gradient else 'without'} gradient",
        run_ours,
        run_theirs,
        peer_name="eager",
        target=1.2,
    )
