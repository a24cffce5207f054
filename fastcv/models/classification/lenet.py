"""LeNet-5, as it read handwritten digits in 1998."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.images import grey
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier

CODE = 84  # units of F6, and pixels of a class's code
REJECTION = 1.0  # the penalty of "no class", j of equation 9; the paper gives no value

# Which maps of S2 each map of C3 sees: the paper's table 1.
CONNECTIONS = (
    *((i, (i + 1) % 6, (i + 2) % 6) for i in range(6)),
    *((i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6) for i in range(6)),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)


def squash(x: Tensor) -> Tensor:
    """1.7159 tanh(2 x / 3): at 1 it is 1, at -1 it is -1."""
    return 1.7159 * torch.tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """The sum of each 2x2 cells, times a weight and plus a bias of its map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 1))
        self.bias = nn.Parameter(torch.empty(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return 4 * F.avg_pool2d(x, 2) * self.weight + self.bias


class SparseConvolution(nn.Module):
    """A 5x5 convolution whose every output sees only some inputs, with weights for those alone."""

    outputs: Tensor
    inputs: Tensor

    def __init__(self, connections: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        pairs = [(out, source) for out, sources in enumerate(connections) for source in sources]
        outputs, inputs = torch.tensor(pairs).unbind(1)
        self.register_buffer("outputs", outputs, persistent=False)
        self.register_buffer("inputs", inputs, persistent=False)
        self.channels = (len(connections), 1 + max(max(sources) for sources in connections))
        self.weight = nn.Parameter(torch.empty(len(pairs), 5, 5))
        self.bias = nn.Parameter(torch.empty(len(connections)))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.new_zeros(*self.channels, 5, 5)
        weight = weight.index_put((self.outputs, self.inputs), self.weight)
        return F.conv2d(x, weight, self.bias)


class LeNet(Classifier):
    """LeNet-5 in the paper's form, all of it trained by gradient descent but the codes.

    Convolutions 5x5, trained subsampling, a tanh after each layer; C3 sees the maps of S2 by the
    paper's table; each class has a code of 84 values of -1 and 1, and its penalty is the squared
    distance of F6 from it. The paper drew the codes as 7 x 12 pictures of the characters; here
    they are random, which it names as the other choice.

    The image is 32 x 32 and grey, with 0 to 1 brought to -0.1 to 1.175: strokes are bright, as in
    MNIST.

    Args:
        num_classes: penalties.

    Attributes:
        codes: ``[num_classes, 84]``, of -1 and 1, not trained.

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document
        Recognition" (1998), section II.B, figure 2; weights start as in appendix A.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("lenet5")
        >>> sum(p.numel() for p in model.parameters())
        60000
        >>> logits = model(torch.rand(2, 1, 32, 32))
        >>> logits.shape, list(model.loss(logits, torch.tensor([3, 9])))
        (torch.Size([2, 10]), ['penalty'])
    """

    codes: Tensor

    preprocessing: Mapping[str, Any] = {
        "resize": 32,
        "crop": 32,
        "mean": (0.1 / 1.275,),
        "std": (1 / 1.275,),
        "interpolation": "bilinear",
    }

    def __init__(self, *, num_classes: int = 10) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = Subsampling(6)
        self.c3 = SparseConvolution(CONNECTIONS)
        self.s4 = Subsampling(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, CODE)
        # Drawn on the CPU from a seed of its own: every LeNet has the same codes.
        bits = torch.randint(2, (num_classes, CODE), generator=torch.Generator().manual_seed(0))
        self.register_buffer("codes", bits * 2.0 - 1)
        inputs = (25, 4, 100, 4, 400, 120)  # of a unit; C3's have 75 to 150
        for layer, fan_in in zip(self.children(), inputs, strict=True):
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -2.4 / fan_in, 2.4 / fan_in)
        self.classes = tuple(map(str, range(num_classes)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]``, the negative penalties, of images ``[B, 1, 32, 32]``.

        Raises:
            ValueError: images of another shape.
        """
        if images.shape[1:] != (1, 32, 32):
            raise ValueError(f"images must be [B, 1, 32, 32], got {list(images.shape)}")
        x = squash(self.s2(squash(self.c1(images))))
        x = squash(self.s4(squash(self.c3(x))))
        x = squash(self.f6(squash(self.c5(x)).flatten(1)))
        return -(x[:, None] - self.codes).square().sum(dim=2)

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Equation 9: the right class's penalty against those of the others and of "no class".

        Args:
            output: of ``forward``.
            targets: labels ``[B]`` int64.

        Raises:
            ValueError: targets of another shape or dtype, or a label that no class has.
        """
        # Equation 9 is the cross-entropy where "no class" has a logit, too.
        none = output.new_full((len(output), 1), -REJECTION)
        self._check_targets(output, targets)
        return {"penalty": F.cross_entropy(torch.cat([output, none], dim=1), targets)}

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images of any sizes to one batch: grey, resized, cropped, normalised."""
        return super().prepare([grey(image) for image in images])


@register("lenet5", task="classification")
def lenet5(*, num_classes: int = 10) -> LeNet:
    """LeNet-5."""
    return LeNet(num_classes=num_classes)
