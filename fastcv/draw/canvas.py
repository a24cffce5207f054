"""Drawing on a picture: boxes, name plates and bars, sized to the picture."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fastcv.draw.typeface import Color, FontPath, Typeface

Rect = tuple[float, float, float, float]

SMALLEST_SIDE = 320  # a picture with a shorter long side is enlarged, so that a name has room
FAR = 1e9  # pixels, beyond any picture
BAND = 2**22  # pixels that are coloured at a time: a huge picture is not copied in larger types


def color_of(label: int) -> Color:
    """The same colour for a label everywhere, far from those of its neighbours."""
    hue = (0.61803398875 * label + 0.33) % 1.0  # the golden ratio spreads any number of hues
    saturation, value = ((0.75, 0.98), (0.95, 0.82), (0.55, 1.0))[label // 8 % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def text_color_on(color: Color) -> Color:
    """Black or white, whichever is easier to read on ``color``."""
    red, green, blue = ((c / 255) ** 2.2 for c in color)
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (0, 0, 0) if light > 0.18 else (255, 255, 255)


class Canvas:
    """A picture to draw on, in its own pixel coordinates.

    Args:
        picture: RGB; it is copied. A tiny one is enlarged by a whole factor.
        font: of the names: a font file, or its name where the system has it; None: Pillow's own.
            Other fonts are asked for the characters that it lacks, as ``Typeface`` says.

    Raises:
        ValueError: ``font`` is no font file.
    """

    def __init__(self, picture: Image.Image, font: FontPath | None = None) -> None:
        self.scale = math.ceil(SMALLEST_SIDE / max(picture.size))
        size = (picture.width * self.scale, picture.height * self.scale)
        self.picture = picture.resize(size, Image.Resampling.NEAREST)
        self.draw = ImageDraw.Draw(self.picture)
        side = math.sqrt(size[0] * size[1])
        self.line = max(2, round(side / 260))
        font_size = min(max(11, round(side / 38)), max(8, size[1] // 4))
        self.typeface = Typeface(font_size, font)
        self.pad = max(2, font_size // 5)
        self.plate_height = self.typeface.height("") + self.pad
        self.taken: list[Rect] = []

    def box(self, box: list[float], label: int) -> None:
        """The outline of a box, with a thin dark edge so that it shows on any ground."""
        x1, y1, x2, y2 = self._inside(box)
        edge = max(1, self.line // 3)
        around = (x1 - edge, y1 - edge, x2 + edge, y2 + edge)
        self.draw.rectangle(around, outline=(0, 0, 0), width=self.line + 2 * edge)
        self.draw.rectangle((x1, y1, x2, y2), outline=color_of(label), width=self.line)

    def tag(self, box: list[float], label: int, text: str) -> None:
        """A name plate at a box: above it, or where else the picture has room and no plate is."""
        text = self.typeface.shortened(text, self.picture.width - 2 * self.pad)
        w, h = self._plate_size(text)
        x1, y1, x2, y2 = self._inside(box)
        places = [(x, y) for x in (x1, x2 - w + 1) for y in (y1 - h, y1, y2 + 1, y2 - h + 1)]
        rects = [self._moved_inside((x, y, x + w, y + h)) for x, y in places]
        # The first is the best place; any other only to hide less of the plates that are there.
        rect = min(rects, key=lambda r: sum(_overlap(r, other) for other in self.taken))
        self.taken.append(rect)
        self._plate(rect, color_of(label), text)

    def bars(self, rows: list[tuple[str, float, int]]) -> None:
        """Rows of ``(name, share of 1, label)`` as bars over the picture's lower edge."""
        width, height = self.picture.size
        texts = [
            self.typeface.shortened(f"{name} {x:.2f}", width - 4 * self.pad) for name, x, _ in rows
        ]
        bar_height = max([self._plate_size(text)[1] for text in texts], default=self.plate_height)
        row_height = bar_height + self.pad
        top = height - row_height * len(rows) - self.pad
        shade = Image.new("RGB", (width, height - max(top, 0)), (0, 0, 0))
        region = (0, max(top, 0), width, height)
        self.picture.paste(Image.blend(self.picture.crop(region), shade, 0.6), region)
        for i, (text, (_, share, label)) in enumerate(zip(texts, rows, strict=True)):
            y = top + self.pad + i * row_height
            share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
            right = self.pad + share * (width - 2 * self.pad)
            red, green, blue = (c * 3 // 5 for c in color_of(label))  # white text shows on it
            bar = (self.pad, y, right, y + bar_height)
            self.draw.rectangle(bar, fill=(red, green, blue))
            self._text((2 * self.pad, y + bar_height / 2), text, (255, 255, 255))

    def regions(self, labels: Tensor, colors: Mapping[int, Color]) -> None:
        """Translucent colours, and along a region's borders its full colour with a dark edge.

        Args:
            labels: ``[H, W]`` of the picture, 0 or more.
            colors: by label; regions of other labels are left as they are.
        """
        labels = labels.cpu()
        table = torch.zeros(max([int(labels.max()), *colors]) + 1, 4, dtype=torch.uint8)
        for label, color in colors.items():
            table[label] = torch.tensor([*color, 1])
        height, width = labels.shape
        edge = max(1, self.line // 3)
        margin = math.ceil((edge + self.line) / self.scale) + 1
        rows = max(1, BAND // (width * self.scale**2))
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            above = min(top, margin)
            part = labels[top - above : bottom + margin].long()
            for dim in (0, 1):
                part = part.repeat_interleave(self.scale, dim)
            border = _borders(part)
            inside = slice(above * self.scale, (above + bottom - top) * self.scale)
            dark = _spread(border, edge - 1)[inside].numpy()
            full = _spread(border, edge + self.line - 1)[inside].numpy()
            tint, tinted = table[part[inside]].numpy()[..., :3], table[part[inside], 3].numpy() > 0
            box = (0, top * self.scale, self.picture.width, bottom * self.scale)
            pixels = np.array(self.picture.crop(box))
            mixed = ((pixels.astype(np.uint16) + tint) // 2).astype(np.uint8)
            mixed = np.where(full[..., None], tint, mixed)
            mixed[dark] = 0
            pixels = np.where(tinted[..., None], mixed, pixels)
            self.picture.paste(Image.fromarray(pixels), box[:2])

    def legend(self, entries: list[tuple[str, Color]]) -> None:
        """Name plates in rows below the picture."""
        width, height = self.picture.size
        x, y = self.pad, height + self.pad
        plates: list[tuple[Rect, Color, str]] = []
        shown = [
            (self.typeface.shortened(text, width - 4 * self.pad), color) for text, color in entries
        ]
        h = max([self._plate_size(text)[1] for text, _ in shown], default=self.plate_height)
        for text, color in shown:
            w, _ = self._plate_size(text)
            if x > self.pad and x + w + self.pad > width:
                x, y = self.pad, y + h + self.pad
            plates.append(((x, y, x + w, y + h), color, text))
            x += math.ceil(w) + self.pad
        picture = Image.new("RGB", (width, y + h + self.pad), (255, 255, 255))
        picture.paste(self.picture, (0, 0))
        self.picture, self.draw = picture, ImageDraw.Draw(picture)
        for plate in plates:
            self._plate(*plate)

    def finish(self) -> Image.Image:
        return self.picture

    def _inside(self, box: list[float]) -> Rect:
        """Half-open coordinates as the first and last pixel that are drawn."""
        width, height = self.picture.size
        x1, y1, x2, y2 = (min(max(c, -FAR), FAR) for c in box)  # infinities have no whole number
        x1, y1 = round(x1 * self.scale), round(y1 * self.scale)
        x2, y2 = round(x2 * self.scale) - 1, round(y2 * self.scale) - 1
        x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
        return x1, y1, min(max(x2, x1), width - 1), min(max(y2, y1), height - 1)

    def _moved_inside(self, rect: Rect) -> Rect:
        x1, y1, x2, y2 = rect
        dx = max(0.0, -x1) - max(0.0, x2 - self.picture.width)
        dy = max(0.0, -y1) - max(0.0, y2 - self.picture.height)
        return x1 + dx, y1 + dy, x2 + dx, y2 + dy

    def _plate(self, rect: Rect, color: Color, text: str) -> None:
        x1, y1, x2, y2 = rect
        self.draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=color)
        self._text((x1 + self.pad, (y1 + y2) / 2), text, text_color_on(color))

    def _plate_size(self, text: str) -> tuple[float, int]:
        width = self.typeface.length(text) + 2 * self.pad
        return width, self.typeface.height(text) + self.pad

    def _text(self, at: tuple[float, float], text: str, color: Color) -> None:
        self.typeface.write(self.draw, at, text, color)


def _overlap(a: Rect, b: Rect) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def _borders(labels: Tensor) -> Tensor:
    """The pixels ``[H, W]`` beside which, in a row or column, another label begins."""
    border = torch.zeros_like(labels, dtype=torch.bool)
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        differ = a != b
        border[-len(a) :, -a.shape[1] :] |= differ
        border[: len(a), : a.shape[1]] |= differ
    return border


def _spread(mask: Tensor, by: int) -> Tensor:
    """The pixels with one of the mask at most ``by`` rows and columns away."""
    for dim in (0, 1):
        size = mask.shape[dim]
        none = torch.zeros_like(mask.narrow(dim, 0, 1), dtype=torch.int32)
        sums = torch.cat([none, mask.cumsum(dim, dtype=torch.int32)], dim)
        at = torch.arange(size)
        ends = sums.index_select(dim, (at + by + 1).clamp(max=size))
        mask = ends > sums.index_select(dim, (at - by).clamp(min=0))
    return mask
