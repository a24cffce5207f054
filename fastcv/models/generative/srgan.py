"""SRGAN: super-resolution that a discriminator judges, so that pictures are sharp."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models._model import Model
from fastcv.models._weights import load_state_dict, read_state_dict
from fastcv.models.generative._pairs import check_pictures
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.losses.adversarial import NonSaturating

if TYPE_CHECKING:
    from fastcv.models.generative.srresnet import SRResNet

BETA = 1e-3  # of the adversarial term: equation 3
POOLED = 6  # cells along a side of the discriminator's last map: of 96 pixels it pools nothing


def conv_block(inputs: int, outputs: int, kernel: int, *rest: nn.Module, stride: int = 1) -> Block:
    """A convolution that keeps the size at stride 1, and what follows."""
    return Block(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), *rest)


class Block(nn.Module):
    """Layers one after the other, by the name that sgrvinod's checkpoints have for them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_block(x)


class SRDiscriminator(nn.Module):
    """Eight convolutions, every second one of stride 2, and two layers on 6 x 6 cells.

    Args:
        width: channels of the first; every second one has twice as many.
        hidden: units of the layer before the last.

    Source: Ledig et al. (2017), figure 4.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.srgan import SRDiscriminator
        >>> model = SRDiscriminator()
        >>> sum(p.numel() for p in model.parameters())
        23565505
        >>> model(torch.rand(2, 3, 48, 48)).shape
        torch.Size([2])
    """

    def __init__(self, width: int = 64, hidden: int = 1024) -> None:
        super().__init__()
        blocks = []
        inputs = 3
        for i in range(8):
            outputs = width * 2 ** (i // 2)
            norm = [nn.BatchNorm2d(outputs)] if i else []
            stride = 1 + i % 2
            blocks.append(conv_block(inputs, outputs, 3, *norm, nn.LeakyReLU(0.2), stride=stride))
            inputs = outputs
        self.conv_blocks = nn.Sequential(*blocks)
        self.fc1 = nn.Linear(inputs * POOLED * POOLED, hidden)
        self.fc2 = nn.Linear(hidden, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``[B]``, logits, of normalised pictures ``[B, 3, H, W]``."""
        x = F.adaptive_avg_pool2d(self.conv_blocks(images), POOLED).flatten(1)
        return self.fc2(F.leaky_relu(self.fc1(x), 0.2)).flatten()


class SRGAN(Model):
    """Two players for ``fastcv.learn.fit`` on pairs ``(small, large)`` of pictures in [0, 1].

    The generator goes first, and both use one forward of it. It wants features like those of the
    large pictures, and, weighed by 0.001, high scores. It should know super-resolution by then:
    train it alone first.

    Args:
        generator: an ``SRResNet``.
        discriminator: from normalised pictures to scores ``[B]``.
        features: from normalised pictures to the features that the content loss compares; None:
            their pixels. It is no part of the model: neither trained nor saved.
        beta: the weight of the adversarial term.

    Source: Ledig et al. (2017), section 2.2; the order of the players and the features after the
        ReLU: sgrvinod's a-PyTorch-Tutorial-to-Super-Resolution.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.srresnet import SRResNet
        >>> gan = SRResNet(width=8, blocks=1).gan()
        >>> small, large = torch.rand(2, 3, 6, 6), torch.rand(2, 3, 24, 24)
        >>> output = gan(small)
        >>> list(gan.loss(output, large, player="generator"))
        ['content', 'adversarial']
        >>> list(gan.loss(output, large, player="discriminator"))
        ['real', 'fake']
    """

    shared_forward = True

    def __init__(
        self,
        generator: SRResNet,
        discriminator: nn.Module | None = None,
        *,
        features: Callable[[Tensor], Tensor] | None = None,
        beta: float = BETA,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator or SRDiscriminator()
        self.beta = beta
        self.adversarial = NonSaturating()
        # In a tuple a module is no part of this one.
        self._features = (_frozen(features),)

    @property
    def players(self) -> dict[str, nn.Module]:
        """The generator, then the discriminator; see ``fastcv.learn.fit``."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def forward(self, images: Tensor) -> Tensor:
        """What the generator makes of small pictures ``[B, 3, H, W]`` in [0, 1]; in [-1, 1]."""
        return self.generator(self.generator.prepare(list(images)))

    def loss(self, output: Tensor, targets: Tensor, *, player: str) -> dict[str, Tensor]:
        """The terms of one player.

        Args:
            output: of ``forward``.
            targets: the large pictures ``[B, 3, scale * H, scale * W]`` in [0, 1].
            player: ``"generator"`` or ``"discriminator"``.

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape, or another player.
        """
        if player not in self.players:
            raise ValueError(f"player must be one of {', '.join(self.players)}, got {player!r}")
        check_pictures("targets", targets, output.shape)
        real = self.generator.prepare(list(targets))
        fake = self.generator.prepare(list((output + 1) / 2))
        if player == "discriminator":
            scores = self.discriminator(real), self.discriminator(fake.detach())
            return self.adversarial.discriminator(*scores)
        scored = self.adversarial.generator(self.discriminator(fake))
        return {"content": self._content(fake, real), "adversarial": self.beta * scored}

    def _content(self, fake: Tensor, real: Tensor) -> Tensor:
        (features,) = self._features
        if features is None:
            return F.mse_loss(fake, real)
        if isinstance(features, nn.Module):
            features.to(fake.device)
        with torch.no_grad():
            targets = features(real)
        return F.mse_loss(features(fake), targets)


class LastFeatures(nn.Module):
    """The last of a trunk's feature maps."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, images: Tensor) -> Tensor:
        return self.trunk(images)[-1]


def vgg_features(weights: str | os.PathLike[str]) -> nn.Module:
    """VGG-19 up to its last convolution and the ReLU after it: stride 16, 512 channels.

    Args:
        weights: torchvision's file of VGG-19, or any with its ``features``.

    Raises:
        ValueError: it is no such file.
        FileNotFoundError: it is not there.
    """
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"loss_weights: there is no file {path}")
    trunk = VGGTrunk(19)
    state = read_state_dict(path)
    of_trunk = {key: state[key] for key in state if key.startswith("features.")}
    load_state_dict(trunk, of_trunk, f"loss_weights: {path} does not fit VGG-19")
    return LastFeatures(trunk)


def _frozen(features: Callable[[Tensor], Tensor] | None) -> Callable[[Tensor], Tensor] | None:
    """A network of features does not learn, and looks at each picture by itself."""
    if isinstance(features, nn.Module):
        features.eval().requires_grad_(False)
    return features
