"""What a database of pictures has that is near."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor, nn

from fastcv.draw.typeface import FontPath
from fastcv.explain._pictures import Pictures
from fastcv.images import ImageInput
from fastcv.results import Gallery
from fastcv.results._drawable import Drawable


@dataclass(repr=False, eq=False)
class NeighboursFound(Drawable):
    """The nearest pictures of each query, the nearest first.

    Args:
        indices: ``[Q, k]`` int64, into the database.
        distances: ``[Q, k]``.
        model: by which they are near.
        queries: the pictures that were asked for.
        database: None: it is not known, and there is nothing to draw.
    """

    indices: Tensor
    distances: Tensor
    model: nn.Module
    queries: Pictures
    database: Pictures | None
    classes: tuple[str, ...] = ()

    @property
    def source(self) -> str | None:  # type: ignore[override]
        """The file of one query."""
        paths = self.queries.paths
        return paths[0] if paths is not None and len(paths) == 1 else None

    @property
    def paths(self) -> list[list[str]] | None:
        """Of each query its neighbours' files, where the database is of files."""
        if self.database is None or self.database.paths is None:
            return None
        paths = self.database.paths
        return [[paths[i] for i in row] for row in self.indices.tolist()]

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        count, k = self.indices.shape
        return f"{type(self).__name__}({k} neighbours of {count} picture{'s' * (count != 1)})"

    def gallery(self) -> Gallery:
        """A row for each query: itself, then its neighbours with their distances.

        Raises:
            ValueError: the database is not known.
        """
        if self.database is None:
            raise ValueError(
                "pictures of the database are not known: Neighbours.load takes them as pictures="
            )
        pictures, captions = [], []
        for query, (row, distances) in enumerate(
            zip(self.indices.tolist(), self.distances.tolist(), strict=True)
        ):
            pictures.append(self.queries.thumbnail(self.model, query))
            captions.append(f"query{_file(self.queries, query)}")
            for index, distance in zip(row, distances, strict=True):
                pictures.append(self.database.thumbnail(self.model, index))
                captions.append(f"{distance:.3g}{_file(self.database, index)}")
        return Gallery(pictures, captions, self.indices.shape[1] + 1, "neighbours", self.source)

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """``gallery()`` as one picture.

        Args:
            image: None.
            font: of the captions, as in ``Detections.draw``.

        Raises:
            ValueError: an image, or the database is not known.
        """
        return self.gallery().draw(image, font=font)

    def to_dict(self) -> dict[str, Any]:
        """``file``; ``neighbours``: of each query a list of ``index``, ``distance``, ``file``."""
        paths = self.paths
        rows = zip(self.indices.tolist(), self.distances.tolist(), strict=True)
        return {
            "file": self.source,
            "neighbours": [
                [
                    {"index": i, "distance": d, "file": None if paths is None else paths[q][n]}
                    for n, (i, d) in enumerate(zip(*row, strict=True))
                ]
                for q, row in enumerate(rows)
            ],
        }


def _file(pictures: Pictures, number: int) -> str:
    return "" if pictures.paths is None else f"  {os.path.basename(pictures.paths[number])}"
