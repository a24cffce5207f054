"""From a few strokes on one photograph to a label for each pixel, with a dense CRF at the end.

scikit-image's ``coffee`` has 600 x 400 pixels, of which strokes of a pen label 3 %. The network's
scores have an eighth of the picture's size, as DeepLab's have; they are right in the large and know
no edges. ``fastcv.ops.dense_crf`` brings them to the edges of the picture. The truth was labelled
by hand, and is accurate to some 3 pixels.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv import ops
from fastcv._extras import need
from fastcv.classes import IGNORE
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import SegmentationMetrics
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe
from fastcv.results import Segmentation

CLASSES = ("table", "china", "glaze", "coffee", "spoon")
CROP = 256
PEN = 4  # pixels

Points = list[tuple[int, int]]

# Strokes: label, and points (x, y) that the pen joins.
STROKES: list[tuple[int, Points]] = [
    (0, [(15, 15), (70, 30)]),
    (0, [(95, 90), (150, 25)]),
    (0, [(15, 210), (60, 180)]),
    (0, [(25, 330), (95, 375)]),
    (0, [(460, 70), (570, 40)]),
    (0, [(500, 200), (580, 300)]),
    (0, [(440, 375), (560, 350)]),
    (0, [(75, 300), (120, 365), (200, 395)]),
    (1, [(110, 200), (165, 130)]),
    (1, [(120, 280), (200, 340)]),
    (1, [(270, 350), (300, 290)]),
    (1, [(425, 170), (450, 260)]),
    (1, [(190, 180), (250, 225), (330, 225)]),
    (1, [(370, 350), (430, 305)]),
    (1, [(215, 260), (222, 285)]),
    (2, [(183, 110), (195, 145)]),
    (2, [(230, 50), (300, 30), (340, 70)]),
    (2, [(393, 100), (395, 130)]),
    (2, [(215, 80), (300, 80), (350, 105)]),
    (2, [(265, 200), (320, 199)]),
    (3, [(225, 150), (330, 170)]),
    (3, [(270, 108), (345, 135)]),
    (4, [(345, 270), (375, 310)]),
    (4, [(382, 232), (375, 245)]),
    (4, [(411, 75), (412, 100)]),
]

# The truth: outlines, later ones over earlier ones, on a table that is everywhere.
OUTLINES: list[tuple[int, Points]] = [
    (1, [(180, 69), (150, 80), (125, 103), (100, 138), (85, 170), (78, 205), (79, 240), (90, 275),
         (110, 310), (140, 342), (175, 365), (215, 380), (260, 387), (305, 388), (350, 381),
         (395, 362), (430, 335), (455, 300), (472, 262), (479, 225), (476, 190), (465, 160),
         (445, 130), (418, 103), (300, 60)]),
    (2, [(173, 105), (178, 80), (190, 58), (210, 39), (238, 25), (270, 18), (300, 18), (333, 26),
         (363, 40), (386, 60), (401, 83), (407, 110), (404, 133), (394, 156), (378, 176),
         (355, 193), (325, 204), (290, 207), (255, 202), (225, 188), (200, 167), (182, 138)]),
    (3, [(203, 145), (206, 130), (214, 118), (228, 107), (250, 99), (285, 96), (312, 100),
         (333, 110), (352, 126), (365, 142), (369, 153), (362, 166), (345, 180), (320, 190),
         (292, 193), (262, 189), (236, 176), (216, 158)]),
    (4, [(399, 70), (411, 66), (423, 72), (424, 84), (416, 112), (405, 150), (391, 192),
         (384, 222), (384, 238), (398, 253), (405, 274), (402, 298), (388, 317), (366, 325),
         (344, 317), (330, 300), (326, 280), (332, 260), (346, 246), (365, 240), (378, 213),
         (389, 190), (400, 150), (408, 120), (411, 100), (404, 85)]),
    (IGNORE, [(316, 246), (330, 238), (356, 235), (350, 244), (332, 258), (320, 258)]),
]  # fmt: skip


def photograph() -> Tensor:
    """``[3, 400, 600]`` uint8."""
    pixels = need("skimage.data", extra="data").coffee()
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def strokes() -> Tensor:
    """What the pen labelled, ``[400, 600]`` int64, 255 elsewhere."""
    page = Image.new("L", (600, 400), IGNORE)
    for label, points in STROKES:
        ImageDraw.Draw(page).line(points, fill=label, width=PEN)
    return _to_labels(page)


def truth() -> Tensor:
    """``[400, 600]`` int64; 255 where it is hard to say."""
    page = Image.new("L", (600, 400), 0)
    for label, points in OUTLINES:
        ImageDraw.Draw(page).polygon(points, fill=label)
    return _to_labels(page)


def _to_labels(page: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(page)).long()


class Strokes(Dataset[tuple[Tensor, Tensor]]):
    """Random crops of the photograph, normalised, and what the pen labelled of them.

    Args:
        model: of the kind that will train: it knows what images are normalised by.
    """

    def __init__(self, model: Segmenter) -> None:
        self.image = model.prepare([photograph().float() / 255])[0]
        self.labels = strokes()

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        height, width = self.labels.shape
        top = int(torch.randint(height - CROP + 1, ()))
        left = int(torch.randint(width - CROP + 1, ()))
        part = (..., slice(top, top + CROP), slice(left, left + CROP))
        image, labels = self.image[part], self.labels[part]
        return (image.flip(-1), labels.flip(-1)) if torch.rand(()) < 0.5 else (image, labels)


class SmallFCN(Segmenter):
    """Three strides of 2, two dilated layers, scores at an eighth of the size, interpolated."""

    classes = CLASSES

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for stride, dilation in ((2, 1), (2, 1), (2, 1), (1, 2), (1, 4)):
            layers += [
                nn.Conv2d(channels, width, 3, stride, dilation, dilation, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels = width
        self.layers = nn.Sequential(*layers)
        self.scores = nn.Conv2d(width, len(CLASSES), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, 5, H, W]`` of normalised images ``[B, 3, H, W]``."""
        return F.interpolate(self.scores(self.layers(images)), images.shape[-2:], mode="bilinear")


