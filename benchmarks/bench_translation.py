"""A step of pix2pix and of CycleGAN with one forward for all players, and with one for each; their
generators as they are, and after `fastcv.optimize`."""

from functools import partial

import pytest
import torch
from lightning.fabric import Fabric

import fastcv
from fastcv.learn._player import make_players
from fastcv.learn._turn import Batch


def step(system, batch, *, shared):
    """What ``fit`` does in a step, as a call."""
    system.shared_forward = shared
    fabric = Fabric(accelerator="cpu", devices=1)
    adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
    players = make_players(fabric, system, dict.fromkeys(system.players, adam), None, None, 1)

    def run():
        parts = [Batch(batch)]
        for player in players:
            player.backward(fabric, parts, last=player is players[-1])
            player.update(fabric, None)

    return run


def pix2pix():
    torch.manual_seed(0)
    a, b = torch.rand(2, 1, 3, 256, 256)
    return fastcv.create_model("pix2pix_unet256").train().gan(), (a, b)


def cyclegan():
    torch.manual_seed(0)
    model = fastcv.create_model("cyclegan_resnet9", width=32).train()
    a, b = torch.rand(2, 1, 3, 128, 128)
    return model.gan(image_size=128), ((a, b), None)


@pytest.mark.parametrize(
    ("name", "make", "target"),
    [("pix2pix, 256 px", pix2pix, 1.3), ("CycleGAN, width 32, 128 px", cyclegan, 1.3)],
)
def test_step(compare, threads, name, make, target):
    once, each = make(), make()
    compare(
        "step of a translator",
        name,
        step(*once, shared=True),
        step(*each, shared=False),
        peer_name="a forward for each player",
        target=target,
    )


@pytest.mark.parametrize("name", ["cyclegan_resnet9", "pix2pix_unet256"])
def test_generator(compare, threads, name):
    torch.manual_seed(0)
    model = fastcv.create_model(name).eval()
    fast, images = fastcv.optimize(model), torch.rand(1, 3, 256, 256) * 2 - 1
    with torch.inference_mode():
        compare(
            "a translator's generator",
            f"{name}, 256 px",
            lambda: fast(images),
            lambda: model(images),
            peer_name="as it is",
            target=1.2,
        )
