"""Each kind of model on a GPU says what it says on the CPU, and learns there."""

import copy

import pytest
import torch
from torch.utils._pytree import tree_leaves

from fastcv.models import create_model

pytestmark = pytest.mark.cuda
HOURGLASS = {"dims": (8, 8, 12), "modules": (1, 1, 1)}
PYRAMID = {"width": 8, "fpn_channels": 16, "min_size": 64, "max_size": 96}
DETECTORS = {
    "fasterrcnn_resnet18_fpn": {**PYRAMID, "head_channels": 32},
    "retinanet_resnet18_fpn": PYRAMID,
    "ssd_resnet18": {"width": 8, "extra_channels": 16, "size": 96},
    "yolov1": {"grid": 2, "width": 8, "hidden": 16, "batch_norm": True},
    "detr_resnet18": {"width": 8, "channels": 16, "heads": 2, "min_size": 64, "max_size": 96},
    "centernet_resdcn18": {"width": 8, "size": 96},
    "centernet_dla34": {"channels": (4, 4, 8, 8, 16, 16), "head_channels": 8, "size": 96},
    "cornernet_hourglass104": {**HOURGLASS, "size": 95},
    "centernet_triplet_hourglass104": {**HOURGLASS, "size": 95},
}
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


def make(name, **options):
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return create_model(name, num_classes=3, **options)


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


@pytest.mark.parametrize("name", DETECTORS)
def test_detectors(name):
    model = make(name, **DETECTORS[name])
    on_gpu = copy.deepcopy(model).cuda()
    images = [torch.rand(3, 60, 80), torch.rand(3, 90, 50)]
    target = {"boxes": torch.tensor([[5.0, 5, 40, 50]]), "labels": torch.tensor([1])}
    cuda_images = [image.cuda() for image in images]
    cuda_target = {key: value.cuda() for key, value in target.items()}
    losses = on_gpu.loss(on_gpu(cuda_images), [cuda_target] * 2)
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad.isfinite().all() for p in on_gpu.parameters() if p.grad is not None)
    # What the network says; which boxes are taken of it may turn on a last bit.
    model.eval()
    on_gpu.load_state_dict(model.state_dict())  # running statistics as they were
    on_gpu.eval()
    with torch.no_grad():
        if name.startswith("detr"):
            want, got = model(images), on_gpu(cuda_images)
            assert_near([got.logits, got.boxes], [want.logits, want.boxes])
        else:
            batch = model.transform(images).tensors
            assert_near(tensors(on_gpu.dense(batch.cuda())), tensors(model.dense(batch)))
    found = on_gpu.predict(images, score_threshold=0.0)
    assert all(f.boxes.is_cuda for f in found)
