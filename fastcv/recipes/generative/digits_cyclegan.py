"""CycleGAN without pairs: dark digits on paper to light digits on slate, and back.

Each digit is drawn both ways. The training never sees which belong together; the test does. With
the cycle loss a digit stays what it is. Without it, nothing asks for that. So small a generator
lights up what it sees all the same, and does not collapse, but it is farther from the partner.

A run has ``cycle/`` and ``no_cycle/``, the generators' weights, and ``digits_cyclegan.png``: paper,
slate by the cycle, slate without it, the hidden partner.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data import pair_of_batches
from fastcv.data._drawn_page import turned
from fastcv.data._drawn_sources import glyphs
from fastcv.images import grey
from fastcv.models import Model, create_model, save_model
from fastcv.models.generative._patch_discriminator import PatchDiscriminator
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.generative._scenes import few_steps, sheets, translated, write_rows

SIDE = 32  # pixels of a picture, along a side
HEIGHT, TURN = (20.0, 23.0), 6.0  # of a digit: pixels, and degrees to either side
PAPER, INK = ((0.95, 0.90, 0.78), 0.03), ((0.12, 0.14, 0.35), 0.05)  # mean colour and deviation
SLATE, CHALK = ((0.16, 0.24, 0.22), 0.02), ((0.93, 0.93, 0.90), 0.03)
GRAIN = 0.03  # of each pixel
WIDTH, BLOCKS = 8, 2
CYCLES = {"cycle": 10.0, "no_cycle": 0.0}
SHOWN = 10


class PaperAndSlate(Dataset[tuple[Tensor, Tensor]]):
    """Digits ``(on paper, on slate)``, each ``[3, 32, 32]`` in [0, 1].

    In training the two are of different samples, drawn apart. In the test both are of one: the
    hidden partners.

    Args:
        split: ``"train"`` or ``"test"``, which share no sample of a digit.
        length: how many.

    Attributes:
        paper: ``[N, 3, 32, 32]`` uint8.
        slate: ``[N, 3, 32, 32]`` uint8.
        labels: ``[N]``, the digit on paper.
        slate_labels: ``[N]``, the digit on slate; in the test the same.
    """

    collate = staticmethod(pair_of_batches)

    def __init__(self, split: str, length: int) -> None:
        rng = np.random.default_rng((split == "test", length))
        paper, slate, labels, slate_labels = [], [], [], []
        for _ in range(length):
            label, cover = _cover(rng, split)
            paper.append(_colours(rng, cover, PAPER, INK))
            labels.append(label)
            if split == "train":
                label, cover = _cover(rng, split)
            slate.append(_colours(rng, cover, SLATE, CHALK))
            slate_labels.append(label)
        self.paper, self.slate = torch.stack(paper), torch.stack(slate)
        self.labels, self.slate_labels = torch.tensor(labels), torch.tensor(slate_labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.paper[index] / 255, self.slate[index] / 255


def _cover(rng: np.random.Generator, split: str) -> tuple[int, np.ndarray]:
    """A digit, and how much of each pixel it covers, in the middle."""
    label = int(rng.integers(10))
    samples = glyphs(split)[label]
    ink = samples[rng.integers(len(samples))].ink
    alpha, _ = turned(rng, ink, rng.uniform(*HEIGHT), math.radians(rng.uniform(-TURN, TURN)))
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    alpha = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][:SIDE, :SIDE]
    y, x = ((SIDE - side) // 2 for side in alpha.shape)
    cover = np.zeros((SIDE, SIDE), np.float32)
    cover[y : y + alpha.shape[0], x : x + alpha.shape[1]] = alpha
    return label, cover


def _colours(rng: np.random.Generator, cover: np.ndarray, *grounds: Any) -> Tensor:
    under, over = (
        np.array(mean)[:, None, None] + rng.normal(0, deviation, (3, 1, 1))
        for mean, deviation in grounds
    )
    picture = under + cover * (over - under) + rng.normal(0, GRAIN, (3, SIDE, SIDE))
    return torch.from_numpy((picture.clip(0, 1) * 255).round().astype(np.uint8))


def build() -> Model:
    """The generator from paper to slate, with random weights."""
    return create_model("cyclegan_resnet9", blocks=BLOCKS, width=WIDTH)


def both(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains with the cycle loss and without, from the same weights, and measures both."""
    found: dict[str, Any] = {}
    data, test = recipe.data["train"](), recipe.data["test"]()
    columns = [test.paper[:SHOWN] / 255]
    for name, weight in CYCLES.items():
        torch.manual_seed(run.seed)
        generator: Any = recipe.build()
        judges = [PatchDiscriminator(3, width=16, layers=2, norm="instance") for _ in "ab"]
        # No identity term: it keeps colours, and these are to change.
        system = generator.gan(
            judges=judges, image_size=SIDE, cycle_weight=weight, identity_weight=0.0
        )
        options = recipe.schedule(system, run.device)
        run.fit(system, data, name, samples=sheets(generator, test.paper), **options)
        file = f"{recipe.name}{'' if weight else '_no_cycle'}.safetensors"
        save_model(run.out / file, generator, half=True)
        measured = recipe.metrics(generator, test)
        found |= {f"{name} {key}": value for key, value in measured.items()}
        columns.append(translated(generator, test.paper[:SHOWN]))
    columns.append(test.slate[:SHOWN] / 255)
    write_rows(run.out / f"{recipe.name}.png", list(zip(*columns, strict=True)))
    return found


