"""CNNs of small models learn to see before they learn words, as the papers' did on ImageNet.

A label for a whole picture says too little here: of 64 x 64 pixels a digit fills 14 x 18, and from
such labels a CNN learns the backgrounds and colours, and hardly a digit. So each cell of the map
says which digit it is on and in which colour. Published models did as much: Anderson et al.,
"Bottom-Up and Top-Down Attention" (2018), section 3.1, learn objects and their attributes in boxes.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data import DrawnScenes
from fastcv.data.drawn_scenes import BACKGROUNDS, COLOURS, DIGITS
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.recipes._recipe import Run

SIDE = 64  # pixels of a scene, along a side
CELL = 8  # pixels of a cell
LENGTH, EPOCHS = 12000, 8
EMPTY = 0.2  # the weight of a cell without a digit; there are eight times as many
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SceneCells(Dataset[tuple[Tensor, Tensor, Tensor, Tensor]]):
    """Drawn scenes, and what is in their cells.

    They are other scenes than those with texts. An item is the image, ``[3, 64, 64]`` uint8; of the
    8 x 8 cells the digit, 1 to 10, and the colour, 1 to 6, both 0 where there is none; and the
    background. A cell is on a digit if its middle is in the digit's box, or the box's in the cell.

    Args:
        length: how many are drawn.
    """

    def __init__(self, length: int) -> None:
        scenes = DrawnScenes("train", size=(SIDE, SIDE), length=length, seed=1)
        cells = SIDE // CELL
        self.images = torch.empty(length, 3, SIDE, SIDE, dtype=torch.uint8)
        self.digits = torch.zeros(length, cells, cells, dtype=torch.int64)
        self.colours = torch.zeros_like(self.digits)
        self.backgrounds = torch.empty(length, dtype=torch.int64)
        middles = (torch.arange(cells) + 0.5) * CELL
        for i in range(length):
            image, target = scenes[i]
            self.images[i] = (image * 255).round()
            self.backgrounds[i] = target["background"]
            for box, label, colour in zip(
                target["boxes"], target["labels"], target["colours"], strict=True
            ):
                left, top, right, bottom = box
                columns = (middles > left) & (middles < right)
                rows = (middles > top) & (middles < bottom)
                inside = rows[:, None] & columns
                x, y = (box[:2] + box[2:]) / 2
                inside[int(y // CELL), int(x // CELL)] = True  # an upright one is narrow
                self.digits[i][inside], self.colours[i][inside] = label, colour + 1

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.images[index], self.digits[index], self.colours[index], self.backgrounds[index]


def normalised(images: Tensor) -> Tensor:
    """What a CNN takes, of images ``[B, 3, H, W]`` uint8."""
    mean, std = (torch.tensor(three)[:, None, None] for three in (MEAN, STD))
    return ((images / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def collate(batch: list[tuple[Tensor, ...]]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A batch of ``SceneCells``: normalised images, and the targets."""
    images, *targets = map(torch.stack, zip(*batch, strict=True))
    return normalised(images), tuple(targets)


class CellReader(nn.Module):
    """A CNN and what its cells and their mean tell.

    Args:
        cnn: from normalised images to a map of 8 x 8 cells; of a ``ResNetTrunk``, the last one.
            Shared, not copied.
        channels: of the map.
    """

    def __init__(self, cnn: nn.Module, channels: int) -> None:
        super().__init__()
        self.cnn = cnn
        self.digits = nn.Conv2d(channels, 1 + len(DIGITS), 1)
        self.colours = nn.Conv2d(channels, 1 + len(COLOURS), 1)
        self.backgrounds = nn.Linear(channels, len(BACKGROUNDS))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``[B, 11, 8, 8]``, ``[B, 7, 8, 8]`` and ``[B, 8]``."""
        if isinstance(self.cnn, ResNetTrunk):  # a classifier is one, too, and gives no maps
            cells = ResNetTrunk.forward(self.cnn, images)[-1]
        else:
            cells = self.cnn(images)
        return self.digits(cells), self.colours(cells), self.backgrounds(cells.mean(dim=(2, 3)))

    def loss(self, output: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """A cross-entropy each of the cells' digits and colours, and of the background."""
        digits, colours, backgrounds = (logits.float() for logits in output)
        weight = digits.new_ones(1 + len(DIGITS))
        weight[0] = EMPTY
        return {
            "digit": F.cross_entropy(digits, targets[0], weight),
            "colour": F.cross_entropy(colours, targets[1], weight[: 1 + len(COLOURS)]),
            "background": F.cross_entropy(backgrounds, targets[2]),
        }


def learn_to_see(cnn: nn.Module, channels: int, run: Run) -> None:
    """Trains a CNN in place, in the folder ``cnn/`` of the run; a run that was stopped goes on."""
    run.fit(
        CellReader(cnn, channels).to(memory_format=torch.channels_last),
        SceneCells(LENGTH),
        "cnn",
        epochs=EPOCHS,
        batch_size=32,
        optimizer=partial(adamw, lr=4e-3),
        scheduler=one_cycle(0.2),
        collate_fn=collate,
        precision=fastest_precision(run.device),
    )
