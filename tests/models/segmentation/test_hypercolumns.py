"""Hypercolumns: the column and the sum of layers say the same; the grid; boxes in, masks out."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.models import create_model
from fastcv.models.segmentation.hypercolumns import ALEXNET, VGG16, grid_weights
from fastcv.results import Detections


def make(**config):
    torch.manual_seed(0)
    model = create_model("hypercolumns_vgg16", width=2, **{"num_classes": 3, **config})
    for classifier in model.classifiers.values():
        nn.init.normal_(classifier.weight, std=0.1)
    nn.init.normal_(model.bias, std=0.1)
    return model.eval()


def bilinear_at(maps, y, x, size):
    """A map's values at a heatmap's pixel, by the definition of bilinear interpolation."""
    found = 0
    places = [
        max(0.0, (at + 0.5) * n / size - 0.5) for at, n in zip((y, x), maps.shape[1:], strict=True)
    ]
    for row in (int(places[0]), int(places[0]) + 1):
        for column in (int(places[1]), int(places[1]) + 1):
            weight = (1 - abs(places[0] - row)) * (1 - abs(places[1] - column))
            inside = maps[:, min(row, maps.shape[1] - 1), min(column, maps.shape[2] - 1)]
            found = found + weight * inside
    return found


@torch.no_grad()
def test_a_column_is_each_layer_sampled_by_itself():
    model = make(layers=("pool2", "conv4", "pool5", "fc7"), heatmap_size=20)
    crops = torch.randn(2, 3, 224, 224)
    maps, columns = model.maps(crops), model.hypercolumns(crops)
    assert list(maps) == ["pool2", "conv4", "pool5", "fc7"]
    assert [tuple(x.shape[1:]) for x in maps.values()] == [
        (4, 56, 56), (16, 28, 28), (16, 7, 7), (128, 1, 1),
    ]  # fmt: skip
    for y, x in ((0, 0), (7, 12), (19, 3)):
        want = torch.cat([bilinear_at(m[1], y, x, 20) for m in maps.values()])
        torch.testing.assert_close(columns[1, :, y, x], want, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("grid", [1, 2, 5])
def test_heatmaps_are_those_of_classifiers_of_columns(grid):
    model = make(grid=grid, heatmap_size=12)
    crops = torch.randn(1, 3, 224, 224)
    columns = model.hypercolumns(crops)[0]
    weight = torch.cat([c.weight[:, :, 0, 0] for c in model.classifiers.values()], dim=1)
    probabilities = (
        torch.einsum("oc,chw->ohw", weight, columns) + model.bias[:, None, None]
    ).sigmoid()
    probabilities = probabilities.view(3, grid, grid, 12, 12)
    heatmaps = model(crops)[0]
    for y, x in ((0, 0), (5, 9), (11, 11)):
        for label in range(3):
            at = probabilities[label, :, :, y, x]
            want = bilinear_at(at[None], y, x, 12)[0]  # the grid's classifiers, interpolated
            torch.testing.assert_close(heatmaps[label, y, x], want, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_grid_of_one_is_a_single_classifier():
    model = make(grid=1)
    columns = model.hypercolumns(crops := torch.randn(1, 3, 224, 224))
    weight = torch.cat([c.weight for c in model.classifiers.values()], dim=1)
    want = F.conv2d(columns, weight, model.bias).sigmoid()
    torch.testing.assert_close(model(crops), want, rtol=1e-4, atol=1e-5)


def test_a_grid_of_like_classifiers_is_a_single_classifier():
    one, many = make(grid=1), make(grid=3)
    many.load_state_dict(one.state_dict() | {
        key: value.repeat_interleave(9, dim=0)
        for key, value in one.state_dict().items() if key.startswith(("classifiers", "bias"))
    })  # fmt: skip
    crops = torch.randn(1, 3, 224, 224)
    torch.testing.assert_close(many(crops), one(crops), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("grid", "size"), [(1, 7), (3, 9), (5, 50)])
def test_grid_weights(grid, size):
    weights = grid_weights(grid, size)
    torch.testing.assert_close(weights.sum(0), torch.ones(size, size))
    assert weights.min() >= 0 and int((weights > 0).sum(0).max()) <= 4
    if size == 3 * grid:  # a pixel in the middle of each cell
        middle = weights[:, 1::3, 1::3].reshape(grid**2, -1)
        torch.testing.assert_close(middle, torch.eye(grid**2))


def test_layers():
    with torch.device("meta"):
        vgg, alexnet = create_model("vgg16").features, create_model("alexnet").features
        real = create_model("hypercolumns_vgg16")
        real.start_from(create_model("vgg16"))
        create_model("hypercolumns_alexnet").start_from(create_model("alexnet"))
    for features, places in ((vgg, VGG16), (alexnet, ALEXNET)):
        for name, index in places.items():
            kind = nn.MaxPool2d if name.startswith("pool") else nn.ReLU
            assert isinstance(features[index], kind)
            below = sum(isinstance(layer, nn.Conv2d) for layer in features[: index + 1])
            assert name != "pool2" or below == (4 if places is VGG16 else 2)
            assert name != "conv4" or below == (10 if places is VGG16 else 4)
    assert real.classifiers["conv4"].weight.shape == (21 * 25, 512, 1, 1)
    for layers in ((), ("pool9",)):
        with pytest.raises(ValueError, match=r"layers must be of pool1, .*, fc7, got"):
            make(layers=layers)
    with pytest.raises(ValueError, match="grid must be at least 1, got 0"):
        make(grid=0)


def test_loss_by_hand():
    model = make()
    output = torch.rand(2, 3, 4, 4)
    labels, expected = torch.tensor([2, 0]), torch.randint(2, (2, 4, 4)).float()
    total = 0.0
    for i, label in enumerate(labels.tolist()):
        for p, t in zip(output[i, label].flatten(), expected[i].flatten(), strict=True):
            total -= float((p if t else 1 - p).log()) / 32
    assert float(model.loss(output, (labels, expected))["log_loss"]) == pytest.approx(
        total, rel=1e-4
    )
    for bad, told in (
        ((labels[:1], expected), r"labels must be int64 \[2\], got torch.int64 \[1\]"),
        ((labels, expected[:, :3]), r"heatmaps must be \[2, 4, 4\], got \[2, 3, 4\]"),
        ((labels + 1, expected), r"labels must be 0 to 2, got \[3, 1\]"),
    ):
        with pytest.raises(ValueError, match=told):
            model.loss(output, bad)


class Redness(nn.Module):
    """For a model whose heatmap of class 1 is where the picture is red."""

    def forward(self, crops):
        red = F.interpolate(crops[:, :1], (50, 50), mode="area")
        return torch.cat([0 * red, red, 1 - red], dim=1).clamp(0, 1)


def test_masks_lie_where_the_picture_says():
    model = make()
    model.preprocessing = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    model.forward = Redness().forward
    picture = torch.zeros(3, 60, 90)
    picture[0, 20:40, 30:60] = 1
    boxes = torch.tensor(
        [[25.0, 15.0, 65.0, 45.0], [-10.0, -5.0, 50.0, 30.0], [80.0, 50.0, 85.0, 55.0]]
    )
    (found,) = model.predict(picture, boxes=boxes, labels=[1, 1, 2])
    want = torch.zeros(3, 60, 90, dtype=torch.bool)
    want[0, 20:40, 30:60] = True
    want[1, 20:33, 30:56] = True  # what lies in the box, a fifth larger
    want[2, 49:55, 79:85] = True  # nothing there is red: from 79.5 to 85.5
    for got, mask in zip(found.masks, want, strict=True):
        assert (got & mask).sum() / (got | mask).sum() > 0.9
    assert found.labels.tolist() == [1, 1, 2] and found.scores.tolist() == [1, 1, 1]
    crop = model.crop_masks(want[:1], boxes[:1])
    assert crop.shape == (1, 50, 50) and 0.3 < float(crop.mean()) < 0.4  # 600 of 48 x 36 pixels
    assert found.draw(picture).size == (360, 240)

    (again,) = model.predict(
        picture,
        boxes=Detections(boxes[:1], torch.tensor([0.5]), torch.tensor([1]), ("a", "b"), (60, 90)),
    )
    assert again.scores.tolist() == [0.5] and again.classes == ("a", "b")
    assert torch.equal(again.masks, found.masks[:1])
    (none,) = model.predict(picture, boxes=[], labels=[])
    assert none.masks.shape == (0, 60, 90)


def test_what_is_refused():
    model, picture = make(), torch.rand(3, 40, 50)
    box = [[1, 2, 30, 20]]
    with pytest.raises(ValueError, match="boxes are needed: Detections, or"):
        model.predict(picture)
    with pytest.raises(ValueError, match="boxes are needed: Detections, or"):
        model.predict(picture, boxes=box)
    with pytest.raises(ValueError, match=r"labels must be \[1\], one for each box, got \[2\]"):
        model.predict(picture, boxes=box, labels=[1, 2])
    with pytest.raises(ValueError, match=r"labels must be 0 to 2, got \[3\]"):
        model.predict(picture, boxes=box, labels=[3])
    with pytest.raises(ValueError, match="with x1 < x2, y1 < y2, got"):
        model.predict(picture, boxes=[[5, 5, 5, 9]], labels=[1])
    with pytest.raises(ValueError, match=r"boxes must be \[N, 4\]"):
        model.predict(picture, boxes=[[5, 5, 9]], labels=[1])
    other = Detections(
        torch.tensor(box).float(), torch.ones(1), torch.ones(1, dtype=torch.long), (), (9, 9)
    )
    with pytest.raises(ValueError, match="those of the image, which is 40x50, got Detections"):
        model.predict(picture, boxes=other)


def test_start_from_a_classifier():
    classifier = nn.Module()
    classifier.features = create_model("fcn32s_vgg16", width=2).features
    classifier.classifier = nn.Sequential(nn.Linear(16 * 49, 128), nn.ReLU(), nn.Linear(128, 128))
    model = make()
    model.start_from(classifier)
    maps = torch.rand(1, 16, 7, 7)
    want = classifier.classifier(maps.flatten(1))
    torch.testing.assert_close(
        model.fc7(F.relu(model.fc6(maps))).flatten(1), want, rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
def test_optimized_and_exported_say_the_same():
    model, crops = make(), torch.randn(2, 3, 224, 224)
    want = model(crops)
    torch.testing.assert_close(torch.export.export(model, (crops,)).module()(crops), want)
    torch.testing.assert_close(fastcv.optimize(model)(crops), want, rtol=1e-4, atol=1e-4)


def test_its_classifiers_learn_a_mask():
    torch.manual_seed(0)
    model = create_model("hypercolumns_vgg16", width=4, num_classes=2, grid=2)
    picture = torch.zeros(3, 100, 100)
    picture[:, 20:80, 40:60] = 0.8  # an upright bar
    mask = picture[:1] > 0.5
    boxes = torch.tensor([[20.0, 20.0, 80.0, 80.0]])
    crops, expected = model.crop(picture, boxes), model.crop_masks(mask, boxes)
    optimizer = torch.optim.Adam([*model.classifiers.parameters(), model.bias], lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        model.loss(model(crops), (torch.tensor([1]), expected))["log_loss"].backward()
        optimizer.step()
    (found,) = model.predict(picture, boxes=boxes, labels=[1])
    assert (found.masks & mask).sum() / (found.masks | mask).sum() > 0.8
