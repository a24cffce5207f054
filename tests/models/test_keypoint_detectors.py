"""What holds for each detector that finds points."""

import pytest
import torch

import fastcv
from fastcv.data import DrawnDigits
from fastcv.learn import evaluate_detector
from fastcv.models import create_model

HOURGLASS = {"dims": (8, 8, 12), "modules": (1, 1, 1)}
SMALL = {
    "centernet_resdcn18": {"width": 8},
    "centernet_dla34": {"channels": (4, 4, 8, 8, 16, 16), "head_channels": 8},
    "centernet_hourglass104": HOURGLASS,
    "cornernet_hourglass104": {**HOURGLASS, "size": 95},
    "centernet_triplet_hourglass104": {**HOURGLASS, "size": 95},
}
LOSSES = {"loss_heatmap", "loss_offset"}


def make(name, **options):
    torch.manual_seed(0)
    return create_model(name, **{"num_classes": 3, "size": 96, **SMALL[name], **options})


def with_statistics(model):
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(std=0.1)
            m.running_var.uniform_(0.5, 1.5)
    return model.eval()


def target(*boxes, label=1):
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label),
    }


def flat(stacks):
    return torch.utils._pytree.tree_leaves(stacks)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("centernet_resdcn18", 14_437_349),
        ("centernet_resdcn101", 49_673_189),
        ("centernet_dla34", 19_675_892),
        ("centernet_hourglass104", 191_284_008),
        ("cornernet_hourglass104", 201_035_212),
        ("centernet_triplet_hourglass104", 210_062_960),
        ("centernet_triplet_hourglass52", 104_844_152),
    ],
)
def test_parameters(name, count):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == count
    # COCO's 80 classes have a channel each, and the label that its files give them.
    assert len(model.labels) == 80 and model.labels[[0, 11, 79]].tolist() == [1, 13, 90]


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_learns(name):
    model = make(name)
    output = model([torch.rand(3, 60, 80), torch.rand(3, 90, 50)])
    assert all(x.isfinite().all() for x in flat(output.stacks))
    # Two of a class in an image, for there to be something to push apart.
    losses = model.loss(
        output, [target([5.0, 5, 40, 50], [30.0, 2, 70, 40]), target([1.0, 1, 40, 60], label=2)]
    )
    assert set(losses) > LOSSES and all(x.ndim == 0 and x.isfinite() for x in losses.values())
    sum(losses.values()).backward()
    for key, p in model.named_parameters():
        if ".project." not in key:  # DLA's checkpoints have some that nothing reads
            assert p.grad is not None and p.grad.isfinite().all(), key


@pytest.mark.parametrize("name", SMALL)
def test_images_without_objects(name):
    model = make(name)
    losses = model.loss(model([torch.rand(3, 60, 80)]), [target()])
    assert losses.pop("loss_heatmap") > 0
    assert all(x == 0 for x in losses.values())


@pytest.mark.parametrize("name", SMALL)
def test_crowds_teach_nothing(name):
    model = make(name).eval()
    output = model([torch.rand(3, 60, 80)])
    one, both = target([5.0, 5, 40, 50]), target([5.0, 5, 40, 50], [50.0, 10, 70, 30])
    crowd = {**both, "iscrowd": torch.tensor([False, True])}
    losses = [sum(model.loss(output, [t]).values()) for t in (one, crowd, both)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("name", ["centernet_resdcn18", "cornernet_hourglass104"])
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "one entry for each image, got 0 for 1 images"),
        ([target([9.0, 2, 4, 8])], r"targets\[0\]: box 0 must have x1 < x2"),
        ([target([1.0, 2, 4, 8], label=3)], r"targets\[0\]: the label of box 0 must be 1 to 2"),
    ],
)
def test_wrong_targets(name, targets, message):
    model = make(name)
    with pytest.raises(ValueError, match=message):
        model.loss(model([torch.rand(3, 60, 80)]), targets)


