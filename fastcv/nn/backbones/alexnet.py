"""AlexNet's convolutions, as they were and as they are used today."""

from __future__ import annotations

from torch import nn

from fastcv.nn.layers.local_response_norm import local_response_norm

MAP_SIZE = 6  # of the last map of 224 x 224 and of 227 x 227 pixels, in cells
CHANNELS = 256  # of the last maps


def alexnet_features() -> nn.Sequential:
    """One stream, narrower than the paper's, no normalisation; torchvision's order and keys.

    From ``[B, 3, H, W]`` to maps of 256 channels at a 32nd of the size; 6 x 6 of 224 x 224.

    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014).
    """
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(256, CHANNELS, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
    )


def alexnet_grouped_features() -> nn.Sequential:
    """The paper's: two groups where it had two GPUs, response normalisation.

    The order is the paper's: convolution, ReLU, normalisation, pool. The first convolution pads by
    2, which gives the paper's 55 x 55 maps of its 224 x 224 images.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks"
        (2012).
    """
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4, padding=2),
        nn.ReLU(inplace=True),
        local_response_norm(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2),
        nn.ReLU(inplace=True),
        local_response_norm(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(256, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, CHANNELS, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
    )
