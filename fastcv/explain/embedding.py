"""Features of many values as points of a plane, and pictures at these points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fastcv._extras import need
from fastcv.draw.canvas import color_of
from fastcv.explain._checks import check_tensor
from fastcv.images import ImageInput, read_image

PERPLEXITY = 30.0
FRAME = 2  # pixels, in the colour of the label


def embed_2d(features: Tensor, method: Literal["tsne", "pca"] = "tsne", *, seed: int = 0) -> Tensor:
    """A point of the plane for each row, so that near rows have near points.

    t-SNE keeps neighbours together; distances between far groups, their sizes and the axes mean
    nothing. PCA is the flat shadow with the largest variance; its distances are true but short.

    Args:
        features: ``[N, ...]``, such as ``neighbours(...).features``.
        method: ``"tsne"`` (scikit-learn's, begun at the PCA, perplexity 30 or a third of the other
            rows), or ``"pca"``.
        seed: of t-SNE.

    Returns:
        ``[N, 2]`` float32 on the CPU.

    Raises:
        TypeError: features that are no tensor.
        ValueError: fewer than three rows, values that are not finite, another method.
        ImportError: scikit-learn is missing, for t-SNE.

    Source: van der Maaten and Hinton, "Visualizing Data using t-SNE" (2008).

    Example:
        >>> import torch
        >>> from fastcv.explain import embed_2d
        >>> square = torch.tensor([[3.0, 0, 7], [3, 1, 7], [0, 1, 7], [0, 0, 7]])
        >>> embed_2d(square, "pca")
        tensor([[ 1.5000, -0.5000],
                [ 1.5000,  0.5000],
                [-1.5000,  0.5000],
                [-1.5000, -0.5000]])
    """
    if method not in ("tsne", "pca"):
        raise ValueError(f"method must be 'tsne' or 'pca', got {method!r}")
    check_tensor("features", features)
    if features.ndim < 2 or len(features) < 3:
        raise ValueError(f"features must be [N, D] of 3 rows at least, got {list(features.shape)}")
    rows = features.detach().flatten(1).cpu().double()
    if not bool(rows.isfinite().all()):
        raise ValueError("features must be finite, and have NaN or infinity")
    if method == "pca":
        return _pca(rows).float()
    manifold = need("sklearn.manifold", extra="data")
    found = manifold.TSNE(
        perplexity=min(PERPLEXITY, (len(rows) - 1) / 3), init="pca", random_state=seed
    ).fit_transform(rows.float().numpy())
    return torch.from_numpy(found).float()


def _pca(rows: Tensor) -> Tensor:
    rows = rows - rows.mean(dim=0)
    _, _, axes = torch.linalg.svd(rows, full_matrices=False)
    axes = torch.cat([axes, axes.new_zeros(2, rows.shape[1])])[:2]  # one feature has one axis
    # Of either direction of an axis the one along its largest part.
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    return rows @ (axes * largest.sign()).T


def thumbnail_scatter(
    points: Tensor,
    pictures: Sequence[ImageInput],
    labels: Sequence[int] | None = None,
    *,
    size: int = 900,
    thumbnail: int = 24,
) -> Image.Image:
    """Pictures at the points of ``embed_2d``. Where one would cover another, it is a dot.

    Args:
        points: ``[N, 2]``; the second value goes up.
        pictures: of each point, in any form that ``read_image`` takes.
        labels: of each, for the colour of its frame.
        size: height and width in pixels.
        thumbnail: longer side of a picture, in pixels.

    Raises:
        TypeError: points that are no tensor.
        ValueError: another shape of ``points``, points that are not finite, another number of
            pictures or labels, or a size below 1.

    Example:
        >>> import torch
        >>> from fastcv.explain import embed_2d, thumbnail_scatter
        >>> pictures = torch.rand(12, 3, 8, 8)
        >>> thumbnail_scatter(embed_2d(pictures, "pca"), pictures, size=300).size
        (300, 300)
    """
    check_tensor("points", points)
    if size < 1 or thumbnail < 1:
        raise ValueError(f"size and thumbnail must be at least 1, got {size} and {thumbnail}")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"points must be [N, 2], got {list(points.shape)}")
    if not bool(points.isfinite().all()):
        raise ValueError("points must be finite, and have NaN or infinity")
    for name, given in (("pictures", pictures), ("labels", labels)):
        if given is not None and len(given) != len(points):
            raise ValueError(f"{name} must be {len(points)}, one for each point, got {len(given)}")
    sheet = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(sheet)
    middles = _on_sheet(points, size, thumbnail)
    shown = _apart(middles, thumbnail + 2 * FRAME)
    for i, (x, y) in enumerate(middles):
        color = (150, 150, 150) if labels is None else color_of(int(labels[i]))
        if not shown[i]:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=color)
    for i, (x, y) in enumerate(middles):
        if shown[i]:
            color = (150, 150, 150) if labels is None else color_of(int(labels[i]))
            small = _small(pictures[i], thumbnail)
            left, top = x - small.width // 2, y - small.height // 2
            right, bottom = left + small.width, top + small.height
            frame = (left - FRAME, top - FRAME, right + FRAME - 1, bottom + FRAME - 1)
            draw.rectangle(frame, fill=color)
            sheet.paste(small, (left, top))
    return sheet


def _on_sheet(points: Tensor, size: int, thumbnail: int) -> list[tuple[int, int]]:
    """The points in pixels, one scale for both axes."""
    points = points.detach().cpu().double()
    low, high = points.amin(dim=0), points.amax(dim=0)
    room = size - thumbnail - 4 * FRAME
    scale = room / float((high - low).max().clamp(min=1e-12))
    middle = (points - (low + high) / 2) * scale
    return [(round(size / 2 + x), round(size / 2 - y)) for x, y in middle.tolist()]


def _apart(middles: list[tuple[int, int]], gap: int) -> list[bool]:
    """Whether each keeps clear of those shown before it."""
    shown: list[tuple[int, int]] = []
    found = []
    for x, y in middles:
        clear = all(abs(x - a) >= gap or abs(y - b) >= gap for a, b in shown)
        if clear:
            shown.append((x, y))
        found.append(clear)
    return found


def _small(picture: ImageInput, side: int) -> Image.Image:
    pixels = read_image(picture)
    if pixels.is_floating_point():
        pixels = (pixels.detach().float().clamp(0, 1) * 255).round().byte()
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy())
    scale = side / max(image.size)
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), how
    )
