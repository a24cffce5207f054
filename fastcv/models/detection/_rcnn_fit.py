"""What R-CNN solves after its network is trained: an SVM and a box regression for each class."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastcv._extras import need
from fastcv.nn.detection.box_coder import BoxCoder

NEGATIVE = 0.3  # IoU with all objects of a class below which a box is none
NEAR = 0.6  # IoU with an object above which a proposal teaches the regression
EASY = 10  # negatives of an image to begin with
HARD = 100  # negatives that an image adds in a round, at most


class DescribedImage(NamedTuple):
    """An image's objects, then its proposals, and what the network makes of them."""

    boxes: Tensor
    """``[N, 4]``: the objects first."""
    labels: Tensor
    """``[objects]`` int64."""
    iou: Tensor
    """``[objects, N]``."""
    maps: Tensor
    """``[N, map_numbers]``."""
    vectors: Tensor
    """``[N, channels]``."""


class HardNegatives:
    """One class's SVM: all its objects against the negatives that are hard to tell from them.

    Args:
        c: of the SVM; smaller weighs errors less.
        seed: of the negatives to begin with, and of the solver.

    Attributes:
        weight: ``[channels]``; None until ``solve`` had objects and negatives.
        bias: a number.
    """

    def __init__(self, c: float, seed: int) -> None:
        self.c, self.seed = c, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.objects: list[Tensor] = []
        self.negatives: list[Tensor] = []
        self.taken: dict[int, set[int]] = {}
        self.weight: Tensor | None = None
        self.bias = 0.0

    def add_image(self, number: int, image: DescribedImage, label: int, scale: float) -> None:
        """Takes an image's hard negatives; at first sight its objects and a few negatives.

        Args:
            number: of the image.
            image: described, the same each time.
            label: of the class.
            scale: of the vectors.
        """
        of_class = image.labels == label
        negative = (image.iou[of_class] < NEGATIVE).all(0).nonzero().flatten()
        vectors = image.vectors[negative].float() * scale
        if number not in self.taken:
            self.taken[number] = set()
            self.objects.append(image.vectors[: len(of_class)][of_class].float() * scale)
        if self.weight is None:
            order = torch.randperm(len(vectors), generator=self.generator)[:EASY]
        else:
            margin = vectors @ self.weight + self.bias
            order = margin.argsort(descending=True)[: int((margin > -1).sum())][:HARD]
        new = [i for i in order.tolist() if i not in self.taken[number]]
        self.taken[number].update(new)
        self.negatives.append(vectors[new])

    def solve(self) -> None:
        """Fits the SVM to what was taken."""
        objects, negatives = torch.cat(self.objects), torch.cat(self.negatives)
        if len(objects) == 0 or len(negatives) == 0:
            return
        svm = need("sklearn.svm", extra="data").LinearSVC(
            C=self.c,
            class_weight={0: 1, 1: 2},
            intercept_scaling=10,  # so that the bias is hardly penalised
            random_state=self.seed,
            max_iter=10_000,
        )
        labels = [1] * len(objects) + [0] * len(negatives)
        svm.fit(torch.cat([objects, negatives]).double().numpy(), labels)
        self.weight = torch.from_numpy(svm.coef_[0]).float()
        self.bias = float(svm.intercept_[0])


class RegressionPairs:
    """One class's proposals that are near an object, and how they would have to move.

    Args:
        box_coder: encodes these moves.
    """

    def __init__(self, box_coder: BoxCoder) -> None:
        self.box_coder = box_coder
        self.maps: list[Tensor] = []
        self.offsets: list[Tensor] = []

    def add_image(self, image: DescribedImage, label: int) -> None:
        """Takes the proposals whose nearest object is of the class and near enough."""
        objects = len(image.labels)
        if objects == 0:
            return
        best, nearest = image.iou[:, objects:].max(0)
        near = ((best > NEAR) & (image.labels[nearest] == label)).nonzero().flatten()
        matched, proposals = image.boxes[nearest[near]], image.boxes[near + objects]
        self.maps.append(image.maps[near + objects])
        self.offsets.append(self.box_coder.encode(matched, proposals))

    def __len__(self) -> int:
        return sum(map(len, self.maps))

    def solve(self, penalty: float) -> tuple[Tensor, Tensor]:
        """``[map_numbers, 4]`` and ``[4]``, see ``ridge``."""
        return ridge(torch.cat(self.maps), torch.cat(self.offsets), penalty)


def ridge(x: Tensor, y: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """The weights that minimise ``|x w + b - y|^2 + penalty * |w|^2``.

    Args:
        x: ``[N, D]``.
        y: ``[N, K]``.
        penalty: above 0.

    Returns:
        ``w`` ``[D, K]`` and ``b`` ``[K]``, float32.

    Source: Girshick et al., "R-CNN" (2014), appendix C, equation 5.
    """
    x, y = x.double(), y.double()
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    # Two systems have this solution: the smaller one.
    if len(x) < x.shape[1]:
        system = x @ x.T + penalty * torch.eye(len(x), dtype=x.dtype)
        weight = x.T @ torch.linalg.solve(system, y)
    else:
        system = x.T @ x + penalty * torch.eye(x.shape[1], dtype=x.dtype)
        weight = torch.linalg.solve(system, x.T @ y)
    return weight.float(), (y_mean - x_mean @ weight).float()
