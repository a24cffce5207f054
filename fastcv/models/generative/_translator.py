"""What every translator shares: a picture in, a picture out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.images import grey
from fastcv.models._image_model import ImageModel
from fastcv.models._tiles import blend_tiles
from fastcv.models.generative._training_twin import training_twin
from fastcv.results import Generated

Mode = Literal["eval", "paper"]


class ImageTranslator(ImageModel):
    """A model from pictures ``[B, C, H, W]`` to pictures, as ``prepare`` and ``to_pictures`` say.

    A subclass writes ``forward``, and sets the attributes below where it differs. Where its values
    are not in [-1, 1] it also writes ``prepare`` and ``to_pictures``.

    Example:
        >>> import torch
        >>> from fastcv.models.generative._translator import ImageTranslator
        >>> class Negative(ImageTranslator):
        ...     def forward(self, images):
        ...         return -images
        >>> Negative().predict(torch.full((3, 8, 8), 0.75))
        [Generated(1 picture of 8x8)]
        >>> Negative().translate(torch.full((3, 8, 8), 0.75))[0, 0, :3]
        tensor([0.2500, 0.2500, 0.2500])
    """

    in_channels: int = 3
    multiple: int = 1
    """``forward`` takes heights and widths that are multiples of it. ``translate`` repeats the last
    row and column of others up to there, and cuts the output back."""
    min_side: int = 1
    """The smallest height and width that ``forward`` takes."""
    scale: int = 1
    """How many times as high and wide as its input the output is."""

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images in [0, 1] as a batch in [-1, 1]."""
        return torch.stack(images) * 2 - 1

    def to_pictures(self, output: Tensor) -> Tensor:
        """What ``forward`` returned, in [0, 1]."""
        return output.add(1).div(2).clamp(0, 1)

    def translate(
        self,
        image: Tensor,
        *,
        mode: Mode = "eval",
        tile: int | None = None,
        overlap: int | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> Tensor:
        """One image; ``predict`` is this for pictures, in eval mode and without gradients.

        Args:
            image: ``[C, H, W]``, uint8 or in [0, 1], of as many channels as the model takes.
            mode: ``"eval"``: as any model. ``"paper"``: dropout, and each picture's own statistics
                in place of the running ones, as pix2pix tests. For a net with neither they are
                the same.
            tile: go through a large image in overlapping tiles of so many rows and columns, a
                multiple of 32, at least 64. Where the model looks no further than a quarter of
                ``overlap``, the values are those of one pass. A norm over the picture (instance
                norm, mode ``"paper"``) looks at all of it, and differs.
            overlap: how many pixels neighbouring tiles share at least; by default a quarter of
                the tile.
            seed: of dropout in mode ``"paper"``. The same one gives the same picture.
            progress: show a bar of the tiles.

        Returns:
            ``[K, scale * H, scale * W]`` in [0, 1]; with ``tile`` on the CPU.

        Raises:
            ValueError: an image of another number of channels, or an option out of its range.
        """
        if image.ndim != 3 or image.shape[0] != self.in_channels or 0 in image.shape:
            raise ValueError(f"image must be [{self.in_channels}, H, W], got {list(image.shape)}")
        if mode not in ("eval", "paper"):
            raise ValueError(f"mode must be 'eval' or 'paper', got {mode!r}")
        if tile is None and overlap is not None:
            raise ValueError(f"overlap is of tiles: set tile too, got overlap={overlap} alone")
        if mode == "eval":
            return self._in_parts(self, image, tile, overlap, progress)
        device = self.as_float(image[:, :1, :1]).device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            return self._in_parts(training_twin(self), image, tile, overlap, progress)

    def _in_parts(
        self,
        model: ImageTranslator,
        image: Tensor,
        tile: int | None,
        overlap: int | None,
        bar: bool,
    ) -> Tensor:
        if tile is None:
            return model._whole(image)
        height, width = (self.scale * side for side in image.shape[1:])
        made = torch.empty(0)
        parts = blend_tiles(model._whole, image, tile, overlap, scale=self.scale, progress=bar)
        for top, left, part in parts:
            if not len(made):
                made = torch.empty(len(part), height, width, dtype=part.dtype)
            made[:, top : top + part.shape[1], left : left + part.shape[2]] = part
        return made

    def _whole(self, image: Tensor) -> Tensor:
        """Of an image in one pass, padded to a size that ``forward`` takes and cut back."""
        height, width = image.shape[1:]
        batch = self.prepare([self.as_float(image)])
        rows, columns = (self._fitting(side) for side in (height, width))
        if (rows, columns) != (height, width):
            batch = F.pad(batch, (0, columns - width, 0, rows - height), mode="replicate")
        output = self(batch)[:, :, : self.scale * height, : self.scale * width]
        return self.to_pictures(output)[0]

    def _fitting(self, side: int) -> int:
        """The next side that ``forward`` takes."""
        return max(self.min_side, -(-side // self.multiple) * self.multiple)

    def predict_batch(
        self,
        images: Sequence[Tensor],
        *,
        mode: Mode = "eval",
        tile: int | None = None,
        overlap: int | None = None,
        seed: int = 0,
        progress: bool = False,
        **options: Any,
    ) -> list[Generated]:
        """Each image by itself, in its own size; ``predict`` takes the options of ``translate``.

        Args:
            images: ``[3, H, W]``, uint8 or in [0, 1]; a model of one channel sees them in grey.
            mode, tile, overlap, seed, progress: as of ``translate``.
            options: what ``postprocess`` takes.

        Raises:
            ValueError: as ``translate``, or a model of other channels than a picture's.
        """
        if self.in_channels not in (1, 3):
            raise ValueError(
                f"predict takes pictures, and this model takes {self.in_channels} channels: "
                f"translate takes tensors [{self.in_channels}, H, W]"
            )
        made = []
        for image in images:
            of_model = grey(self.as_float(image)) if self.in_channels == 1 else image
            picture = self.translate(
                of_model, mode=mode, tile=tile, overlap=overlap, seed=seed, progress=progress
            )
            made += self.postprocess(picture[None], **options)
        return made

    def postprocess(self, output: Tensor) -> list[Generated]:
        """A result for each picture ``[B, K, H, W]`` in [0, 1]; one of one channel is grey."""
        return [
            Generated(picture.expand(3, -1, -1)[None] if len(picture) == 1 else picture[None])
            for picture in output
        ]

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        (found,) = self.predict_batch([image])
        return {"picture": found.pictures[0]}
