"""SphereFace-20a: from a face to an embedding, whose direction says who it is."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.losses.angle_loss import AngleLoss

UNITS = (1, 2, 4, 1)  # of two convolutions each, by stage: the paper's table 2, 20 layers
STRIDE = 16
ANNEALED = 3000  # steps after which the angle loss is at its hardest


class FaceEmbedding(NamedTuple):
    """What a recogniser says of faces."""

    embeddings: Tensor
    """``[B, E]``."""
    cosines: Tensor
    """``[B, people]``, of the angles between embeddings and people."""

    @property
    def norms(self) -> Tensor:
        """``[B]``, the embeddings' lengths."""
        return self.embeddings.norm(dim=1)


class SphereFace20a(nn.Module):
    """Four stages of convolutions with PReLU, which halve the size and add in pairs to their input.

    Args:
        num_classes: how many people it learns to tell apart.
        image_size: height and width of the faces, multiples of 16; others are resized.
        width: channels of the first stage; the last has 8 times as many.
        embedding_size: of an embedding.

    Source: Liu et al., "SphereFace: Deep Hypersphere Embedding for Face Recognition" (2017),
        table 2. Keys are those of clcarwin/sphereface_pytorch.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.sphereface import SphereFace20a
        >>> model = SphereFace20a(5, image_size=(32, 32), width=4, embedding_size=16)
        >>> found = model(torch.rand(2, 3, 32, 32))
        >>> found.embeddings.shape, found.cosines.shape
        (torch.Size([2, 16]), torch.Size([2, 5]))
        >>> list(model.loss(found, torch.tensor([0, 4])))
        ['angle']
    """

    def __init__(
        self,
        num_classes: int,
        *,
        image_size: tuple[int, int] = (112, 96),
        width: int = 64,
        embedding_size: int = 512,
    ) -> None:
        super().__init__()
        if any(side < STRIDE or side % STRIDE for side in image_size):
            raise ValueError(f"image_size must be multiples of {STRIDE}, got {image_size}")
        self.image_size = image_size
        inputs = 3
        for stage, units in enumerate(UNITS, 1):
            outputs = width * 2 ** (stage - 1)
            for i in range(1, 2 * units + 2):
                conv = nn.Conv2d(inputs, outputs, 3, 2 if i == 1 else 1, 1)
                self.add_module(f"conv{stage}_{i}", conv)
                self.add_module(f"relu{stage}_{i}", nn.PReLU(outputs))
                inputs = outputs
        cells = (image_size[0] // STRIDE) * (image_size[1] // STRIDE)
        self.fc5 = nn.Linear(inputs * cells, embedding_size)
        self.fc6 = Directions(embedding_size, num_classes)
        self.angle = AngleLoss()
        self.register_load_state_dict_pre_hook(_take_public_files)  # type: ignore[no-untyped-call]  # torch's is

    def forward(self, images: Tensor) -> FaceEmbedding:
        """Of faces ``[B, 3, H, W]`` in [0, 1]."""
        if tuple(images.shape[2:]) != self.image_size:
            images = F.interpolate(
                images, self.image_size, mode="bilinear", align_corners=False, antialias=True
            )
        x = images * 2 - 1
        for stage, units in enumerate(UNITS, 1):
            x = self._convolve(x, stage, 1)
            for i in range(2, 2 * units + 2, 2):
                x = x + self._convolve(self._convolve(x, stage, i), stage, i + 1)
        embeddings = self.fc5(x.flatten(1))
        return FaceEmbedding(embeddings, self.fc6(embeddings))

    def _convolve(self, x: Tensor, stage: int, i: int) -> Tensor:
        convolved: Tensor = getattr(self, f"conv{stage}_{i}")(x)
        rectified: Tensor = getattr(self, f"relu{stage}_{i}")(convolved)
        return rectified

    def loss(self, output: FaceEmbedding, targets: Tensor) -> dict[str, Tensor]:
        """The angle loss; targets are labels ``[B]`` int64."""
        return {"angle": self.angle(output.cosines, output.norms, targets)}


class Directions(nn.Module):
    """A direction for each class, and the cosines of the angles to them."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, classes).uniform_(-1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, classes]`` of embeddings ``[B, inputs]``."""
        return F.normalize(x, dim=1) @ F.normalize(self.weight, dim=0)


def _take_public_files(_: nn.Module, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    """Published files do not hold the loss's steps: they are trained, so it is at its hardest."""
    if f"{prefix}fc5.weight" in state:
        state.setdefault(f"{prefix}angle.steps", torch.tensor(ANNEALED))