def measure(model: Any, test: PaperAndSlate) -> dict[str, float]:
    """What became of the digits on paper, against their hidden partners on slate.

    ``error``: the mean distance to the partner. ``digits``: how many are read as what they were,
    by their nearest neighbours on slate among the training's. ``reader``: the same of the
    partners themselves. ``distinct``: how many partners are the nearest to some picture, as a share
    of all: few, where many pictures became the same.
    """
    made, truth = translated(model, test.paper), test.slate / 255
    known = PaperAndSlate("train", 2000)
    near = _likeness(made, truth)
    return {
        "error": (made - truth).abs().mean().item(),
        "digits": _share(_read(made, known), test.labels),
        "reader": _share(_read(truth, known), test.labels),
        "distinct": len(set(near.argmax(dim=1).tolist())) / len(near),
    }


def _likeness(a: Tensor, b: Tensor) -> Tensor:
    """``[N, M]``: the cosine of pictures in grey, each without its mean."""
    flat = [torch.stack([grey(x) for x in pictures]).flatten(1) for pictures in (a, b)]
    left, right = (F.normalize(x - x.mean(dim=1, keepdim=True)) for x in flat)
    return left @ right.T


def _read(pictures: Tensor, known: PaperAndSlate) -> Tensor:
    """``[N]``: the digit of most of the three likest of those known on slate."""
    near = _likeness(pictures, known.slate / 255).topk(3, dim=1).indices
    return known.slate_labels[near].mode(dim=1).values


def _share(read: Tensor, labels: Tensor) -> float:
    return (read == labels).double().mean().item()


RECIPE = Recipe(
    name="digits_cyclegan",
    summary="CycleGAN from digits on paper to digits on slate, with and without the cycle",
    data={
        "train": partial(PaperAndSlate, "train", 1200),
        "test": partial(PaperAndSlate, "test", 300),
    },
    build=build,
    epochs=5,
    schedule=few_steps,
    metrics=measure,
    level=Level(
        {
            "cycle error": 0.042,
            "cycle digits": 0.963,
            "cycle reader": 0.977,
            "cycle distinct": 1.0,
            "no_cycle error": 0.065,
            "no_cycle digits": 0.970,
            "no_cycle distinct": 0.993,
        },
        "300 digits whose handwriting it never saw",
        "seed 0, one run",
        "2026-12-01",
    ),
    stages=both,
    no_weights=NO_WEIGHTS.format("digits_cyclegan.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
