"""What each method must give by its definition: no peer, no trained weights."""

import doctest
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import make_small
from torch import nn
from torch.nn import functional as F

from fastcv import explain
from fastcv.explain._gradients import spread
from fastcv.explain.targets import BoxScore, PixelScore
from fastcv.images import read_image
from fastcv.nn.detection.transform import ImageBatch


class Relu(nn.Module):
    """Its input, rectified, times fixed numbers: their gradient comes back to the ReLU."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images):
        return (F.relu(images) * self.weights).sum(dim=(2, 3))


H = torch.tensor([[1.0, -1, 5], [2, -5, -7], [-3, 2, 4]])
G = torch.tensor([[-2.0, 3, -1], [6, -3, 1], [2, -1, 3]])


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (lambda *a: explain.saliency(*a, mode="signed"), [[-2, 0, -1], [6, 0, 0], [0, -1, 3]]),
        (explain.deconvnet, [[0, 3, 0], [6, 0, 1], [2, 0, 3]]),
        (explain.guided_backprop, [[0, 0, 0], [6, 0, 0], [0, 0, 3]]),
    ],
    ids=["backprop", "deconvnet", "guided"],
)
def test_the_worked_example(method, expected):
    """Figure 1 of the paper of guided backpropagation."""
    found = method(Relu(G), H[None, None], 0)
    assert torch.equal(found.values[0, 0], torch.tensor(expected).float())


class Linear(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weights = nn.Parameter(torch.randn(4, 3, *size))

    def forward(self, images):
        return torch.einsum("bchw,kchw->bk", images, self.weights)


@pytest.mark.parametrize(("window", "stride"), [(3, 2), ((4, 2), (1, 3)), (9, 5), (1, 1)])
def test_occlusion_of_a_linear_model(window, stride):
    torch.manual_seed(0)
    model, images = Linear((9, 11)), torch.randn(2, 3, 9, 11)
    found = explain.occlusion(model, images, [1, 3], window=window, stride=stride, batch_size=4)
    products = torch.stack(
        [(model.weights[k] * x).sum(0) for k, x in zip((1, 3), images, strict=True)]
    )
    (height, width), (down, right) = ((v, v) if isinstance(v, int) else v for v in (window, stride))
    losses, counts = torch.zeros(2, 2, 9, 11)
    for row in range(found.cells.shape[1]):
        for column in range(found.cells.shape[2]):
            part = (
                slice(None),
                slice(row * down, row * down + height),
                slice(column * right, column * right + width),
            )
            hidden = products[part].sum(dim=(1, 2))
            torch.testing.assert_close(
                found.cells[:, row, column], -hidden.detach(), atol=1e-5, rtol=1e-5
            )
            losses[part] += hidden.detach()[:, None, None]
            counts[part] += 1
    assert bool((counts[:, -1, -1] > 0).all())  # the corner is covered
    torch.testing.assert_close(found.maps, losses / counts.clamp(min=1), atol=1e-5, rtol=1e-4)


def test_occlusion_by_other_fills():
    torch.manual_seed(0)
    model, image = Linear((8, 8)), torch.rand(1, 3, 8, 8)
    weights = model.weights[2].detach()

    def change(fill):
        found = explain.occlusion(model, image, 2, window=8, stride=8, fill=fill)
        return found.cells[0, 0, 0]

    mean = image.mean(dim=(2, 3))[0, :, None, None]
    for fill, there in (("mean", mean), (0.25, torch.tensor(0.25))):
        expected = (weights * (there - image[0])).sum()
        torch.testing.assert_close(change(fill), expected, atol=1e-5, rtol=1e-4)
    flat = torch.full((1, 3, 8, 8), 0.5)
    same = explain.occlusion(model, flat, 2, window=4, stride=4, fill="blur")
    assert same.cells.abs().max() < 1e-5


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "googlenet", "efficientnet", "se_resnet50"]
)
def test_cam_and_grad_cam_where_the_network_ends_in_a_mean(name):
    model = make_small(name).eval()
    images, targets = torch.randn(2, 3, 64, 64), [2, 0]
    cam = explain.cam(model, images, targets)
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    last = getattr(model, "fc", getattr(model, "classifier", last))
    bias = (last if isinstance(last, nn.Linear) else last[-1]).bias[targets].detach()
    with torch.no_grad():
        logits = model(images)[[0, 1], targets]
    torch.testing.assert_close(cam.cells.mean(dim=(1, 2)) + bias, logits, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(cam.scores, logits, atol=1e-6, rtol=1e-5)
    grad_cam = explain.grad_cam(model, images, targets)
    positions = cam.cells[0].numel()
    scale = float(cam.cells.abs().max()) / positions
    torch.testing.assert_close(
        grad_cam.cells, cam.cells.relu() / positions, atol=1e-5 * scale, rtol=1e-3
    )
    assert cam.layer == grad_cam.layer


def test_cam_of_another_end():
    with pytest.raises(ValueError, match="must end in the mean over its last maps"):
        explain.cam(make_small("lenet5"), torch.rand(1, 1, 32, 32))
    with pytest.raises(TypeError, match="CAM has no other"):
        explain.cam(make_small("resnet18"), torch.rand(1, 3, 64, 64), lambda out: out[:, 0])


def test_guided_grad_cam_is_the_product():
    model, images = make_small("resnet18"), torch.randn(2, 3, 64, 64)
    both = explain.guided_grad_cam(model, images, [1, 2])
    fine = explain.guided_backprop(model, images, [1, 2])
    coarse = explain.grad_cam(model, images, [1, 2])
    assert torch.equal(both.values, fine.values * coarse.maps[:, None])
    assert torch.equal(both.maps, both.values.abs().amax(dim=1))
    assert both.maps.abs().sum() > 0


def test_grad_cam_by_hand():
    """Equations 1 and 2, at a layer in the middle, the ReLU behind it in place."""
    torch.manual_seed(0)
    first, head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)
    model = nn.Sequential(first, nn.ReLU(inplace=True), head, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.randn(2, 3, 9, 9)
    found = explain.grad_cam(model, images, [4, 1], layer="0")
    for i, label in enumerate((4, 1)):
        maps = first(images[i : i + 1]).detach().requires_grad_()
        score = head(maps.relu()).mean(dim=(2, 3))[0, label]
        (grad,) = torch.autograd.grad(score, maps)
        cells = sum(grad[0, k].mean() * maps[0, k] for k in range(4)).relu()
        torch.testing.assert_close(found.cells[i], cells.detach())
        enlarged = F.interpolate(cells[None, None], (9, 9), mode="bilinear")[0, 0]
        torch.testing.assert_close(found.maps[i], enlarged.detach())


def test_saliency_of_a_linear_model():
    torch.manual_seed(0)
    model, images = Linear((5, 6)), torch.randn(2, 3, 5, 6)
    w = model.weights[[3, 0]].detach()

    def maps(**options):
        return explain.saliency(model, images, [3, 0], **options).maps

    assert torch.equal(maps(), w.abs().amax(1))
    torch.testing.assert_close(maps(mode="square", channels="sum"), w.square().sum(1))
    torch.testing.assert_close(maps(mode="signed", channels="sum"), w.sum(1))
    largest = maps(mode="signed")
    assert torch.equal(largest.abs(), w.abs().amax(1)) and bool((largest < 0).any())
    # The gradient of a linear model is the same with any noise.
    torch.testing.assert_close(maps(samples=5, sigma=0.3), w.abs().amax(1))


def test_smoothgrad_is_the_mean_over_noisy_copies():
    """Of a quadratic the gradient is linear, so each copy's noise can be read off."""

    class Quadratic(nn.Module):
        def forward(self, images):
            return images.square().sum(dim=(1, 2, 3))[:, None]

    images = torch.rand(2, 3, 8, 8) * torch.tensor([1.0, 10.0]).view(2, 1, 1, 1)
    found = explain.saliency(Quadratic(), images, 0, mode="signed", samples=400, sigma=0.2, seed=3)
    off = (found.values / 2 - images).flatten(1)  # the mean noise
    spans = images.flatten(1).amax(1) - images.flatten(1).amin(1)
    expected = 0.2 * spans / 400**0.5
    torch.testing.assert_close(off.std(dim=1), expected, rtol=0.2, atol=0)
    again = explain.saliency(Quadratic(), images, 0, mode="signed", samples=400, sigma=0.2, seed=3)
    assert torch.equal(found.values, again.values)


