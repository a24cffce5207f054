"""The detectors' input against torchvision's."""

import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from fastcv.nn.detection.transform import IMAGENET_MEAN, IMAGENET_STD, DetectionTransform


def test_same_batch():
    g = torch.Generator().manual_seed(0)
    sizes = [(90, 120), (131, 97), (60, 200), (128, 128)]
    images = [torch.rand(3, *size, generator=g) for size in sizes]
    peer = GeneralizedRCNNTransform(128, 213, list(IMAGENET_MEAN), list(IMAGENET_STD)).eval()
    expected, _ = peer(images)
    batch = DetectionTransform(128, 213)(images)
    assert batch.sizes == expected.image_sizes and batch.original_sizes == sizes
    torch.testing.assert_close(batch.tensors, expected.tensors, rtol=1e-6, atol=1e-6)
