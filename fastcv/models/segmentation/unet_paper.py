"""U-Net as published: convolutions without padding, so that a tile is sure of its middle only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv._extras import need
from fastcv.classes import IGNORE
from fastcv.models._registry import register
from fastcv.models.segmentation.unet import CELL, UNet
from fastcv.nn.losses._tensors import check_two_tensors
from fastcv.nn.losses.segmentation_losses import check_targets

MARGIN = 92  # pixels that the convolutions take off each side
SMALLEST = 2 * MARGIN + 4  # of which 4 x 4 pixels come out
TILE = 384  # of whose 572 x 572 pixels 388 x 388 come out, as in figure 1


class UNetPaper(UNet):
    """The paper's U-Net: of 572 x 572 pixels it labels the middle 388 x 388.

    ``predict`` labels whole pictures of any size, tile by tile, by the paper's overlap-tile
    strategy: what a tile sees beyond the picture's border is mirrored.

    Args:
        in_channels: of the images; with 1, ``predict`` makes pictures grey.
        num_classes: logits, the background's included.
        width: channels of the first level; each doubles them.

    Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation"
        (2015), figures 1 and 2.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("unet_paper", width=2)
        >>> model(torch.rand(1, 1, 572, 572)).shape
        torch.Size([1, 2, 388, 388])
        >>> model.predict(torch.rand(3, 50, 70))[0].labels.shape
        torch.Size([50, 70])
    """

    valid = True

    def __init__(self, *, in_channels: int = 1, num_classes: int = 2, width: int = 64) -> None:
        super().__init__(in_channels=in_channels, num_classes=num_classes, width=width)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the middle of images ``[B, in_channels, H, W]``.

        They begin 92 pixels from the top and the left, and are ``16 n + 4`` high and wide: as many
        as leave at least 92 pixels at the bottom and the right.

        Raises:
            ValueError: images under 188 pixels, which have no such middle.
        """
        if min(images.shape[-2:]) < SMALLEST:
            raise ValueError(
                f"images must be at least {SMALLEST} pixels high and wide, got "
                f"{list(images.shape)}; predict takes any size"
            )
        return self.down_and_up(images)

    def loss(  # type: ignore[override]  # labels may come with weights
        self, output: Tensor, targets: Tensor | tuple[Tensor, Tensor]
    ) -> dict[str, Tensor]:
        """The mean over pixels of their cross-entropies times their weights, equation 1.

        Args:
            output: of ``forward``.
            targets: labels ``[B, H, W]`` int64, 255 where a pixel does not count, as high and wide
                as the images or as the output; or those and weights ``[B, H, W]``, see
                ``weight_map``. Without weights every pixel weighs 1.

        Raises:
            TypeError: targets that are neither a tensor nor two.
            ValueError: targets of another shape or dtype, or a label that no class has.
        """
        if isinstance(targets, Tensor):
            return super().loss(output, _middle(targets, output))
        check_two_tensors("targets", targets, "a tensor of labels, or one and one of weights")
        labels, weights = (_middle(x, output) for x in targets)
        check_targets(output, labels)
        entropies = F.cross_entropy(output, labels, ignore_index=IGNORE, reduction="none")
        count = (labels != IGNORE).sum().clamp(min=1)
        return {"cross_entropy": (entropies * weights).sum() / count}

    def logits(self, batch: Tensor, tile: int = TILE) -> Tensor:
        """Logits for all of prepared images of any size, by mirrored tiles; ``predict`` calls it.

        Args:
            batch: ``[B, in_channels, H, W]``.
            tile: pixels of output at a time along each axis, a multiple of 16; the same comes out
                with any.
        """
        height, width = batch.shape[-2:]
        # Tiles begin at multiples of 16, where all pools have the same cells as in the whole; of
        # the 4 pixels more that come out the next tile has the first.
        down = min(tile, -(-height // CELL) * CELL)
        right = min(tile, -(-width // CELL) * CELL)
        rows = _mirrored(height, MARGIN, SMALLEST - MARGIN + down, batch.device)
        columns = _mirrored(width, MARGIN, SMALLEST - MARGIN + right, batch.device)
        bands = []
        for top in range(0, height, down):
            band = batch[..., rows[top : top + down + SMALLEST], :]
            tiles = [
                self(band[..., columns[left : left + right + SMALLEST]])[..., :down, :right]
                for left in range(0, width, right)
            ]
            bands.append(torch.cat(tiles, dim=-1))
        return torch.cat(bands, dim=-2)[..., :height, :width]


def _mirrored(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Places of ``size`` pixels and of so many beyond either end, which mirrors, and again."""
    places = torch.arange(-before, size + after, device=device)
    period = max(1, 2 * (size - 1))
    places = places.abs() % period
    return torch.minimum(places, period - places)


def _middle(x: Tensor, output: Tensor) -> Tensor:
    """What of targets as large as the images belongs to the output."""
    height, width = output.shape[-2:]
    if x.ndim < 2 or x.shape[-2:] == output.shape[-2:]:
        return x
    return x[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]


def weight_map(cells: Tensor, *, w0: float = 10.0, sigma: float = 5.0) -> Tensor:
    """Weights of pixels that balance the classes and stress thin gaps between cells, equation 2.

    ``w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2))``: ``w_c`` is the same for all pixels
    of a class, so that both classes weigh the same and the mean is 1; ``d1`` and ``d2`` are the
    distances to the nearest and the second nearest cell. The second term is for the background, as
    in figure 3.

    Args:
        cells: ``[H, W]``, integers: 0 is the background, each other number a cell.
        w0: how much a gap of no width weighs more.
        sigma: how wide a gap may be, in pixels.

    Returns:
        ``[H, W]`` float32.

    Raises:
        ValueError: ``cells`` has another shape.
        ImportError: scipy is missing.

    Source: Ronneberger et al. (2015), equation 2.

    Example:
        >>> import torch
        >>> from fastcv.models.segmentation.unet_paper import weight_map
        >>> weight_map(torch.tensor([[1, 1, 0, 2, 2, 0, 0, 0]]))
        tensor([[ 1.0000,  1.0000, 10.2312,  1.0000,  1.0000,  7.0653,  4.7531,  2.9790]])
    """
    if cells.ndim != 2:
        raise ValueError(f"cells must be [H, W], got {list(cells.shape)}")
    distance_to = need("scipy.ndimage", extra="data").distance_transform_edt
    background = cells == 0
    first = torch.full(cells.shape, torch.inf, dtype=torch.float64)
    second = first.clone()
    for cell in sorted(set(cells[~background].tolist())):
        distance = torch.from_numpy(distance_to((cells != cell).cpu().numpy()))
        second = torch.minimum(second, torch.maximum(first, distance))
        first = torch.minimum(first, distance)
    gap = w0 * (-((first + second) ** 2) / (2 * sigma**2)).exp()
    share = background.double().mean()
    balance = torch.where(background, 0.5 / share, 0.5 / (1 - share))
    if share in (0, 1):
        balance = torch.ones_like(balance)
    return (balance + gap.to(cells.device) * background).float()


@register("unet_paper", task="segmentation")
def unet_paper(**config: Any) -> UNetPaper:
    """The paper's U-Net; ``config``: what ``UNetPaper`` takes."""
    return UNetPaper(**config)
