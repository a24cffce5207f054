"""A translator learns from what a frozen network sees in its pictures."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from fastcv.models._model import Model
from fastcv.models.generative._pairs import check_pictures
from fastcv.models.generative._translator import ImageTranslator
from fastcv.nn.losses.perceptual import PerceptualLoss


class PerceptualTranslator(ImageTranslator):
    """A translator that ``Perceptual`` can train."""

    @abstractmethod
    def unclipped(self, output: Tensor) -> Tensor:
        """What ``forward`` returned, in [0, 1] where it is a colour, and beyond where it is none.

        Values beyond must have a gradient, to find back.
        """

    def to_pictures(self, output: Tensor) -> Tensor:
        """What ``forward`` returned, in [0, 1]."""
        return self.unclipped(output).clamp(0, 1)


class Perceptual(Model):
    """A translator and a loss, for ``fastcv.learn.fit`` on pairs ``(input, target)`` in [0, 1].

    For super-resolution ``target`` is the large picture. For a style it is the input itself, whose
    content shall stay. The loss and its network are no part of the model: neither trained nor
    saved.

    Args:
        model: what learns.
        perceptual: the loss.

    Source: Johnson et al. (2016), figure 2.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.style_transfer import StyleTransfer
        >>> system = StyleTransfer(width=4).perceptual(torch.rand(3, 20, 20))
        >>> photos = torch.rand(2, 3, 16, 16)
        >>> list(system.loss(system(photos), photos))
        ['content', 'style']
    """

    def __init__(self, model: PerceptualTranslator, perceptual: PerceptualLoss) -> None:
        super().__init__()
        self.model = model
        self._perceptual = (perceptual,)  # in a tuple a module is no part of this one

    @property
    def perceptual(self) -> PerceptualLoss:
        """The loss, with its network."""
        return self._perceptual[0]

    def forward(self, images: Tensor) -> Tensor:
        """What the model makes of ``[B, 3, H, W]`` in [0, 1]: pictures in [0, 1] and beyond."""
        return self.model.unclipped(self.model(self.model.prepare(list(images))))

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The terms of the loss that have a weight.

        Args:
            output: of ``forward``.
            targets: what the pictures should show, of the output's shape, in [0, 1].

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape.
        """
        check_pictures("targets", targets, output.shape)
        terms: dict[str, Tensor] = self.perceptual.to(output.device)(output, targets)
        return terms
