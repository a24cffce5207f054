"""What holds for each detector that learns by gradients, whatever it is made of."""

import copy

import pytest
import torch
from small_models import SMALL
from torch import nn
from torch.utils._pytree import tree_leaves

import fastcv
from fastcv.models import create_model

NAMES = (
    "fasterrcnn_resnet18_fpn",
    "retinanet_resnet18_fpn",
    "ssd_resnet18",
    "yolov1",
    "detr_resnet18",
    "centernet_resdcn18",
    "centernet_dla34",
    "centernet_hourglass104",
    "cornernet_hourglass104",
    "centernet_triplet_hourglass104",
)
POINTS = {"loss_heatmap", "loss_offset"}
CORNERS = {*POINTS, "loss_pull", "loss_push"}
LOSSES = {
    "fasterrcnn_resnet18": {
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_classifier",
        "loss_box_reg",
    },
    "retinanet_resnet18": {"classification", "bbox_regression"},
    "ssd": {"classification", "bbox_regression"},
    "yolov1": {"loss_xy", "loss_wh", "loss_object", "loss_no_object", "loss_class"},
    "detr": {f"loss_{term}{of}" for term in ("ce", "bbox", "giou") for of in ("", "_0")},
    "centernet": {*POINTS, "loss_size"},
    "cornernet": CORNERS,
    "centernet_triplet": CORNERS,
}
UNREAD = ".project."  # layers of DLA's checkpoints that nothing reads
every_detector = pytest.mark.parametrize("name", NAMES)


def make(name, **options):
    torch.manual_seed(0)
    return create_model(name, **{**SMALL[name].config, **options})


def target(*boxes, label=1):
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label),
    }


@every_detector
def test_every_parameter_learns(name):
    model = make(name)
    output = model([torch.rand(3, 60, 80), torch.rand(3, 90, 50)])
    # Two of a class in an image, for CornerNet to have something to push apart.
    losses = model.loss(
        output, [target([5.0, 5, 40, 50], [30.0, 2, 70, 40]), target([1.0, 1, 40, 60], label=2)]
    )
    assert set(losses) == LOSSES[name.rpartition("_")[0] or name]
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    for key, p in model.named_parameters():
        if UNREAD not in key:
            assert p.grad is not None and p.grad.isfinite().all(), key


@every_detector
def test_crowds_teach_nothing(name):
    model = make(name).eval()
    output = model([torch.rand(3, 60, 80)])
    one, both = target([5.0, 5, 35, 50]), target([5.0, 5, 35, 50], [50.0, 10, 70, 30])
    losses = []
    for expected in (one, {**both, "iscrowd": torch.tensor([False, True])}, both):
        torch.manual_seed(0)  # some sample
        losses.append(sum(model.loss(output, [expected]).values()))
    assert losses[0] == losses[1] != losses[2]


@every_detector
def test_images_without_objects(name):
    model = make(name)
    losses = model.loss(model([torch.rand(3, 60, 80), torch.rand(3, 60, 80)]), [target()] * 2)
    assert all(loss.isfinite() for loss in losses.values())


@every_detector
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "one entry for each image, got 0 for 1 images"),
        ([target([9.0, 2, 4, 8])], r"targets\[0\]: box 0 must have x1 < x2"),
        ([target([1.0, 2, 4, 8], label=3)], r"targets\[0\]: the label of box 0 must be 1 to 2"),
    ],
)
def test_wrong_targets(name, targets, message):
    model = make(name).eval()
    with pytest.raises(ValueError, match=message):
        model.loss(model([torch.rand(3, 60, 80)]), targets)


@every_detector
def test_wrong_images_and_classes(name):
    with pytest.raises(TypeError, match="divide uint8 by 255"):
        make(name)([torch.zeros(3, 60, 80, dtype=torch.uint8)])
    with pytest.raises(ValueError, match=r"images\[0\] must be \[3, H, W\], got \[1, 60, 80\]"):
        make(name)([torch.rand(1, 60, 80)])
    with pytest.raises(ValueError, match="num_classes must be at least 2, with the background"):
        make(name, num_classes=1)


