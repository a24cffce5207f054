"""ResNet as Caffe's weights have it: strides in the 1x1, and pixels in BGR without scaling."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fastcv.nn.backbones.resnet import Bottleneck, NormLayer, ResNetTrunk
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch

BGR_MEAN = (102.9801, 115.9465, 122.7717)  # of values from 0 to 255


def caffe_resnet(depth: int, norm_layer: NormLayer) -> ResNetTrunk:
    """A ``ResNetTrunk`` whose bottlenecks stride in their first convolution, as in the paper.

    Args:
        depth: 50, 101 or 152.
        norm_layer: makes the norm for a number of channels.

    Source: He et al., "Deep Residual Learning for Image Recognition" (2016), table 1.

    Example:
        >>> from torch import nn
        >>> from fastcv.nn.backbones.caffe_resnet import caffe_resnet
        >>> first = caffe_resnet(50, nn.BatchNorm2d).layer2[0]
        >>> first.conv1.stride, first.conv2.stride
        ((2, 2), (1, 1))
    """
    trunk = ResNetTrunk(depth, norm_layer=norm_layer)
    for block in trunk.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return trunk


class CaffeTransform(DetectionTransform):
    """``DetectionTransform`` to BGR from 0 to 255, less ``BGR_MEAN``.

    Args:
        min_size, max_size: as of ``DetectionTransform``.
    """

    def __init__(self, min_size: int = 800, max_size: int = 1333) -> None:
        mean = [value / 255 for value in reversed(BGR_MEAN)]
        super().__init__(min_size, max_size, mean, [1 / 255] * 3)

    def forward(self, images: Sequence[Tensor] | Tensor) -> ImageBatch:
        batch = super().forward(images)
        return batch._replace(tensors=batch.tensors.flip(1))
