"""Super-resolution of photographs by one network, and what each of four losses makes of it.

A small SRResNet learns crops of ten photographs by the square of pixels' errors, and once more by
their absolute value. From the first one's weights it goes on by features alone, and against a
discriminator, which is SRGAN. Held out: crops of six other photographs.

A run has ``photos_srresnet.safetensors``, which is the first, ``mae.safetensors``,
``features.safetensors`` and ``adversarial.safetensors``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.learn import normalised_batches
from fastcv.learn.schedules import one_cycle
from fastcv.metrics import evaluate_super_resolution
from fastcv.models import Model, create_model, save_model
from fastcv.models.generative.srgan import SRGAN, SRDiscriminator
from fastcv.recipes._recipe import Level, Recipe, Run
from fastcv.recipes.generative._features import ByFeatures, DetectorFeatures
from fastcv.recipes.generative._photographs import Bicubic, PhotoCrops

CROPS, SIZE = 2000, 48  # to train on
TEST_CROPS, TEST_SIZE = 16, 96
HELD_OUT = ("test", "val")
BATCH = 8
FURTHER = 1 / 3  # of the epochs, by features and against the discriminator
BETA = 1e-2  # of the adversarial term: these features are of another size than VGG's


def build(**config: Any) -> Model:
    """The generator, with random weights."""
    model = create_model("srresnet_x4", width=16, blocks=4, **config)
    return model.to(memory_format=torch.channels_last)  # on a CPU 1.4 times as fast


def by_pixels(model: Any, device: str) -> dict[str, Any]:
    """The schedule of both losses of pixels."""
    return {
        "batch_size": BATCH,
        "optimizer": partial(torch.optim.Adam, lr=2e-3),
        "scheduler": one_cycle(0.1),
        "collate_fn": normalised_batches(model),
        "samples": sheet,
    }


def further(system: nn.Module) -> dict[str, Any]:
    """The schedule of a system that goes on with a trained generator."""
    adam = partial(torch.optim.Adam, lr=2e-4)
    return {
        "batch_size": BATCH,
        "optimizer": dict.fromkeys(getattr(system, "players", ()), adam) or adam,
        "evaluate": lambda system, crops: evaluate_super_resolution(system.generator, crops),
        "samples": lambda system: sheet(system.generator),
    }


def sheet(model: Any) -> Tensor:
    """What becomes of four held-out crops."""
    crops = PhotoCrops(HELD_OUT, 4, size=TEST_SIZE)
    made = model.predict([crops[i][0] for i in range(len(crops))])
    return torch.cat([found.pictures for found in made])


def srgan(generator: Any) -> SRGAN:
    """The generator and a small discriminator."""
    discriminator = SRDiscriminator(width=16, hidden=64)
    return SRGAN(generator, discriminator, features=DetectorFeatures(), beta=BETA)


SYSTEMS: Mapping[str, Callable[[Any], nn.Module]] = {
    "features": lambda generator: ByFeatures(generator, DetectorFeatures()),
    "adversarial": srgan,
}
"""What goes on with a generator that was trained by pixels."""


def four_losses(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains by squares and by absolute values, then goes on from the first one."""
    torch.manual_seed(run.seed)
    model = recipe.build()
    recipe.fit(model, run)
    found = recipe.keep(model, run)

    train, watched = recipe.data["train"](), recipe.data["val"]()
    torch.manual_seed(run.seed)
    made = {"mae": build(pixel_loss="mae")}
    options = by_pixels(made["mae"], run.device) | {"evaluate": evaluate_super_resolution}
    run.fit(made["mae"], train, "mae", val_data=watched, **options)
    for name, system_of in SYSTEMS.items():
        torch.manual_seed(run.seed)
        made[name] = build()
        made[name].load_state_dict(model.state_dict())
        system = system_of(made[name])
        epochs = max(1, round(run.epochs * FURTHER))
        run.fit(system, train, name, epochs=epochs, val_data=watched, **further(system))

    test = recipe.data["test"]()
    for name, generator in made.items():
        save_model(run.out / f"{name}.safetensors", generator, half=True)
        measured = evaluate_super_resolution(generator, test)
        found |= {f"{name} {key}": value for key, value in measured.items()}
    return found


def beside_bicubic(model: Any, crops: Any) -> dict[str, Any]:
    """PSNR, SSIM and fine detail of a model, and of bicubic interpolation."""
    bicubic = evaluate_super_resolution(Bicubic(), crops)
    found = dict(evaluate_super_resolution(model, crops))
    return found | {f"bicubic {key}": value for key, value in bicubic.items()}


RECIPE = Recipe(
    name="photos_srresnet",
    summary="a small SRResNet on photographs, by four losses, SRGAN's among them",
    data={
        "train": partial(PhotoCrops, ("train",), CROPS, size=SIZE, turn=True),
        "val": partial(PhotoCrops, ("val",), 6, size=TEST_SIZE),
        "test": partial(PhotoCrops, HELD_OUT, TEST_CROPS, size=TEST_SIZE),
    },
    build=build,
    epochs=6,
    schedule=by_pixels,
    metrics=beside_bicubic,
    level=Level(
        {
            "PSNR dB": 28.18,
            "SSIM": 0.714,
            "fine detail": 0.087,
            "mae PSNR dB": 27.95,
            "features PSNR dB": 28.14,
            "adversarial fine detail": 0.139,
        },
        "16 crops of 96 pixels of six other photographs",
        "seed 0, one run",
        "2026-12-01",
    ),
    stages=four_losses,
)
train, evaluate = RECIPE.train, RECIPE.evaluate