def segment(model: Segmenter, image: Tensor) -> tuple[Segmentation, Segmentation]:
    """What the network says of an image ``[3, H, W]`` uint8, and what the CRF makes of that."""
    (coarse,) = model.predict(image)
    scores = coarse.scores[None]
    refined = ops.dense_crf(-scores.clamp(min=1e-6).log(), image[None].to(scores.device))[0]
    return coarse, Segmentation(refined.argmax(dim=0), CLASSES, refined)


def before_and_after(model: Segmenter, scene: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """mIoU, accuracy and boundary F of the whole photograph, before and after the CRF."""
    image, labels = scene
    found: dict[str, Any] = {}
    for name, result in zip(("network", "CRF"), segment(model, image), strict=True):
        metrics = SegmentationMetrics(len(CLASSES))
        metrics.add(result.labels, labels)
        computed = metrics.compute()
        found |= {f"{name} {key}": computed[key] for key in ("miou", "pixel_acc", "boundary_f")}
    return found


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, one cycle."""
    return {"batch_size": 4, "optimizer": partial(adamw, lr=5e-3), "scheduler": one_cycle(0.3)}


RECIPE = Recipe(
    name="few_pixels",
    summary="a few strokes on one photograph, a small network and a dense CRF",
    data={"train": lambda: Strokes(SmallFCN()), "test": lambda: (photograph(), truth())},
    build=SmallFCN,
    epochs=12,
    schedule=schedule,
    metrics=before_and_after,
    level=Level(
        {
            "network miou": 0.70,
            "network boundary_f": 0.41,
            "CRF miou": 0.87,
            "CRF boundary_f": 0.78,
        },
        on="the whole photograph, of which it saw the strokes",
        runs="seed 0, one run",
        date="2026-11-26",
    ),
    no_weights=NO_WEIGHTS.format("model.safetensors"),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
