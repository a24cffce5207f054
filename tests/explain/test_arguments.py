"""Arguments of every kind that nobody can explain: one sentence, and the model as it was."""

import re

import numpy as np
import pytest
import torch
from explained import METHODS, OWN_MODELS, Net, assert_same, net_in_use, state_of
from PIL import Image
from small_models import make_small
from torch import nn

from fastcv import explain
from fastcv.models.generative.progan import ProGAN

# Those that take a batch of images, and make something of each.
OF_IMAGES = [
    "activations",
    "activation_grid",
    "occlusion",
    "saliency",
    "smoothgrad",
    "deconvnet",
    "guided_backprop",
    "cam",
    "grad_cam",
    "grad_cam of a layer",
    "guided_grad_cam",
]
OF_DATABASES = ["dissect", "unit_quantiles", "neighbours", "neighbours, auto", "top_patches"]
of_images = pytest.mark.parametrize("name", OF_IMAGES)


@pytest.mark.parametrize("model", ["resnet18", None, {"weight": torch.zeros(1)}, Net])
@pytest.mark.parametrize("name", METHODS)
def test_no_model(name, model):
    if model is None and name.startswith("neighbours"):
        model = 3  # None is by pixels
    with pytest.raises(TypeError, match=r"^model must be a .*, got (str|NoneType|int|dict|type)$"):
        METHODS[name](model, torch.rand(2, 3, 16, 16))


def test_no_model_of_those_that_do_not_run_it():
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got str"):
        explain.filters("resnet18")
    with (
        pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got str"),
        explain.edit_units("resnet18", "first", [0]),
    ):
        pass


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@of_images
def test_pixels_that_are_no_numbers(name, value):
    net, images = net_in_use()
    images[-1, 1, 2, 3] = images[0, 0, 1, 1] = value
    before = state_of(net)
    with pytest.raises(ValueError, match="images must be finite, and have NaN or infinity"):
        METHODS[name](net, images)
    assert_same(before, state_of(net))


@pytest.mark.parametrize("shape", [(1, 3, 0, 16), (1, 3, 16, 0), (1, 0, 16, 16)])
@pytest.mark.parametrize("name", [*OF_IMAGES, *OF_DATABASES])
def test_images_without_pixels(name, shape):
    net, _ = net_in_use()
    before = state_of(net)
    with pytest.raises(ValueError, match=re.escape(f"must have pixels, got {list(shape)}")):
        METHODS[name](net, torch.zeros(shape))
    assert_same(before, state_of(net))


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("method", [explain.grad_cam, explain.saliency, explain.neighbours])
def test_channels_that_a_model_of_ours_does_not_take(method, channels):
    model, images = make_small("resnet18"), torch.rand(2, channels, 32, 32)
    got = rf"must be \[B, 3, H, W\], as the forward of ResNet takes them, got \[2, {channels}"
    with pytest.raises(ValueError, match=got):
        method(model, images)


NEEDS_SCORES = [
    "occlusion",
    "saliency",
    "smoothgrad",
    "deconvnet",
    "guided_backprop",
    "cam",
    "grad_cam",
    "grad_cam of a layer",
    "guided_grad_cam",
    "faithfulness",
    "visualise_class",
]


@pytest.mark.parametrize("name", NEEDS_SCORES)
def test_weights_that_are_no_numbers(name):
    net, images = net_in_use()
    net.fc.weight.data[0, 0] = torch.nan
    before = state_of(net)
    with pytest.raises(ValueError, match=r"scores must be numbers, and those of image 0 have NaN"):
        METHODS[name](net, images)
    after = state_of(net)
    before["tensors"].pop("fc.weight"), after["tensors"].pop("fc.weight")  # NaN is not equal to NaN
    assert_same(before, after)


@pytest.mark.parametrize("name", ["dissect", "unit_quantiles"])
def test_maps_that_are_no_numbers(name):
    net, images = net_in_use()
    images[1, 0, 4, 4] = torch.nan
    with pytest.raises(ValueError, match="layer 'first' must give numbers, and gives NaN"):
        METHODS[name](net, images)


NO_PICTURES = [None, 3, b"abc", {}, {"a": "b.jpg"}, {1}, object(), dict, [None], [1, 2]]


