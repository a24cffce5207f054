"""Nearest neighbours of moved digits: by pixels other digits, by a network's features the same.

Scans of 8 x 8 pixels lie on a canvas of 16 x 16, moved by up to 3 pixels. A thousand of them are
the database, and what the network learned from; the others ask for the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from fastcv import augment
from fastcv._extras import need
from fastcv.explain.neighbours import Neighbours, neighbours
from fastcv.metrics import evaluate_classifier
from fastcv.models.classification._classifier import Classifier
from fastcv.recipes._recipe import Level, Recipe
from fastcv.recipes.learn._small import small_classifier
from fastcv.results import Gallery

DATABASE = 1000  # of the 1797 digits, the first
SIDE, SCAN = 16, 8  # pixels of the canvas and of a scan, along a side
FARTHEST = 3  # pixels that a scan is moved, down and right
COPIES = 8  # of each digit to train on, each moved otherwise
AUGMENT = augment.RandomAffine(angle=10, scale=(0.9, 1.1), shear=0.1)
SHOWN, NEAREST = 4, 5


class CanvasDigits(Dataset[tuple[Tensor, int]]):
    """scikit-learn's digits on a canvas, grey as RGB, and which digit each is.

    Args:
        part: which of the 1797.
        moved: by up to 3 pixels, at random; False: in the middle.
        copies: of each, moved otherwise.
        seed: of the moves.

    Attributes:
        images: ``[N, 3, 16, 16]`` in [0, 1].
        labels: ``[N]``.
    """

    classes = tuple("0123456789")

    def __init__(self, part: slice, *, moved: bool = True, copies: int = 1, seed: int = 0) -> None:
        collection = need("sklearn.datasets", extra="data").load_digits()
        scans = torch.from_numpy(collection.images[part]).float().repeat(copies, 1, 1) / 16
        self.labels = torch.from_numpy(collection.target[part]).repeat(copies)
        middle = (SIDE - SCAN) // 2
        corners = torch.full((len(scans), 2), middle)
        if moved:
            random = torch.Generator().manual_seed(seed)
            corners += torch.randint(-FARTHEST, FARTHEST + 1, corners.shape, generator=random)
        canvas = torch.zeros(len(scans), SIDE, SIDE)
        for sheet, scan, (top, left) in zip(canvas, scans, corners.tolist(), strict=True):
            sheet[top : top + SCAN, left : left + SCAN] = scan
        self.images = canvas[:, None].expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])


class SmallCNN(Classifier):
    """Three convolutions with norms, a max pool after the first two, the mean of the last maps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = self._conv(3, 16, 5)
        self.conv2 = self._conv(16, 32, 3)
        self.conv3 = self._conv(32, 64, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(64, len(CanvasDigits.classes))
        self.classes = CanvasDigits.classes
        self.preprocessing = {**self.preprocessing, "resize": SIDE, "crop": SIDE}

    @staticmethod
    def _conv(inputs: int, outputs: int, size: int) -> nn.Sequential:
        conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, 10]`` of normalised images ``[B, 3, 16, 16]``."""
        x = self.pool(self.conv1(images))
        x = self.conv3(self.pool(self.conv2(x)))
        return self.fc(x.mean(dim=(2, 3)))


def build() -> SmallCNN:
    """With random weights."""
    return SmallCNN()


def indices(model: SmallCNN, digits: CanvasDigits) -> dict[str, Neighbours]:
    """Of these digits, by pixels and by the last maps' means."""
    batch = model.prepare(list(digits.images.to(next(model.parameters()).device)))
    return {
        "pixels": neighbours(None, digits.images),
        "features": neighbours(model, batch, layer="conv3"),
    }


def queries_for(model: SmallCNN, digits: CanvasDigits) -> dict[str, Tensor]:
    """The same digits, as each of ``indices`` is asked for them."""
    device = next(model.parameters()).device
    return {"pixels": digits.images, "features": model.prepare(list(digits.images.to(device)))}


def nearest_is_right(model: SmallCNN, test: CanvasDigits) -> dict[str, Any]:
    """The accuracy, and how often the nearest of the database is the same digit."""
    found: dict[str, Any] = {"acc@1": evaluate_classifier(model, test)["acc@1"]}
    queries = queries_for(model, test)
    for name, moved in (("moved", True), ("centred", False)):
        database = CanvasDigits(slice(DATABASE), moved=moved, seed=1)
        for by, index in indices(model, database).items():
            nearest = index.query(queries[by], 1).indices[:, 0]
            same = database.labels[nearest] == test.labels
            found[f"by {by}, {name} database"] = same.float().mean().item()
    return found


@dataclass(frozen=True)
class Shown:
    """A query and its nearest.

    Args:
        query: ``[3, 16, 16]``.
        label: which digit it is.
        nearest: by ``"pixels"`` and by ``"features"``, images and which digits they are.
    """

    query: Tensor
    label: int
    nearest: dict[str, list[tuple[Tensor, int]]]


def side_by_side(model: SmallCNN) -> list[Shown]:
    """Queries whose nearest is another digit by pixels, and the same by features."""
    database = CanvasDigits(slice(DATABASE), seed=1)
    test = CanvasDigits(slice(DATABASE, None), seed=2)
    queries = queries_for(model, test)
    found = {
        by: index.query(queries[by], NEAREST).indices
        for by, index in indices(model, database).items()
    }
    right = {by: database.labels[nearest[:, 0]] == test.labels for by, nearest in found.items()}
    told_apart = (right["features"] & ~right["pixels"]).nonzero()[:, 0]
    chosen = told_apart[:: max(1, len(told_apart) // SHOWN)][:SHOWN].tolist()
    return [
        Shown(*test[i], {by: [database[j] for j in at[i].tolist()] for by, at in found.items()})
        for i in chosen
    ]


def show(model: SmallCNN, folder: Path) -> None:
    """Draws ``side_by_side``: of each query a row by pixels and one by features."""
    pictures, captions = [], []
    for shown in side_by_side(model):
        for by, nearest in shown.nearest.items():
            pictures += [_picture(image) for image in (shown.query, *(x for x, _ in nearest))]
            captions += [f"a {shown.label}, by {by}", *(str(label) for _, label in nearest)]
    Gallery(pictures, captions, NEAREST + 1, "neighbours").save(folder / "neighbours.png")


def _picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy())


RECIPE = Recipe(
    name="digits_neighbours",
    summary="a small CNN on moved digits: nearest neighbours by its features and by pixels",
    data={
        "train": partial(CanvasDigits, slice(DATABASE), copies=COPIES),
        "test": partial(CanvasDigits, slice(DATABASE, None), seed=2),
    },
    build=build,
    epochs=8,
    schedule=partial(small_classifier, lr=3e-3, batch_size=32, augment=AUGMENT),
    metrics=nearest_is_right,
    level=Level(
        {
            "acc@1": 0.981,
            "by pixels, moved database": 0.718,
            "by features, moved database": 0.984,
            "by pixels, centred database": 0.171,
            "by features, centred database": 0.979,
        },
        "the last 797 digits, moved by up to 3 pixels; 1,000 in the database",
        "seed 0, one run",
        "2026-11-30",
    ),
    show=show,
)
train, evaluate = RECIPE.train, RECIPE.evaluate
