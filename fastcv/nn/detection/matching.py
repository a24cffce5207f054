"""Which anchor or proposal answers for which object, and which of them the loss looks at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BELOW = -1
BETWEEN = -2


@dataclass(frozen=True)
class Matcher:
    """Gives each candidate the object it overlaps most, if it does so enough.

    Args:
        high_threshold: from this IoU on a candidate is matched.
        low_threshold: below this IoU it is background; between the two it is neither.
        allow_low_quality_matches: also match, for every object, the candidates that overlap it
            most, however little (all of them, where several overlap it equally).

    Source: Ren et al., "Faster R-CNN" (2015), section 3.1.2.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.matching import Matcher
        >>> iou = torch.tensor([[0.8, 0.4, 0.1], [0.0, 0.5, 0.2]])
        >>> Matcher(0.7, 0.3)(iou)  # the second is neither, the third background
        tensor([ 0, -2, -1])
        >>> Matcher(0.7, 0.3, allow_low_quality_matches=True)(iou)
        tensor([ 0,  1, -1])
    """

    high_threshold: float
    low_threshold: float
    allow_low_quality_matches: bool = False

    def __call__(self, iou: Tensor) -> Tensor:
        """Matches of all candidates.

        Args:
            iou: ``[objects, candidates]``; there may be no objects.

        Returns:
            ``[candidates]`` int64: the object's index, ``BELOW`` or ``BETWEEN``.
        """
        objects, candidates = iou.shape
        if objects == 0:
            return torch.full((candidates,), BELOW, dtype=torch.int64, device=iou.device)
        best, nearest = iou.max(dim=0)
        matches = nearest.masked_fill(best < self.high_threshold, BETWEEN)
        matches.masked_fill_(best < self.low_threshold, BELOW)
        if self.allow_low_quality_matches and candidates > 0:
            highest = iou.amax(dim=1, keepdim=True)
            # An object that nothing overlaps has no match: all its candidates are equal at 0.
            is_highest = ((iou == highest) & (highest > 0)).any(dim=0)
            matches = torch.where(is_highest, nearest, matches)
        return matches


@dataclass(frozen=True)
class MultiBoxMatcher:
    """Gives each object the one prior it overlaps most, and each other prior its best object.

    Args:
        threshold: from this IoU on a prior that no object claims is matched all the same; below it
            is background.
        min_claim: an object claims no prior that it overlaps less than so much, in IoU.

    A prior that is the best of two objects belongs to the later one.

    Source: Liu et al., "SSD" (2016), section 2.2, matching strategy.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.matching import MultiBoxMatcher
        >>> iou = torch.tensor([[0.8, 0.6, 0.0], [0.3, 0.0, 0.0]])
        >>> MultiBoxMatcher(0.5)(iou)  # the second object claims the first prior
        tensor([ 1,  0, -1])
    """

    threshold: float
    min_claim: float = 0.0

    def __call__(self, iou: Tensor) -> Tensor:
        """Matches of all priors.

        Args:
            iou: ``[objects, priors]``; there may be no objects.

        Returns:
            ``[priors]`` int64: the object's index, or ``BELOW``.
        """
        matches = Matcher(self.threshold, self.threshold)(iou)
        if iou.numel() == 0:
            return matches
        highest, prior = iou.max(dim=1)
        # An object that nothing overlaps claims nothing.
        idle = (highest <= 0) | (highest < self.min_claim)
        objects = torch.arange(len(iou), device=iou.device).masked_fill(idle, BELOW)
        claims = torch.full_like(matches, BELOW).scatter_reduce(0, prior, objects, "amax")
        return torch.where(claims >= 0, claims, matches)


@dataclass(frozen=True)
class GreedyMatcher:
    """As ``Matcher``, but first each object gets a prior of its own, the best overlap first.

    Args:
        high_threshold: from this IoU on a prior that no object got is matched all the same.
        low_threshold: below this IoU it is background; between the two it is neither.

    An object that overlaps no prior that is left gets none.

    Source: Bolya et al., "YOLACT" (2019), section 5, whose published training matches so.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.matching import GreedyMatcher
        >>> iou = torch.tensor([[0.8, 0.6, 0.0], [0.7, 0.1, 0.0]])
        >>> GreedyMatcher(0.5, 0.4)(iou)  # both objects overlap the first prior most
        tensor([ 0,  1, -1])
    """

    high_threshold: float
    low_threshold: float

    def __call__(self, iou: Tensor) -> Tensor:
        """Matches of all priors.

        Args:
            iou: ``[objects, priors]``; there may be no objects.

        Returns:
            ``[priors]`` int64: the object's index, ``BELOW`` or ``BETWEEN``.
        """
        matches = Matcher(self.high_threshold, self.low_threshold)(iou)
        if iou.numel() == 0:
            return matches
        left = iou.clone()
        for _ in range(len(iou)):
            # Indices stay tensors: no object waits for the device.
            highest, place = left.flatten().max(dim=0)
            row, prior = place // iou.shape[1], place % iou.shape[1]
            matches[prior] = torch.where(highest > 0, row, matches[prior])
            left[row] = 0
            left[:, prior] = 0
        return matches


@dataclass(frozen=True)
class BalancedSampler:
    """Draws candidates of an image for the loss, so that background does not drown the objects.

    Args:
        batch_size_per_image: how many to draw; fewer where there are not so many.
        positive_fraction: of these, at most so many objects; background fills the rest.

    With the same seed it draws what torchvision's sampler draws: a permutation of the positives,
    then one of the negatives, image by image.

    Source: Ren et al., "Faster R-CNN" (2015), section 3.1.3.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.matching import BalancedSampler
        >>> positive, negative = BalancedSampler(4, 0.5)(torch.tensor([0, 0, 3, -1, 0, 0]))
        >>> positive, len(negative)
        (tensor([2]), 3)
    """

    batch_size_per_image: int
    positive_fraction: float

    def __call__(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Samples of one image.

        Args:
            labels: ``[candidates]``: 1 and more for objects, 0 for background, below 0 for neither.

        Returns:
            indices of the positives and of the negatives, each ascending.
        """
        positive = (labels >= 1).nonzero().flatten()
        negative = (labels == 0).nonzero().flatten()
        positives = min(len(positive), int(self.batch_size_per_image * self.positive_fraction))
        negatives = min(len(negative), self.batch_size_per_image - positives)
        return _draw(positive, positives), _draw(negative, negatives)


def _draw(indices: Tensor, count: int) -> Tensor:
    order = torch.randperm(len(indices), device=indices.device)[:count]
    return indices[order].sort().values
