"""GAN-CLS learns pictures of sentences: one digit in a colour on a photograph, 32 x 32 pixels.

A run has ``gan/`` with a sheet of samples for each epoch, ``scenes_gan_cls.safetensors``, the
generator with its words, and ``scenes_gan_cls.png``, some sentences.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastcv.data.scene_text import TAGS
from fastcv.metrics import diversity
from fastcv.models import Model, create_model, save_model
from fastcv.models.language.gan_cls import GANCLSDiscriminator
from fastcv.models.language.matching_gan import MatchingGAN
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.generative._digits import ThroughNoise
from fastcv.recipes.language._sentences import (
    PARTS,
    SIDE,
    DigitSentences,
    read,
    training_pictures,
)

WORDS = ("a", "on", "with", *TAGS)  # and "one", which is a digit too
SIZES: dict[str, Any] = {"size": SIDE, "text_size": 128, "projected": 24}
WIDTH, JUDGE_WIDTH, LATENT = 24, 32, 40  # channels at 16 x 16 pixels, random numbers
EACH, GROUPS, BATCH = 8, 50, 250  # pictures of a sentence, sentences that are compared
NEAREST = 16  # wrong texts, of which one is taken
SHOWN = (
    "a red seven on gravel",
    "a blue three on grass",
    "one yellow four on brick",
    "on moon a green eight",
    "coins with a white five",
    "flowers with a black one",
)


def build() -> Model:
    """The generator, with random weights."""
    return create_model("gan_cls_64", words=WORDS, latent_size=LATENT, width=WIDTH, **SIZES)


def measure(model: Any, test: DigitSentences) -> dict[str, float]:
    """Whether a reader finds in the pictures what the sentences say, and whether they differ.

    Two pictures are made of a sentence of each test picture. The shares of the reader's right
    answers on real test pictures stand beside. Then eight pictures of one sentence are compared
    among themselves, and so are eight real ones of it: ``diversity`` is how far apart the made ones
    are as a share of that, by their pixels and by the reader's features.
    """
    asked = test.labels.repeat_interleave(2, dim=0)
    said = [texts[i % len(texts)] for i, texts in enumerate(test.sentences)]
    right = _read(model, said, 2)[1] == asked
    real = read(test.images / 255)[1] == test.labels
    new = test.held_out.repeat_interleave(2)
    groups = groups_of_eight(training_pictures())
    pictures, features = _made_and_real(model, groups)
    return {
        **{name: _share(right[:, i]) for i, name in enumerate(PARTS)},
        "all three": _share(right.all(dim=1)),
        "all three, new compositions": _share(right[new].all(dim=1)),
        "diversity": pictures,
        "diversity of features": features,
        **{f"real {name}": _share(real[:, i]) for i, name in enumerate(PARTS)},
    }


def groups_of_eight(data: DigitSentences) -> dict[str, Tensor]:
    """Sentences with eight pictures or more, and the places of the first eight: up to 50."""
    places: dict[str, list[int]] = {}
    for i, texts in enumerate(data.sentences):
        places.setdefault(texts[0], []).append(i)
    full = [(text, found) for text, found in places.items() if len(found) >= EACH]
    return {text: torch.tensor(found[:EACH]) for text, found in full[:GROUPS]}


def _made_and_real(model: Any, groups: dict[str, Tensor]) -> tuple[float, float]:
    """How far apart made pictures of a sentence are, as a share of real ones: pixels, features."""
    images = training_pictures().images[torch.cat(list(groups.values()))] / 255
    made = model.sample(list(groups), EACH, batch_size=BATCH).pictures.cpu()
    return (
        _differ(made) / _differ(images),
        _differ(read(made)[0]) / _differ(read(images)[0]),
    )


def _differ(things: Tensor) -> float:
    """The mean distance of two of the same eight, of things ``[8 G, ...]``."""
    eights = torch.split(things.flatten(1), EACH)
    return sum(map(diversity, eights)) / len(eights)


def _read(model: Any, texts: list[str], n: int) -> tuple[Tensor, Tensor]:
    return read(model.sample(texts, n, batch_size=BATCH).pictures.cpu())


def _share(right: Tensor) -> float:
    return float(right.double().mean())


def adversarial(model: Any, device: str) -> dict[str, Any]:
    """Adam at more than the paper's rate, for there are few steps: four times for the generator,
    twice for the discriminator. And the mean of the weights."""
    adam = partial(torch.optim.Adam, betas=(0.5, 0.999), fused=True)
    return {
        "batch_size": 32,
        "optimizer": {
            "discriminator": partial(adam, lr=4e-4),
            "generator": partial(adam, lr=8e-4),
        },
        "ema_decay": 0.995,
        "samples": lambda gan: gan.generator.sample(list(SHOWN), EACH, batch_size=BATCH).draw(),
    }


def learn_against(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the generator against a discriminator, keeps it alone, and measures it."""
    torch.manual_seed(run.seed)
    generator: Any = recipe.build()
    judge = GANCLSDiscriminator(width=JUDGE_WIDTH, **SIZES)
    gan = MatchingGAN(generator, ThroughNoise(judge), interpolation=None, nearest_of=NEAREST)
    run.fit(gan, recipe.data["train"](), "gan", **recipe.schedule(gan, run.device))
    weights = run.out / f"{recipe.name}.safetensors"
    save_model(weights, generator, half=True)
    generator.sample(SHOWN, EACH).save(run.out / f"{recipe.name}.png")
    return recipe.evaluate(weights, device=run.device)


RECIPE = Recipe(
    name="scenes_gan_cls",
    summary="GAN-CLS on scenes of a digit: a sentence in, pictures out",
    data={"train": training_pictures, "test": partial(DigitSentences, "test", 500)},
    build=build,
    epochs=26,
    schedule=adversarial,
    metrics=measure,
    # Not trained to its end yet: a level is measured, so there is none, and the module is no recipe
    # of `fastcv train` until there is.
    level=Level({}, "1000 pictures of sentences, judged by a classifier of real ones", "", ""),
    stages=learn_against,
    no_weights=NO_WEIGHTS.format("scenes_gan_cls.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