@every_detector
@pytest.mark.parametrize("how", ["bfloat16 model", "bfloat16 autocast", "float64 model"])
def test_other_precisions(name, how):
    """Boxes and losses stay in float32 where the network is in less."""
    model = make(name)
    dtype = {"bfloat16 model": torch.bfloat16, "float64 model": torch.float64}.get(how)
    full = torch.float64 if how == "float64 model" else torch.float32
    images = [torch.rand(3, 60, 80).to(dtype or torch.float32) for _ in range(2)]
    model.to(dtype or torch.float32)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is None):
        losses = model.loss(model(images), [target([5.0, 5, 40, 50])] * 2)
        sum(losses.values()).backward()
        assert all(loss.dtype == full and loss.isfinite() for loss in losses.values())
        found = model.predict(images, score_threshold=0.0, batch_size=2)
    assert all(f.boxes.dtype == full and f.scores.dtype == full for f in found)


class Dense(nn.Module):
    """The part of a detector that takes tensors to tensors, as exporting wants it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *tensors):
        return self.model.dense(*tensors)


@every_detector
def test_optimized_and_exported_say_the_same(name):
    model = make(name)
    for m in model.modules():  # statistics as after training
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(std=0.1)
            m.running_var.uniform_(0.5, 1.5)
    batch = model.eval().transform([torch.rand(3, 60, 96), torch.rand(3, 64, 96)]).tensors
    inputs = (batch,)
    if name.startswith("detr"):
        padding = torch.zeros(len(batch), *batch.shape[-2:], dtype=torch.bool)
        padding[0, 40:] = True
        inputs = (batch, padding)
    fast = fastcv.optimize(model)
    norms = [key for key, m in fast.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(UNREAD in key for key in norms)
    exported = torch.export.export(Dense(model).eval(), inputs).module()
    with torch.no_grad():
        want = tree_leaves(model.dense(*inputs))
        got, folded = tree_leaves(exported(*inputs)), tree_leaves(fast.dense(*inputs))
    assert len(want) >= 1
    for a, b, c in zip(want, got, folded, strict=True):
        torch.testing.assert_close(b, a)
        # Folding changes the order of additions, through some dozens of layers.
        torch.testing.assert_close(c, a, rtol=1e-4, atol=1e-4 * float(a.abs().max()))


@pytest.mark.cuda
@every_detector
def test_on_a_gpu(name):
    """It learns there, and its network says what it says on the CPU."""
    model = make(name)
    on_gpu = copy.deepcopy(model).cuda()
    images = [torch.rand(3, 60, 80), torch.rand(3, 90, 50)]
    cuda_images = [image.cuda() for image in images]
    expected = {key: value.cuda() for key, value in target([5.0, 5, 40, 50]).items()}
    losses = on_gpu.loss(on_gpu(cuda_images), [expected] * 2)
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad.isfinite().all() for p in on_gpu.parameters() if p.grad is not None)
    model.eval()
    on_gpu.load_state_dict(model.state_dict())  # running statistics as they were
    on_gpu.eval()
    with torch.no_grad():
        if name.startswith("detr"):
            want, got = ((o.logits, o.boxes) for o in (model(images), on_gpu(cuda_images)))
        else:  # which boxes are taken of what the network says may turn on a last bit
            batch = model.transform(images).tensors
            want, got = tree_leaves(model.dense(batch)), tree_leaves(on_gpu.dense(batch.cuda()))
    assert len(want) == len(got) > 0
    for a, b in zip(got, want, strict=True):  # layers add in other orders on a GPU
        scale = float(b.abs().max())
        torch.testing.assert_close(a.cpu(), b, rtol=1e-3, atol=1e-3 * max(scale, 1e-6))
    found = on_gpu.predict(images, score_threshold=0.0)
    assert all(f.boxes.is_cuda for f in found)
