"""What the recipes of image translation share: photographs of a digit, and measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv import recipes
from fastcv._files import replacing
from fastcv.data import DrawnDigits
from fastcv.draw import contact_sheet
from fastcv.images import grey
from fastcv.learn.schedules import constant_then_linear
from fastcv.results import Generated

SIDE = 64  # pixels of a scene, along a side
SHEET = 36  # pictures of a sheet while it learns
ENLARGED = 2  # in pictures for people


class DigitScenes(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of what is made of a scene, and the scene: one digit on a photograph, 64 x 64 pixels.

    Args:
        split: ``"train"`` or ``"test"``, which share neither handwriting nor photographs.
        length: how many.
        source: what is made of a scene ``[3, 64, 64]`` in [0, 1], such as ``edges``.

    Attributes:
        scenes: ``[N, 3, 64, 64]`` uint8.
        sources: ``[N, C, 64, 64]`` uint8.
        labels: ``[N]``, which digit it is.
        masks: ``[N, 64, 64]`` bool, its pixels.
    """

    def __init__(self, split: str, length: int, source: Callable[[Tensor], Tensor]) -> None:
        drawn = DrawnDigits(
            split, size=(SIDE, SIDE), length=length, max_digits=1, digit_size=(32, 42), max_angle=10
        )
        found = [(image, target) for image, target in map(drawn.__getitem__, range(length))]
        found = [(image, target) for image, target in found if len(target["labels"])]
        self.scenes = torch.stack([_bytes(image) for image, _ in found])
        self.sources = torch.stack([_bytes(source(image)) for image, _ in found])
        self.labels = torch.stack([target["labels"][0] for _, target in found]) - 1
        self.masks = torch.stack([target["masks"][0] for _, target in found])

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.sources[index] / 255, self.scenes[index] / 255


def _bytes(image: Tensor) -> Tensor:
    return (image * 255).round().byte()


def edges(image: Tensor) -> Tensor:
    """White lines ``[3, H, W]`` where the brightness of an image in [0, 1] changes most.

    Sobel's gradient of the blurred image, where it is a maximum along its own direction.

    Example:
        >>> import torch
        >>> from fastcv.recipes.generative._scenes import edges
        >>> image = torch.zeros(3, 7, 8)
        >>> image[:, :, 4:] = 1
        >>> edges(image)[0, 3]
        tensor([0., 0., 0., 1., 1., 0., 0., 0.])
    """
    smooth = image.new_tensor([1.0, 2, 1]) / 4
    slope = image.new_tensor([-1.0, 0, 1]) / 2
    blurred = _filtered(grey(image)[None], smooth[:, None] * smooth)
    x = _filtered(blurred, smooth[:, None] * slope)
    y = _filtered(blurred, slope[:, None] * smooth)
    size = (x.square() + y.square()).sqrt()
    near = F.pad(size, (1, 1, 1, 1))
    across = torch.maximum(near[:, :, 1:-1, :-2], near[:, :, 1:-1, 2:])
    along = torch.maximum(near[:, :, :-2, 1:-1], near[:, :, 2:, 1:-1])
    peak = torch.where(x.abs() >= y.abs(), size >= across, size >= along)
    return (peak & (size > MIN_SLOPE)).float()[0].expand(3, -1, -1)


MIN_SLOPE = 0.06  # of brightness, from a pixel to the next


def _filtered(image: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel[None, None])


def few_steps(model: Any, device: str) -> dict[str, Any]:
    """The papers' Adam at ten times its rate, discriminators at five, for there are few steps; from
    half of the way on it falls to zero."""
    adam = partial(torch.optim.Adam, betas=(0.5, 0.999), fused=True)
    fast, slow = partial(adam, lr=2e-3), partial(adam, lr=1e-3)
    players = {
        name: slow if name.startswith("discriminator") else fast
        for name in getattr(model, "players", ())
    }
    return {
        "batch_size": 8,
        "optimizer": players or fast,
        "scheduler": constant_then_linear(),
    }


def translated(model: Any, sources: Tensor) -> Tensor:
    """What a translator makes of sources ``[N, C, H, W]`` uint8, on the CPU."""
    with torch.inference_mode():
        model.eval()
        return torch.cat(
            [
                model.to_pictures(model(model.prepare([model.as_float(x) for x in part]))).cpu()
                for part in torch.split(sources, 50)
            ]
        )


def sheets(generator: Any, sources: Tensor) -> Callable[[Any], Tensor]:
    """For ``fit``'s ``samples``: what a generator makes of the first sources, as it learns."""
    return lambda _: translated(generator, sources[:SHEET])


def sharpness(pictures: Tensor) -> Tensor:
    """``[N]``: how much brightness changes from a pixel to the next, on average."""
    light = torch.stack([grey(picture) for picture in pictures])
    across, along = light.diff(dim=3).abs(), light.diff(dim=2).abs()
    return across.mean(dim=(1, 2, 3)) + along.mean(dim=(1, 2, 3))


def chroma(pictures: Tensor) -> Tensor:
    """``[N, H, W]``: the difference of the strongest and the weakest of red, green and blue."""
    return pictures.amax(dim=1) - pictures.amin(dim=1)


def digits_read(pictures: Tensor) -> Tensor:
    """``[N]``: the digit that the shipped ``digits_detector`` is surest of, -1 where it sees none.

    It learned scenes three times as large, with digits of this size: it sees nine at once.
    """
    reader: Any = recipes.get("digits_detector").load(device="cpu")
    blank = pictures.new_zeros(-len(pictures) % 9, *pictures.shape[1:])
    nines = torch.cat([pictures, blank]).view(-1, 3, 3, *pictures.shape[1:])  # sheets, rows, ...
    sheets = nines.permute(0, 3, 1, 4, 2, 5).flatten(2, 3).flatten(3, 4)
    read = torch.full((len(sheets), 9), -1)
    for i, found in enumerate(reader.predict(list(sheets), score_threshold=0.0)):
        x, y = ((found.boxes[:, :2] + found.boxes[:, 2:]) / 2 / SIDE).long().clamp(0, 2).T
        for place in found.scores.argsort():  # the surest of a place comes last
            read[i, 3 * y[place] + x[place]] = found.labels[place] - 1
    return read.flatten()[: len(pictures)]


def write_rows(path: Path, rows: Sequence[Sequence[Tensor]]) -> None:
    """Pictures ``[3, H, W]`` in [0, 1] as a sheet, a row for each sequence."""
    pictures: list[Image.Image] = []
    for row in rows:
        for picture in row:
            (image,) = Generated(picture.expand(3, -1, -1)[None]).images()
            pictures.append(image.resize([ENLARGED * side for side in image.size], 0))
    with replacing(path) as temporary:
        contact_sheet(pictures, len(rows[0]), 4).save(temporary)
