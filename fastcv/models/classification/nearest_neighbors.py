"""Nearest neighbours: a classifier that remembers, and search in a database of vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models.classification._on_features import Features, OnFeatures

QUERIES, ROWS = 1024, 4096  # distances at a time: 32 MiB


class Neighbors(NamedTuple):
    """What was found, the nearest first.

    Args:
        indices: ``[Q, k]`` int64, into the database in the order it was given.
        distances: ``[Q, k]``.
    """

    indices: Tensor
    distances: Tensor


class NearestNeighbors(OnFeatures):
    """The k nearest images vote; it is not trained, ``remember`` is all there is.

    Every distance is worked out, in float64 and a block at a time, so neighbours are exact and
    memory stays bounded whatever the database's size. The order of equally near ones is not
    specified.

    Args:
        k: neighbours that vote.
        metric: ``"l2"``, or ``"cosine"`` (1 - the cosine of the angle).
        features: from a batch of images to vectors, such as a network without its last layer; a
            module is frozen and stays in eval mode. None: the pixels.
        preprocessing: what ``predict`` does to pictures. None: what ``features`` does, where it is
            one of our models; 32 x 32 pixels elsewhere.

    Attributes:
        database: ``[N, D]``, the vectors.
        labels: ``[N]`` int64.

    Source: Cover and Hart, "Nearest Neighbor Pattern Classification" (1967).

    Example:
        >>> import torch
        >>> from fastcv.models.classification.nearest_neighbors import NearestNeighbors
        >>> points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [4.0, 4.0]])
        >>> model = NearestNeighbors(k=3).remember(points, torch.tensor([0, 0, 1, 1]))
        >>> model.nearest(torch.tensor([[0.0, 1.0]]), k=2)
        Neighbors(indices=tensor([[0, 1]]), distances=tensor([[1.0000, 1.4142]]))
        >>> model(torch.tensor([[0.0, 1.0]])).softmax(dim=1)  # shares of the votes
        tensor([[0.6667, 0.3333]])
    """

    database: Tensor
    labels: Tensor

    def __init__(
        self,
        k: int = 5,
        *,
        metric: str = "l2",
        features: Features | None = None,
        preprocessing: Mapping[str, Any] | None = None,
    ) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if metric not in ("l2", "cosine"):
            raise ValueError(f"metric must be 'l2' or 'cosine', got {metric!r}")
        super().__init__(features, preprocessing)
        self.k, self.metric = k, metric
        self.register_buffer("database", torch.empty(0, 0))
        self.register_buffer("labels", torch.empty(0, dtype=torch.int64))

    def remember(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        classes: tuple[str, ...] | None = None,
        batch_size: int = 256,
    ) -> NearestNeighbors:
        """Makes these images the database.

        Args:
            images: ``[N, ...]``, what ``features`` takes; without ``features`` images or vectors.
            labels: ``[N]`` int64, from 0.
            classes: names by label; by default ``class 0`` and so on.
            batch_size: images that ``features`` is given at a time.

        Returns:
            The model itself.

        Raises:
            ValueError: labels of another shape or dtype, negative, or beyond ``classes``.
        """
        if labels.shape != (len(images),) or labels.dtype != torch.int64 or len(labels) == 0:
            raise ValueError(
                f"labels must be int64 [{len(images)}] of one image at least, got {labels.dtype} "
                f"{list(labels.shape)}"
            )
        classes = classes or default_classes("imagenet", int(labels.max()) + 1)
        if int(labels.min()) < 0 or int(labels.max()) >= len(classes):
            raise ValueError(
                f"labels must be 0 to {len(classes) - 1}, got {int(labels.min())} to "
                f"{int(labels.max())}"
            )
        self.database = torch.cat(
            [self.vectors(batch) for batch in torch.split(images, batch_size)]
        )
        self.labels, self.classes = labels.to(self.database.device), classes
        return self

    def nearest(self, queries: Tensor, k: int | None = None) -> Neighbors:
        """The nearest of the database.

        Args:
            queries: ``[Q, ...]``, what ``remember`` took.
            k: how many; None: those that vote.

        Raises:
            ValueError: more neighbours than the database has, or vectors of another length.
        """
        k = self.k if k is None else k
        if not 1 <= k <= len(self.database):
            raise ValueError(f"k must be 1 to the {len(self.database)} of the database, got {k}")
        vectors = self.vectors(queries)
        if vectors.shape[1] != self.database.shape[1]:
            raise ValueError(
                f"queries must give vectors of {self.database.shape[1]} values, as the database "
                f"has, got {vectors.shape[1]}"
            )
        distances, indices = search(self.database, vectors, k, self.metric)
        return Neighbors(indices, distances)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]``: the logarithm of each class's share of the votes.

        So softmax gives the shares; ``argmax`` takes the first of equals.
        """
        indices = self.nearest(images).indices
        votes = torch.zeros(len(indices), len(self.classes), device=indices.device)
        ones = torch.ones((), device=indices.device).expand(indices.shape)
        return (votes.scatter_add(1, self.labels[indices], ones) / self.k).log()

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images of any sizes to one batch, as ``features`` takes it."""
        return super().prepare([image.to(self.database.device) for image in images])

    def _load_from_state_dict(self, state: Any, prefix: str, *rest: Any) -> None:
        """The database comes in the size that was saved."""
        for name in ("database", "labels"):
            if f"{prefix}{name}" in state:
                setattr(self, name, torch.empty_like(state[f"{prefix}{name}"]))
        super()._load_from_state_dict(state, prefix, *rest)
        if len(self.labels):
            self.classes = self.classes or default_classes("imagenet", int(self.labels.max()) + 1)


def search(database: Tensor, queries: Tensor, k: int, metric: str) -> tuple[Tensor, Tensor]:
    """Distances and indices ``[Q, k]`` of the rows of ``database`` nearest to each of ``queries``.

    Every distance is worked out, in float64 and a block at a time.
    """
    found = [_search(database, block, k, metric) for block in torch.split(queries, QUERIES)]
    distances, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
    return distances.to(queries.dtype), indices


def _search(database: Tensor, queries: Tensor, k: int, metric: str) -> tuple[Tensor, Tensor]:
    queries = _scaled(queries, metric)
    nearest = queries.new_empty(len(queries), 0)
    indices = torch.empty_like(nearest, dtype=torch.int64)
    for start in range(0, len(database), ROWS):
        rows = _scaled(database[start : start + ROWS], metric)
        squared = rows.square().sum(1) - 2 * queries @ rows.T
        near, at = squared.topk(min(k, len(rows)), largest=False)
        # The best of this block and of those before.
        nearest, indices = torch.cat([nearest, near], 1), torch.cat([indices, at + start], 1)
        nearest, at = nearest.topk(min(k, nearest.shape[1]), largest=False)
        indices = indices.gather(1, at)
    squared = (nearest + queries.square().sum(1, keepdim=True)).clamp(min=0)
    # Of vectors of length 1, |a - b|^2 = 2 - 2 cos.
    return squared / 2 if metric == "cosine" else squared.sqrt(), indices


def _scaled(vectors: Tensor, metric: str) -> Tensor:
    vectors = vectors.double()
    return F.normalize(vectors) if metric == "cosine" else vectors
