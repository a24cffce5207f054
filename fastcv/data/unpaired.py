"""Two data sets that belong together as a whole, and not item by item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset


class Unpaired(Dataset[tuple[Any, Any]]):
    """Items of one data set, each with a random one of another: horses with zebras.

    It is as long as the longer of the two. Item ``i`` is ``(a[i % len(a)], b[j])``, with a ``j``
    drawn anew each time: a fixed one would make pairs of what are none. The draw comes from
    torch's global generator, which ``fastcv.learn.fit`` seeds for each item and epoch, so that a
    resumed run draws the same.

    Args:
        a: a map-style dataset, such as one of images without targets.
        b: the other one, of any length.

    Raises:
        ValueError: one of them is empty.

    Source: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
    Networks" (2017).

    Example:
        >>> from fastcv.data import Unpaired
        >>> pairs = Unpaired(["horse", "pony"], ["zebra"] * 5)
        >>> len(pairs), pairs[2]
        (5, ('horse', 'zebra'))
    """

    def __init__(self, a: Any, b: Any) -> None:
        for name, data in (("a", a), ("b", b)):
            if len(data) == 0:
                raise ValueError(f"{name} must have at least one item, got an empty data set")
        self.a, self.b = a, b

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"index must be in [0, {len(self)}), got {index}")
        return self.a[index % len(self.a)], self.b[int(torch.randint(len(self.b), ()))]


def pair_of_batches(items: Sequence[tuple[Tensor, Tensor]]) -> tuple[tuple[Tensor, Tensor], None]:
    """``fit``'s ``collate_fn`` for systems that take both pictures as input, such as CycleGAN.

    Args:
        items: pictures ``(a, b)``; all a of one size, all b of one size.

    Returns:
        ``((a, b), None)`` with batches ``[B, C, H, W]``: images, and no targets.

    Raises:
        ValueError: pictures of several sizes.

    Example:
        >>> import torch
        >>> from fastcv.data import pair_of_batches
        >>> (a, b), targets = pair_of_batches([(torch.rand(3, 8, 8), torch.rand(3, 4, 4))] * 2)
        >>> a.shape, b.shape, targets
        (torch.Size([2, 3, 8, 8]), torch.Size([2, 3, 4, 4]), None)
    """
    a, b = zip(*items, strict=True)
    for name, pictures in (("a", a), ("b", b)):
        if sizes := {tuple(p.shape) for p in pictures} - {tuple(pictures[0].shape)}:
            raise ValueError(
                f"pictures {name} of a batch must have one size, got "
                f"{list(pictures[0].shape)} and {list(sizes.pop())}: a transform such as "
                "fastcv.data.Jitter makes them so"
            )
    return (torch.stack(a), torch.stack(b)), None