def test_labels_of_cocos_gaps():
    model = make("centernet_resdcn18", num_classes=91)
    with pytest.raises(ValueError, match=r"targets\[0\]: label 12 is unused, it has no name"):
        model.loss(model([torch.rand(3, 60, 80)]), [target([1.0, 2, 9, 8], label=12)])
    losses = model.loss(model([torch.rand(3, 60, 80)]), [target([1.0, 2, 9, 8], label=90)])
    assert losses["loss_heatmap"].isfinite()


def test_wrong_images():
    with pytest.raises(TypeError, match="divide uint8 by 255"):
        make("centernet_resdcn18")([torch.zeros(3, 60, 80, dtype=torch.uint8)])


def test_at_least_one_class():
    with pytest.raises(ValueError, match="num_classes must be at least 2, with the background"):
        create_model("cornernet_hourglass104", num_classes=1, **HOURGLASS)


@pytest.mark.parametrize("name", SMALL)
def test_optimized_and_exported_say_the_same(name):
    model = with_statistics(make(name))
    less = model.transform.less
    x = torch.randn(1, 3, 64 - less, 96 - less)

    class Dense(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, tensors):
            return self.model.dense(tensors)

    exported = torch.export.export(Dense().eval(), (x,)).module()
    fast = fastcv.optimize(model)
    with torch.no_grad():
        want, got, folded = (flat(f(x)) for f in (model.dense, exported, fast.dense))
    for a, b, c in zip(want, got, folded, strict=True):
        torch.testing.assert_close(b, a)
        # Folding changes the order of additions, through some dozens of layers.
        torch.testing.assert_close(c, a, rtol=1e-4, atol=1e-4 * float(a.abs().max()))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("how", ["bfloat16 model", "float64 model"])
def test_other_precisions(name, how):
    """Losses and scores stay in float32 where the network is in less."""
    dtype = torch.bfloat16 if how == "bfloat16 model" else torch.float64
    full = torch.promote_types(dtype, torch.float32)
    model = make(name).to(dtype)
    images = [torch.rand(3, 60, 80, dtype=dtype)]
    losses = model.loss(model(images), [target([5.0, 5, 40, 50])])
    assert all(x.dtype == full and x.isfinite() for x in losses.values())
    sum(losses.values()).backward()
    (found,) = model.predict(images, score_threshold=0.0)
    assert found.scores.dtype == full


@pytest.mark.parametrize("name", SMALL)
def test_predict_draws(name):
    model = make(name)
    torch.nn.init.normal_(model.heads[-1].get_parameter(heatmap_weight(model)), std=3)
    image = torch.rand(3, 60, 80)
    (found,) = model.predict(image, score_threshold=0.0, max_detections=5)
    assert len(found) <= 5 and found.image_size == (60, 80)
    assert found.draw(image).width % 80 == 0
    x1, y1, x2, y2 = found.boxes.unbind(1)
    assert (x1 >= 0).all() and (y1 >= 0).all() and (x2 <= 80).all() and (y2 <= 60).all()
    assert (found.scores.diff() <= 0).all()
    assert set(found.labels.tolist()) <= {1, 2}


def heatmap_weight(model):
    keys = [key for key, _ in model.heads[-1].named_parameters()]
    return next(key for key in keys if key.endswith("heatmap.2.weight"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "rate", "steps"),
    [
        ("centernet_resdcn18", {"width": 16}, 1e-3, 80),
        ("centernet_hourglass104", {"stacks": 1}, 2e-3, 40),
        ("cornernet_hourglass104", {"stacks": 1, "size": 95}, 3e-3, 40),
        ("centernet_triplet_hourglass52", {"size": 95}, 3e-3, 40),
    ],
)
def test_learns_four_scenes(name, options, rate, steps):
    torch.manual_seed(0)
    if "hourglass" in name:
        options = {"dims": (32, 32, 48, 64), "modules": (1, 1, 1, 1), **options}
    model = create_model(name, num_classes=11, **{"size": 96, **options})
    model.classes = DrawnDigits.classes
    scenes = DrawnDigits("train", size=(96, 96), length=4, max_digits=3, digit_size=(24, 48))
    images, targets = zip(*(scenes[i] for i in range(4)), strict=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    assert evaluate_detector(model, scenes)["AP50"] > 0.9
