"""SSD: its sizes and prior boxes, its loss by hand, its errors, and that it learns."""

import math

import pytest
import torch

from fastcv.data import DrawnDigits
from fastcv.metrics import evaluate_detector
from fastcv.models import create_model
from fastcv.models.detection._dense_detector import DenseOutput
from fastcv.nn.detection.transform import ImageBatch
from fastcv.recipes.detection import digits_ssd


def tiny(**options):
    torch.manual_seed(0)
    small = {"num_classes": 3, "width": 8, "extra_channels": 16, "size": 96}
    return create_model("ssd_resnet18", **{**small, **options})


def target(*boxes, label=1):
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label),
    }


@pytest.mark.parametrize(
    ("name", "dataset", "count", "priors"),
    [
        ("ssd300_vgg16", "coco", 35_641_826, 8732),
        ("ssd300_vgg16", "voc", 26_285_486, 8732),
        ("ssd512_vgg16", "coco", 37_513_116, 24564),
        ("ssd512_vgg16", "voc", 27_188_676, 24564),
    ],
)
def test_parameters_and_priors(name, dataset, count, priors):
    size = 300 if "300" in name else 512
    with torch.device("meta"):
        model = create_model(name, dataset=dataset)
        logits, deltas, anchors = model.dense(torch.zeros(2, 3, size, size))
    assert sum(p.numel() for p in model.parameters()) == count
    assert sum(map(len, anchors)) == priors
    classes = len(model.classes)
    assert torch.cat(logits, 1).shape == (2, priors, classes)
    assert torch.cat(deltas, 1).shape == (2, priors, 4)
    assert model.classes[classes - 1] == ("toothbrush" if dataset == "coco" else "tvmonitor")


def test_the_first_map_has_length_20():
    torch.manual_seed(0)
    model = create_model("ssd300_vgg16", num_classes=3).eval()
    with torch.no_grad():
        first = model.backbone(torch.rand(1, 3, 300, 300) * 255)["0"]
    length = first.norm(dim=1)
    assert torch.allclose(length, torch.full_like(length, 20.0), rtol=1e-4)


def amdegroots(state):
    """Our state by amdegroot's keys: layers counted through, heads by what they say."""
    theirs = {}
    for key, value in state.items():
        part, _, rest = key.removeprefix("backbone.").partition(".")
        if part == "scale_weight":
            new = "L2Norm.weight"
        elif part == "features":
            new = f"vgg.{rest}"
        elif rest.startswith("0.7."):
            new = f"vgg.{30 + int(rest.split('.')[2])}.{rest.split('.')[3]}"  # conv6, conv7
        elif rest.startswith("0."):
            new = f"vgg.{23 + int(rest.split('.')[1])}.{rest.split('.')[2]}"
        elif part == "extra":
            block, layer, kind = rest.split(".")
            new = f"extras.{2 * (int(block) - 1) + int(layer) // 2}.{kind}"
        else:
            what = "loc" if rest.startswith("regression") else "conf"
            new = f"{what}.{rest.split('module_list.')[1]}"
        theirs[new] = value
    return theirs


def test_amdegroots_keys_load():
    torch.manual_seed(0)
    model = create_model("ssd300_vgg16", dataset="voc")
    theirs = amdegroots(model.state_dict())
    convolutions = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33]  # what their list has
    assert {k for k in theirs if k.startswith("vgg") and k.endswith("weight")} == {
        f"vgg.{i}.weight" for i in convolutions
    }
    for part, count in (("extras", 8), ("loc", 6), ("conf", 6)):
        assert {f"{part}.{i}.bias" for i in range(count)} <= set(theirs)
    other = create_model("ssd300_vgg16", dataset="voc")
    other.load_state_dict(theirs)
    for key, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_state_dict({**theirs, "priors": torch.zeros(1)})


def made_up(logits, deltas, anchors):
    """Outputs of one level for an image of 100 x 100 pixels."""
    batch = ImageBatch(torch.zeros(len(logits), 3, 100, 100), *[[(100, 100)] * len(logits)] * 2)
    return DenseOutput(batch, [logits], [deltas], [anchors])