def test_activations_lie_where_they_are():
    """A channel that is a convolution's answer to one bright pixel."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.AvgPool2d(4), nn.Flatten())
    model[0].weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    images = torch.zeros(2, 1, 16, 16)
    images[0, 0, 5, 11] = images[1, 0, 14, 2] = 2.0
    found = explain.activations(model, images, 0, layer="1")
    assert found.cells.shape == (2, 4, 4)
    assert found.cells.flatten(1).argmax(1).tolist() == [1 * 4 + 2, 3 * 4 + 0]
    for (x, y), (column, row) in zip(found.peaks(), ((11, 5), (2, 14)), strict=True):
        assert abs(x - column) < 4 and abs(y - row) < 4
    assert explain.activations(model, images, layer="0").targets == ("channel 0", "channel 0")
    grid = explain.activation_grid(model, images[:1], layer="1", channels=2)
    assert list(grid.captions) == ["channel 0", "channel 1"]
    brightest = np.asarray(grid.pictures[0])[..., 0]
    row, column = np.unravel_index(brightest.argmax(), brightest.shape)
    assert (row * 4 // len(brightest), column * 4 // len(brightest)) == (1, 2)


# Every task.


@pytest.mark.parametrize(
    "name",
    [
        "fasterrcnn_resnet18_fpn",
        "retinanet_resnet18_fpn",
        "ssd_resnet18",
        "yolov1",
        "detr_resnet18",
        "centernet_resdcn18",
    ],
)
def test_detectors(name):
    """The map of a box is there, in the image's size, and of that box's score."""
    model, image = make_small(name).eval(), torch.rand(3, 70, 90)
    with torch.no_grad():
        ((boxes, scores, labels),) = model.detect(model([image]), score_threshold=0.001)
    found = explain.grad_cam(model, image)
    assert found.maps.shape == (1, 70, 90) and found.maps.min() >= 0
    assert explain.saliency(model, image).maps.max() > 0
    torch.testing.assert_close(found.scores[0], scores.max(), rtol=1e-3, atol=1e-5)
    best = int(scores.argmax())
    name_of = model.classes[int(labels[best])]
    assert found.targets == (name_of,)
    other = len(boxes) // 2
    target = BoxScore(model, boxes[other], int(labels[other]), "the other")
    second = explain.grad_cam(model, image, target)
    assert second.targets == ("the other",) and second.scores[0] >= scores[other] - 1e-5
    assert found.draw().size[0] >= 90


def test_the_border_that_a_detector_adds_is_left_out():
    """Of 40 x 64 in a batch of 64 x 64: cells of the zeros below are no part of the map."""
    batch = ImageBatch(torch.zeros(1, 3, 64, 64), [(40, 64)], [(80, 128)])
    cells = torch.ones(1, 8, 8)
    cells[:, 5:] = 0
    cells[:, :, 4:] *= 2
    maps = spread(cells, (80, 128), SimpleNamespace(batch=batch))
    assert maps.shape == (1, 80, 128)
    expected = F.interpolate(cells[:, None, :5], (80, 128), mode="bilinear")[:, 0]
    torch.testing.assert_close(maps[:, :70], expected[:, :70], atol=0.05, rtol=0)


@pytest.mark.parametrize("name", ["fcn_resnet50", "unet", "deeplabv3_resnet50", "fcn8s_vgg16"])
def test_segmenters(name):
    model = make_small(name).eval()
    image = torch.rand(3, 64, 96)
    with torch.no_grad():
        output = model(model.prepare([image]))
    labels = output[0].argmax(0)
    label = int(labels.flatten().bincount().argmax())
    found = explain.grad_cam(model, image, label)
    expected = output[0, label][labels == label].sum()
    torch.testing.assert_close(found.scores[0], expected, rtol=1e-4, atol=1e-3)
    assert found.maps.shape == (1, 64, 96)
    mask = torch.zeros(labels.shape, dtype=torch.bool)
    mask[10:20, 30:50] = True
    part = explain.saliency(model, image, PixelScore(label, mask))
    torch.testing.assert_close(part.scores[0], output[0, label][mask].sum(), rtol=1e-4, atol=1e-3)
    assert part.maps.max() > 0


def test_a_channel_of_a_layer():
    """Explained at its highest cell: nothing outside that cell's receptive field lights up."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.Flatten()
    model = nn.Sequential(*layers, nn.Linear(6 * 25, 2))
    image = torch.randn(1, 3, 16, 16)
    for method in (explain.saliency, explain.deconvnet, explain.guided_backprop):
        found = method(model, image, 5, layer="3")
        assert found.targets == ("channel 5",)
        cells = model[:4](image)[0, 5]
        place = int(cells.argmax())
        field = explain.receptive_field(model, "3", (16, 16))
        x1, y1, x2, y2 = field.box(place // 5, place % 5)
        inside = found.maps[0, y1:y2, x1:x2].clone()
        assert inside.max() > 0
        torch.testing.assert_close(inside.sum(), found.maps.sum())
        torch.testing.assert_close(found.scores[0], cells.max())


# Pictures in, results out.


def test_pictures_as_predict_takes_them(tmp_path):
    model = make_small("resnet18")
    image = torch.rand(3, 80, 100)
    pixels = (image * 255).byte()
    found = explain.grad_cam(model, [pixels, pixels])
    prepared = model.prepare([model.as_float(pixels)] * 2)
    again = explain.grad_cam(model, prepared)
    assert torch.equal(found.maps, again.maps)
    torch.testing.assert_close(
        found.pictures[0], model._resize_and_crop(pixels / 255), atol=1e-5, rtol=0
    )
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / "a.png")
    of_file = explain.grad_cam(model, tmp_path / "a.png")
    assert of_file.source == str(tmp_path / "a.png")
    torch.testing.assert_close(of_file.maps[0], found.maps[0], atol=1e-5, rtol=1e-4)
    of_file.save(tmp_path / "map.png")
    assert read_image(tmp_path / "map.png").shape[0] == 3


