"""VGG as a judge of pictures: it is frozen, and its feature maps have the papers' names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fastcv.nn.backbones.vgg import VGGTrunk

if TYPE_CHECKING:
    from typing_extensions import Self

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures


class LossNetwork(nn.Module):
    """Feature maps of pictures, by name: ``relu2_1`` is what the ReLU after the first convolution
    of the second stage makes.

    It does not learn: it is in eval mode, whatever ``train`` says, and its weights ask for no
    gradient. Gradients go through it to the pictures.

    Args:
        trunk: a VGG without batch norm; None: VGG-16 with random weights, always the same ones.
            It becomes part of this module and is frozen.
        average_pool: the mean of 2 x 2 values in place of the largest, as Gatys et al. have it.

    Attributes:
        names: all that can be asked for, from the first to the last.

    Raises:
        ValueError: a trunk with batch norm.

    Source: Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
        Super-Resolution" (2016), section 3.2; average pooling: Gatys, Ecker, Bethge, "Image Style
        Transfer Using Convolutional Neural Networks" (2016), section 2.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.loss_network import LossNetwork
        >>> network = LossNetwork()
        >>> network.names[:4]
        ('relu1_1', 'relu1_2', 'relu2_1', 'relu2_2')
        >>> maps = network(torch.rand(1, 3, 32, 48), ["relu1_2", "relu3_3"])
        >>> {name: tuple(x.shape) for name, x in maps.items()}
        {'relu1_2': (1, 64, 32, 48), 'relu3_3': (1, 256, 8, 12)}
    """

    mean: Tensor
    std: Tensor

    def __init__(self, trunk: VGGTrunk | None = None, *, average_pool: bool = False) -> None:
        super().__init__()
        if trunk is None:
            with torch.random.fork_rng([]):
                torch.manual_seed(0)
                trunk = VGGTrunk(16)
        if any(isinstance(layer, nn.BatchNorm2d) for layer in trunk.features):
            raise ValueError("trunk must be a VGG without batch norm, got one with")
        layers = list(trunk.features)
        if average_pool:
            layers = [nn.AvgPool2d(2) if isinstance(x, nn.MaxPool2d) else x for x in layers]
        self.features = nn.Sequential(*layers)
        self._places: dict[str, int] = {}
        stage, convolution = 1, 0
        for place, layer in enumerate(layers):
            if isinstance(layer, (nn.MaxPool2d, nn.AvgPool2d)):
                stage, convolution = stage + 1, 0
            elif isinstance(layer, nn.ReLU):
                convolution += 1
                self._places[f"relu{stage}_{convolution}"] = place
        self.names = tuple(self._places)
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode."""
        return super().train(False)

    def smallest(self, names: Iterable[str]) -> int:
        """The least height and width of pictures that some layers can be asked of.

        Raises:
            ValueError: a name that there is not.
        """
        asked = set(names)
        if unknown := sorted(asked - set(self.names)):
            raise ValueError(f"layers must be of {', '.join(self.names)}, got {unknown[0]!r}")
        stages = [int(name.removeprefix("relu").partition("_")[0]) for name in asked]
        return 2 ** (max(stages, default=1) - 1)  # a pool before each stage but the first

    def forward(self, pictures: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
        """The feature maps of pictures, no further than to the last that is asked for.

        Args:
            pictures: ``[B, 3, H, W]`` in [0, 1]; values beyond are taken as they are.
            names: which.

        Returns:
            By name, from the first to the last, ``[B, C, H / s, W / s]``, s = 1, 2, 4, 8, 16.

        Raises:
            ValueError: a name that there is not, or pictures of another shape or too small.
        """
        asked = set(names)
        smallest = self.smallest(asked)
        if pictures.ndim != 4 or pictures.shape[1] != 3:
            raise ValueError(f"pictures must be [B, 3, H, W], got {list(pictures.shape)}")
        height, width = pictures.shape[2:]
        if min(height, width) < smallest:
            raise ValueError(
                f"pictures must have at least {smallest} x {smallest} pixels for these layers, got "
                f"{height} x {width}"
            )
        x, found = (pictures - self.mean) / self.std, {}
        at = {self._places[name]: name for name in asked}
        for place, layer in enumerate(self.features[: max(at, default=-1) + 1]):
            x = layer(x)
            if place in at:
                found[at[place]] = x
        return found
