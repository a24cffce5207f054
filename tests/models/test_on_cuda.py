"""Classifiers and segmenters say on a GPU what they say on the CPU."""

import copy

import pytest
import torch
from torch.utils._pytree import tree_leaves

from fastcv.models import create_model

pytestmark = pytest.mark.cuda
IMAGE_TO_TENSOR = {  # with a batch that they take
    "alexnet": (2, 3, 64, 80),
    "vgg11_bn": (2, 3, 32, 48),
    "googlenet": (2, 3, 64, 80),
    "resnet18": (2, 3, 64, 80),
    "densenet121": (2, 3, 64, 64),
    "se_resnet50": (2, 3, 64, 64),
    "efficientnet_b0": (2, 3, 64, 64),
    "xception": (2, 3, 96, 96),
    "resnet50_dcn": (2, 3, 64, 64),
    "fcn8s_vgg16": (1, 3, 64, 80),
    "unet": (1, 3, 64, 80),
    "deeplabv3_resnet50": (2, 3, 64, 80),
    "deeplabv3plus_resnet50": (2, 3, 64, 80),
}


def make(name):
    torch.manual_seed(0)
    return create_model(name, num_classes=3)


def tensors(output):
    return [x for x in tree_leaves(output) if isinstance(x, torch.Tensor)]


def assert_near(got, want):
    """Layers add in other orders on a GPU; what is left of that grows with the values."""
    assert len(got) == len(want) > 0
    for a, b in zip(got, want, strict=True):
        if b.is_floating_point():
            scale = float(b.abs().max()) if b.numel() else 1.0
            torch.testing.assert_close(a.cpu(), b, rtol=1e-3, atol=1e-3 * max(scale, 1e-6))


@pytest.mark.parametrize("name", IMAGE_TO_TENSOR)
def test_classifiers_and_segmenters(name):
    model = make(name).eval()
    on_gpu = copy.deepcopy(model).cuda()
    x = torch.randn(IMAGE_TO_TENSOR[name])
    with torch.no_grad():
        assert_near(tensors(on_gpu(x.cuda())), tensors(model(x)))
    (found,) = on_gpu.predict(torch.rand(3, 40, 50))
    assert all(t.is_cuda for t in vars(found).values() if isinstance(t, torch.Tensor))