def test_what_images_must_be():
    plain = nn.Conv2d(3, 2, 3)
    with pytest.raises(TypeError, match=r"images must be a floating-point tensor \[B, C, H, W\]"):
        explain.grad_cam(plain, "photo.jpg")
    with pytest.raises(TypeError, match=r"got torch\.uint8"):
        explain.grad_cam(plain, torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="at least one"):
        explain.grad_cam(plain, torch.zeros(0, 3, 8, 8))
    with pytest.raises(ValueError, match="at least one, got none"):
        explain.grad_cam(make_small("resnet18"), [])
    detector = make_small("ssd_resnet18")
    with pytest.raises(ValueError, match="must be of one size, got 40x50 and 60x50"):
        explain.grad_cam(detector, [torch.rand(3, 40, 50), torch.rand(3, 60, 50)])


@pytest.mark.parametrize(
    ("method", "options", "why"),
    [
        (explain.saliency, {"mode": "cubed"}, "mode must be abs, square or signed"),
        (explain.saliency, {"channels": "min"}, "channels must be max or sum"),
        (explain.saliency, {"samples": 0}, "samples must be at least 1, got 0"),
        (explain.saliency, {"sigma": -1.0}, "sigma must be 0 or more"),
        (explain.occlusion, {"window": 65}, "window must be at most 64 high, as the image, got 65"),
        (explain.occlusion, {"stride": 0}, "stride must be at least 1 pixel"),
        (explain.occlusion, {"fill": "white"}, "fill must be a number, 'mean' or 'blur'"),
        (explain.occlusion, {"batch_size": 0}, "batch_size must be at least 1"),
        (
            explain.activations,
            {"channel": 99},
            "channel must be 0 to 63, of layer 'layer4', got 99",
        ),
        (explain.activation_grid, {"channels": 0}, "channels must be at least 1"),
        (explain.grad_cam, {"layer": "layer5"}, "no 'layer5': did you mean 'layer4'"),
        (explain.grad_cam, {"layer": "fc"}, r"'fc' must give maps \[1, C, H, W\]"),
    ],
)
def test_options_out_of_range(method, options, why):
    with pytest.raises(ValueError, match=why):
        method(make_small("resnet18"), torch.rand(1, 3, 64, 64), **options)


def test_the_example_of_the_page():
    page = Path(__file__).parents[2] / "docs/explain.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert tried > 5 and failed == 0
