"""A generator whose units are known: two draw, one follows a drawing unit, the others do not."""

import torch
from torch import nn
from torch.nn import functional as F

from fastcv.models.generative._generator import Generator

RED, GREEN, FAINT = 3, 5, 6  # units
UNITS, CELLS, SCALE = 8, 16, 2


class Planted(Generator):
    """A red disc and a green one, at places and of sizes that the latents say.

    ``units`` returns 16 x 16 maps: unit 3 is the red disc, unit 5 the green one, unit 6 a corner of
    the red one; the others are noise. The picture is made by a 3 x 3 convolution of maps twice the
    size.
    """

    latent_size = 6

    def __init__(self):
        super().__init__()
        self.units = nn.Identity()
        self.paint = nn.Conv2d(UNITS, 3, 3, padding=1, bias=False)
        nn.init.zeros_(self.paint.weight)
        with torch.no_grad():
            self.paint.weight[0, RED] = self.paint.weight[1, GREEN] = 1 / 9
            self.paint.weight[2, 0] = 0.02
        self.register_buffer("noise", torch.rand(UNITS, 4 * CELLS, 4 * CELLS))

    def forward(self, latents):
        maps = self.units(self.maps(latents))
        large = F.interpolate(maps, scale_factor=SCALE, mode="nearest")
        return self.paint(large) * 2 - 1

    def maps(self, latents):
        shift = (latents[:, 0].abs() * 1e4).long() % (3 * CELLS)
        maps = torch.stack([self.noise[:, s : s + CELLS, -CELLS:] for s in shift.tolist()])
        red, green = self.disc(latents[:, :3]), self.disc(latents[:, 3:])
        maps[:, RED], maps[:, GREEN] = red, green * (red == 0)
        maps[:, FAINT] = red * (torch.arange(CELLS) % 4 == 0)
        return maps

    @staticmethod
    def disc(numbers):
        x, y, size = numbers.sigmoid().T[:, :, None, None]
        rows = torch.arange(CELLS).float()
        distance = ((rows[:, None] - CELLS * y).square() + (rows - CELLS * x).square()).sqrt()
        return (2 + 2 * size - distance).clamp(min=0)


def label(pictures):
    """1 where there is red, 2 where there is green, else 0; exact."""
    red, green = pictures[:, 0] > 0.5, pictures[:, 1] > 0.5
    return (red + 2 * (green & ~red)).long()
