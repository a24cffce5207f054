"""GoogLeNet: modules of four branches, and two more classifiers on the way that only train."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._model import ignore_keys
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._published import torchvision_weights
from fastcv.nn.init import fill
from fastcv.nn.layers.local_response_norm import local_response_norm

AUXILIARY_WEIGHT = 0.3  # in the loss


class GoogLeNetOutput(NamedTuple):
    """What training needs: logits ``[B, classes]``, and those of the classifiers on the way."""

    logits: Tensor
    aux1: Tensor
    aux2: Tensor


class ConvReLU(nn.Module):
    """A convolution that keeps the size at stride 1, a batch norm or a bias, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, batch_norm: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not batch_norm)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3) if batch_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches side by side: 1x1, 3x3, 5x5 and pool, the last three narrowed by 1x1.

    Args:
        inputs: channels.
        channels: of 1x1, narrowing before 3x3, 3x3, narrowing before 5x5, 5x5, after the pool; a
            row of the paper's table 1.
        conv: makes ``ConvReLU``.
        kernel: of the third branch: 5, or 3 as in torchvision's.
    """

    def __init__(
        self,
        inputs: int,
        channels: tuple[int, int, int, int, int, int],
        conv: Callable[..., nn.Module],
        kernel: int,
    ) -> None:
        super().__init__()
        one, narrow3, three, narrow5, five, pool = channels
        self.branch1 = conv(inputs, one, 1)
        self.branch2 = nn.Sequential(conv(inputs, narrow3, 1), conv(narrow3, three, 3))
        self.branch3 = nn.Sequential(conv(inputs, narrow5, 1), conv(narrow5, five, kernel))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(inputs, pool, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class AuxiliaryClassifier(nn.Module):
    """A small classifier on maps of half-way, which brings a gradient there."""

    def __init__(
        self,
        inputs: int,
        num_classes: int,
        conv: Callable[..., nn.Module],
        paper: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.paper = paper
        self.pool = nn.AvgPool2d(5, stride=3) if paper else nn.AdaptiveAvgPool2d(4)
        self.conv = conv(inputs, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        if self.paper and x.shape[-2:] != (14, 14):
            raise ValueError(
                "images must be 224 x 224, of which the auxiliary classifiers get maps of 14 x 14, "
                f"got maps of {' x '.join(map(str, x.shape[-2:]))}; aux_logits=False takes any size"
            )
        x = self.conv(self.pool(x)).flatten(1)
        return self.fc2(self.dropout(self.relu(self.fc1(x))))


class GoogLeNet(Classifier):
    """The network of figure 3, in the paper's form or with batch norms as in torchvision.

    Args:
        paper: the paper's form: biases and no batch norm, response normalisation beside the first
            two pools, 5x5 convolutions, 3x3 pools throughout. Otherwise torchvision's, whose "5x5"
            branch has 3x3 kernels, by a mistake that its weights were trained with.
        num_classes: logits.
        aux_logits: have the auxiliary classifiers; they run in training only.
        transform_input: take images normalised as ``preprocessing`` says, and give the network
            2 x - 1 of the image's values x in [0, 1], which torchvision's weights expect.
        dropout: before the last layer; None: 0.4 in the paper's form, 0.2 in torchvision's.
        dropout_aux: in the auxiliary classifiers.

    Source: Szegedy et al., "Going Deeper with Convolutions" (2015), table 1, section 5. The paper
        does not say how weights start: the paper's form starts as in Caffe's reproduction (Glorot,
        biases 0.2), torchvision's as its own.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("googlenet", num_classes=10)
        >>> output = model(torch.rand(2, 3, 64, 64))
        >>> output.logits.shape, list(model.loss(output, torch.tensor([3, 9])))
        (torch.Size([2, 10]), ['cross_entropy', 'aux1', 'aux2'])
        >>> model.eval()(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        paper: bool,
        *,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        dropout: float | None = None,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        self.transform_input = transform_input
        if dropout is None:
            dropout = 0.4 if paper else 0.2
        conv = partial(ConvReLU, batch_norm=not paper)
        inception = partial(Inception, conv=conv, kernel=5 if paper else 3)
        norm = local_response_norm if paper else nn.Identity
        pool = partial(nn.MaxPool2d, stride=2, ceil_mode=True)

        self.conv1 = conv(3, 64, 7, 2)
        self.maxpool1 = pool(3)
        self.norm1 = norm()
        self.conv2 = conv(64, 64, 1)
        self.conv3 = conv(64, 192, 3)
        self.norm2 = norm()
        self.maxpool2 = pool(3)
        self.inception3a = inception(192, (64, 96, 128, 16, 32, 32))
        self.inception3b = inception(256, (128, 128, 192, 32, 96, 64))
        self.maxpool3 = pool(3)
        self.inception4a = inception(480, (192, 96, 208, 16, 48, 64))
        self.inception4b = inception(512, (160, 112, 224, 24, 64, 64))
        self.inception4c = inception(512, (128, 128, 256, 24, 64, 64))
        self.inception4d = inception(512, (112, 144, 288, 32, 64, 64))
        self.inception4e = inception(528, (256, 160, 320, 32, 128, 128))
        self.maxpool4 = pool(3 if paper else 2)
        self.inception5a = inception(832, (256, 160, 320, 32, 128, 128))
        self.inception5b = inception(832, (384, 192, 384, 48, 128, 128))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)

        self.aux1 = self.aux2 = None
        if aux_logits:
            self.aux1, self.aux2 = (
                AuxiliaryClassifier(channels, num_classes, conv, paper, dropout_aux)
                for channels in (512, 528)
            )
        else:
            ignore_keys(self, "aux1.", "aux2.")  # a checkpoint may have them
        self._initialize(paper)
        self.classes = default_classes("imagenet", num_classes)

    def _initialize(self, paper: bool) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                if paper:
                    nn.init.xavier_uniform_(module.weight)
                    fill(module.bias, 0.2)
                else:
                    nn.init.normal_(module.weight, std=0.01)

    def forward(self, images: Tensor) -> Tensor | GoogLeNetOutput:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``, sides from 15.

        In training with auxiliary classifiers: a ``GoogLeNetOutput`` of all three.
        """
        x = self._to_unit_range(images) if self.transform_input else images
        x = self.norm1(self.maxpool1(self.conv1(x)))
        x = self.maxpool2(self.norm2(self.conv3(self.conv2(x))))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        early = self.inception4a(x)
        late = self.inception4d(self.inception4c(self.inception4b(early)))
        x = self.maxpool4(self.inception4e(late))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(x.mean(dim=(2, 3))))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return GoogLeNetOutput(logits, self.aux1(early), self.aux2(late))
        return logits

    def _to_unit_range(self, images: Tensor) -> Tensor:
        mean, std = (
            images.new_tensor(Classifier.preprocessing[key])[:, None, None]
            for key in ("mean", "std")
        )
        return 2 * (images * std + mean) - 1

    def loss(self, output: Tensor | GoogLeNetOutput, targets: Tensor) -> dict[str, Tensor]:
        """The mean cross-entropy; in training that of the auxiliary classifiers, times 0.3, too.

        Args:
            output: of ``forward``.
            targets: labels ``[B]`` int64.

        Raises:
            ValueError: targets of another shape or dtype, or a label that no class has.
        """
        if not isinstance(output, GoogLeNetOutput):
            return super().loss(output, targets)
        terms = super().loss(output.logits, targets)
        for name, logits in (("aux1", output.aux1), ("aux2", output.aux2)):
            terms[name] = AUXILIARY_WEIGHT * super().loss(logits, targets)["cross_entropy"]
        return terms


@register(
    "googlenet",
    task="classification",
    weights=[
        # Their auxiliary classifiers were never trained.
        dataclasses.replace(
            torchvision_weights(1, "googlenet-1378be20.pth", 69.778, 89.53),
            config={"aux_logits": False, "transform_input": True},
        ),
    ],
)
def googlenet(**config: Any) -> GoogLeNet:
    """torchvision's GoogLeNet; ``config``: what ``GoogLeNet`` takes but ``paper``."""
    return GoogLeNet(False, **config)


@register("googlenet_paper", task="classification")
def googlenet_paper(**config: Any) -> GoogLeNet:
    """The paper's GoogLeNet; ``config``: what ``GoogLeNet`` takes but ``paper``."""
    return GoogLeNet(True, **config)
