"""Faces: boxes with five landmarks, by which each can be cut out upright."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.classes.keypoints import FACE_LANDMARKS, KeypointSchema
from fastcv.images import ImageInput, read_image
from fastcv.results.keypoints import Keypoints

# Where the landmarks of an aligned face lie, as shares of its side: those of ArcFace's 112 pixels.
ALIGNED = (
    (38.2946 / 112, 51.6963 / 112),
    (73.5318 / 112, 51.5014 / 112),
    (56.0252 / 112, 71.7366 / 112),
    (41.5493 / 112, 92.3655 / 112),
    (70.7299 / 112, 92.2041 / 112),
)

MAX_SAMPLES = 8  # along a side of a cell of a cut


@dataclass(repr=False, eq=False)
class Faces(Keypoints):
    """Faces in one picture, the surest first: their boxes, and five landmarks of each.

    Args:
        keypoints: ``[N, 5, 3]``: x and y in pixels of the picture, and a visibility; 0 is not
            there.
        schema: of the five; the other arguments as for ``Keypoints``.

    Example:
        >>> import torch
        >>> from fastcv.results import Faces
        >>> found = Faces(
        ...     torch.tensor([[20.0, 10, 60, 60]]), torch.tensor([0.9]), torch.tensor([1]),
        ...     classes=("background", "face"), image_size=(80, 80),
        ...     keypoints=torch.tensor(
        ...         [[[30.0, 30, 1], [50, 30, 1], [40, 40, 1], [32, 50, 1], [48, 50, 1]]]
        ...     ),
        ...     keypoint_scores=torch.full((1, 5), 0.9),
        ... )
        >>> found, found.point(0, "nose")
        (Faces(1 box in 80x80: 1 face 0.90), (40.0, 40.0))
        >>> found.aligned(torch.rand(3, 80, 80), size=96).shape
        torch.Size([1, 3, 96, 96])
    """

    schema: KeypointSchema = field(default=FACE_LANDMARKS, kw_only=True)

    def aligned(self, image: ImageInput | None = None, size: int = 112) -> Tensor:
        """Each face cut out, turned and scaled so that the landmarks lie where ArcFace has them.

        The turn, scale and shift are those of least squares over the landmarks that are there;
        what lies outside of the picture is black.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            size: height and width of a cut, in pixels.

        Returns:
            ``[N, 3, size, size]`` float32 in [0, 1], on the CPU.

        Raises:
            ValueError: no picture, one of another size than ``image_size``, or a face with fewer
                than two landmarks.

        Source: Deng et al., "ArcFace" (2019), section 3.1; Umeyama (1991) for the least squares.
        """
        image = self.source if image is None else image
        if image is None:
            raise ValueError("image is needed: this result does not come from a file")
        pixels = read_image(image).cpu()
        pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
        if tuple(pixels.shape[1:]) != tuple(self.image_size):
            height, width = self.image_size
            raise ValueError(
                f"image must be {height}x{width}, the size these faces belong to, got "
                f"{pixels.shape[1]}x{pixels.shape[2]}"
            )
        cuts = [_cut(pixels, points, size, i) for i, points in enumerate(self.keypoints.cpu())]
        return torch.stack(cuts) if cuts else pixels.new_zeros(0, 3, size, size)


def _cut(pixels: Tensor, keypoints: Tensor, size: int, number: int) -> Tensor:
    """One face of a picture ``[3, H, W]`` by its keypoints ``[5, 3]``."""
    there = (keypoints[:, 2] > 0) & keypoints.isfinite().all(dim=1)
    if int(there.sum()) < 2:
        raise ValueError(f"face {number} must have two landmarks or more, to be turned by them")
    # As complex numbers, a turn and a scale are one factor.
    found = torch.view_as_complex(keypoints[there, :2].double())
    template = torch.view_as_complex(torch.tensor(ALIGNED, dtype=torch.float64)[there] * size)
    middle = template - template.mean()
    factor = (middle.conj() * (found - found.mean())).sum() / middle.abs().square().sum()
    # A cell of the cut may cover several pixels: it is the mean of as many samples.
    samples = min(max(math.ceil(float(factor.abs())), 1), MAX_SAMPLES)
    axis = (torch.arange(size * samples, dtype=torch.float64) + 0.5) / samples
    cells = torch.complex(*torch.meshgrid(axis, axis, indexing="xy"))
    places = torch.view_as_real((cells - template.mean()) * factor + found.mean()).float()
    extent = torch.tensor([pixels.shape[2], pixels.shape[1]])
    grid = places / extent * 2 - 1
    cut = F.grid_sample(pixels[None], grid[None], align_corners=False)
    return F.avg_pool2d(cut, samples)[0]