def test_loss_by_hand():
    anchors = torch.tensor([[10.0 * i, 0, 10.0 * i + 10, 10] for i in range(6)])
    logits = torch.zeros(1, 6, 3)
    logits[0, 0] = torch.tensor([0.0, 1.0, 2.0])  # the object, of class 2
    logits[0, 1:, 1] = torch.tensor([1.0, -1.0, 3.0, -3.0, 2.0])  # of these 3, 2, 1 are the worst
    deltas = torch.full((1, 6, 4), 7.0)
    deltas[0, 0] = torch.tensor([0.5, -0.2, 3.0, 0.0])
    # The box is the anchor moved by a tenth of its width: dx = 10 * 0.1 = 1.
    losses = tiny().loss(made_up(logits, deltas, anchors), [target([1.0, 0, 11, 10], label=2)])

    def cost(values, label):
        return math.log(sum(math.exp(v) for v in values)) - values[label]

    want = cost([0, 1, 2], 2) + sum(cost([0, x, 0], 0) for x in (3, 2, 1))
    assert losses["classification"].item() == pytest.approx(want, rel=1e-5)
    # Errors -0.5, -0.2, 3, 0: half of the squares, and 3 - 0.5.
    want = 0.125 + 0.02 + 2.5
    assert losses["bbox_regression"].item() == pytest.approx(want, rel=1e-5)


def test_loss_counts_the_objects_of_the_batch():
    anchors = torch.tensor([[10.0 * i, 0, 10.0 * i + 10, 10] for i in range(9)])
    logits, deltas = torch.zeros(2, 9, 3), torch.ones(2, 9, 4)
    two = target([0.0, 0, 10, 10], [30.0, 0, 40, 10])
    losses = tiny().loss(made_up(logits, deltas, anchors), [target(), two])
    # Two objects, six negatives with them, and none in the image without objects.
    assert losses["classification"].item() == pytest.approx(8 * math.log(3) / 2, rel=1e-5)
    assert losses["bbox_regression"].item() == pytest.approx(8 * 0.5 / 2, rel=1e-5)
    nothing = tiny().loss(made_up(logits, deltas, anchors), [target(), target()])
    assert [loss.item() for loss in nothing.values()] == [0, 0]


def test_at_most_400_of_a_class_are_decoded():
    anchors = torch.tensor([[20.0 * i, 0, 20.0 * i + 10, 10] for i in range(450)])
    logits = torch.zeros(1, 450, 3)
    logits[0, :, 1] = torch.linspace(3, 4, 450)
    output = made_up(logits, torch.zeros(1, 450, 4), anchors)
    output.batch.sizes[0] = output.batch.original_sizes[0] = (10, 9000)
    (found,) = tiny().detect(output, max_detections=1000)
    first = found.labels == 1
    assert first.sum() == 400
    assert found.boxes[first][:, 0].tolist() == [20.0 * i for i in range(449, 49, -1)]


@pytest.mark.parametrize("layers", range(6))
def test_trainable_layers(layers):
    with torch.device("meta"):
        backbone = create_model("ssd300_vgg16", trainable_layers=layers).backbone
    stages = [
        ("features.0.", "features.2."),
        ("features.5.", "features.7."),
        ("features.10.", "features.12.", "features.14."),
        ("features.17.", "features.19.", "features.21."),
        ("extra.0.1.", "extra.0.3.", "extra.0.5."),
    ]
    frozen = tuple(name for stage in stages[: 5 - layers] for name in stage)
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad == (not name.startswith(frozen or ("none",))), name


def test_wrong_options():
    with pytest.raises(ValueError, match="dataset must be 'coco' or 'voc', got 'imagenet'"):
        create_model("ssd300_vgg16", dataset="imagenet")
    with pytest.raises(ValueError, match="trainable_layers must be 0 to 5, got 6"):
        create_model("ssd300_vgg16", trainable_layers=6)


@pytest.mark.slow
def test_learns_digits():
    torch.manual_seed(0)
    scenes = DrawnDigits("train", length=4)
    images, targets = zip(*(scenes[i] for i in range(4)), strict=True)
    model = digits_ssd.build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        optimizer.step()
    assert evaluate_detector(model, scenes)["AP50"] > 0.8
    (found,) = model.predict(images[0], score_threshold=0.4)
    assert len(found) > 0
    assert found.draw(images[0]).size == (384, 384)  # enlarged, so that names have room