@pytest.mark.parametrize("pictures", NO_PICTURES, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(
    "name", ["activations", "occlusion", "saliency", "cam", "grad_cam of a layer", *OF_DATABASES]
)
def test_what_is_no_picture(name, pictures):
    for model in (net_in_use()[0], make_small("resnet18")):
        model.first = getattr(model, "first", nn.Identity())
        model.second = getattr(model, "second", nn.Identity())
        before = state_of(model)
        with pytest.raises(TypeError, match=r"^(images|an image|pictures|image) .*must be"):
            METHODS[name](model, pictures)
        assert_same(before, state_of(model))


@pytest.mark.parametrize("shape", [(), (5,), (5, 5), (2, 3, 8, 8, 8)])
@pytest.mark.parametrize("name", OF_DATABASES)
def test_tensors_that_are_no_pictures(name, shape):
    with pytest.raises(TypeError, match="pictures must be floating-point tensors, as the forward"):
        METHODS[name](net_in_use()[0], torch.rand(shape))


def test_a_picture_without_pixels():
    with pytest.raises(ValueError, match="an image must have pixels, got 5x0"):
        explain.grad_cam(make_small("resnet18"), Image.new("RGB", (0, 5)))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda v: explain.embed_2d(v, "pca"), "features"),
        (lambda v: explain.thumbnail_scatter(v, []), "points"),
        (lambda v: explain.boxes_of_maps(v), "maps"),
        (lambda v: explain.pointing_game(v, []), "points"),
        (
            lambda v: explain.edit_units(Net(), "first", [0], mask=v).__enter__(),
            "mask",
        ),
        (
            lambda v: explain.faithfulness(Net(), torch.rand(1, 3, 16, 16), {"a": v}),
            "attributions: a",
        ),
        (lambda v: explain.dissect(ProGAN((8, 8)), "layer1", v, len, concepts=["a"]), "inputs"),
    ],
)
@pytest.mark.parametrize("value", [3, "abc", [1.0, 2.0], np.zeros((4, 2))], ids=repr)
def test_what_must_be_a_tensor(call, name, value):
    got = f"^{name} must be a tensor, got {type(value).__name__}$"
    with pytest.raises(TypeError, match=got):
        call(value)


NAN = float("nan")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda m, x: explain.saliency(m, x, samples=2, sigma=NAN), "sigma"),
        (lambda m, x: explain.occlusion(m, x, window=8, fill=NAN), "fill"),
        (lambda m, x: explain.occlusion(m, x, window=8, fill=float("inf")), "fill"),
        *[
            (lambda m, x, name=name: explain.visualise_class(m, 1, size=16, **{name: NAN}), name)
            for name in ("lr", "l2", "tv", "blur", "jitter")
        ],
        (lambda m, x: explain.boxes_of_maps(x[:, 0], NAN), "share"),
        (lambda m, x: explain.unit_quantiles(m, "first", x, NAN), "quantile"),
        (lambda m, x: explain.faithfulness(m, x, {"a": x[:, 0] * NAN}), "attributions"),
        (lambda m, x: explain.thumbnail_scatter(torch.full((2, 2), NAN), list(x)), "points"),
    ],
)
def test_options_that_are_no_numbers(call, name):
    """No range has NaN in it, though no comparison says so."""
    with pytest.raises(ValueError, match=f"^{name}.* must be "):
        call(*net_in_use())


@pytest.mark.parametrize("given", [[torch.rand(1, 16, 16)], torch.rand(1, 16, 16), "abc", None])
def test_attributions_without_names(given):
    with pytest.raises(TypeError, match="attributions must be maps by name"):
        explain.faithfulness(Net(), torch.rand(1, 3, 16, 16), given)


def test_boxes_as_lists():
    points = torch.tensor([[1.0, 3.0], [4.0, 1.0]])
    boxes = [[0, 0, 4, 4], [0, 0, 4, 4]]
    assert explain.pointing_game(points, boxes) == 0.5
    assert explain.pointing_game(points, [[box] for box in boxes]) == 0.5
    with pytest.raises(ValueError, match=r"boxes must be \[K, 4\] of each image, got \[3\]"):
        explain.pointing_game(points, [[0, 0, 4]] * 2)


def test_every_method_has_its_rows():
    """A new method is in one of the lists, or has tests of its own."""
    listed = {*OF_IMAGES, *OF_DATABASES, *NEEDS_SCORES, *OWN_MODELS}
    assert METHODS.keys() - listed == {"receptive_field", "top_patches, back"}
