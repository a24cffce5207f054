"""Filters as pictures: levels to the pixel, colours and grids, and whose they may be."""

import numpy as np
import pytest
import torch
from real_weights import real_weights
from small_models import make_small
from torch import nn

import fastcv
from fastcv import explain
from fastcv.explain.filters import to_levels


def conv_of(weight):
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], tuple(weight.shape[2:]), bias=False)
    layer.weight.data.copy_(weight)
    return nn.Sequential(layer)


def picture_of(model, number=0, **options):
    """One pixel for each weight."""
    gallery = explain.filters(model, **options)
    return np.array(gallery.pictures[number])


def test_levels_are_exact():
    weight = torch.tensor([-2.0, -1.0, -0.5, 0.0, -0.0, 0.25, 1.0, 2.0])
    assert to_levels(weight).tolist() == [1, 64, 96, 128, 128, 144, 192, 255]
    assert to_levels(-weight).tolist() == [256 - n for n in to_levels(weight).tolist()]
    # Another scale, the same picture; what cannot be drawn is 0.
    assert to_levels(1e-20 * weight).tolist() == to_levels(weight).tolist()
    assert to_levels(torch.zeros(3)).tolist() == [128] * 3
    assert to_levels(torch.tensor([1.0, torch.nan, torch.inf])).tolist() == [255, 128, 128]


def test_colours():
    weight = torch.zeros(2, 3, 2, 4)
    weight[0, :, 0, 0] = torch.tensor([4.0, -4.0, 2.0])
    weight[1, 2, 1, 3] = 0.01  # of a faint filter: it has its own scale
    model = conv_of(weight)
    pixels = picture_of(model)
    scale = pixels.shape[1] // 4
    assert pixels.shape == (2 * scale, 4 * scale, 3) and scale > 10
    cells = pixels[scale // 2 :: scale, scale // 2 :: scale]
    expected = np.full((2, 4, 3), 128)
    expected[0, 0] = 255, 1, 192
    assert (cells == expected).all()
    assert (pixels == cells.repeat(scale, 0).repeat(scale, 1)).all()
    assert (picture_of(model, 1)[-1, -1] == (128, 128, 255)).all()


def test_grids_of_grey():
    """Five kernels of 2 x 3 in two rows of three, white between them and where none is."""
    weight = torch.arange(30.0).view(1, 5, 2, 3) - 15
    pixels = picture_of(conv_of(weight))
    scale = pixels.shape[1] // 11
    cells = pixels[::scale, ::scale, 0]
    assert cells.shape == (5, 11) and (pixels[..., 0] == pixels[..., 2]).all()
    levels = to_levels(weight)[0].numpy()
    expected = np.full((5, 11), 255)
    for i, (top, left) in enumerate([(0, 0), (0, 4), (0, 8), (3, 0), (3, 4)]):
        expected[top : top + 2, left : left + 3] = levels[i]
    assert (cells == expected).all()


def test_a_pixel_wide():
    pixels = picture_of(conv_of(torch.tensor([1.0, -1, 0, 0.5]).view(1, 4, 1, 1)))
    scale = pixels.shape[1] // 2
    assert pixels[::scale, ::scale, 0].tolist() == [[255, 1], [128, 192]]
    three = picture_of(conv_of(torch.tensor([1.0, -1, 0, 0.5, 1]).view(1, 5, 1, 1)))
    assert three[:: three.shape[0] // 2, -1, 0].tolist() == [128, 255]  # white where none is


def test_which_layer():
    model = make_small("resnet18")
    first = explain.filters(model)
    assert first.title == "conv1" and len(first) == 8
    deeper = explain.filters(model, "layer2.0.conv1", channels=3, columns=2)
    assert deeper.title == "layer2.0.conv1" and deeper.captions == ["0", "1", "2"]
    first.draw(), deeper.draw()
    depthwise = explain.filters(make_small("mobilenet_v2"), "features.1.conv.0.0")
    assert len({picture.size for picture in depthwise.pictures}) == 1


def test_blue_comes_first():
    """Of a model that takes BGR, colours are as a person sees them."""
    weight = torch.zeros(1, 3, 3, 3)
    weight[0, 0] = 1
    rgb = make_small("resnet18")
    rgb.conv1 = conv_of(weight)[0]
    assert (picture_of(rgb)[0, 0] == (255, 128, 128)).all()
    rgb.preprocessing = {**rgb.preprocessing, "channel_order": "bgr"}
    assert (picture_of(rgb)[0, 0] == (128, 128, 255)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes(dtype):
    weight = torch.tensor([-2.0, 0, 1]).view(1, 3, 1, 1)
    assert picture_of(conv_of(weight).to(dtype))[0, 0].tolist() == [1, 128, 192]


def test_the_model_is_only_looked_at():
    model = make_small("resnet18").train()
    model.register_forward_pre_hook(lambda *_: pytest.fail("the model was run"))
    model.conv1.weight.grad = torch.ones_like(model.conv1.weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        explain.filters(model)
    explain.filters(model, "layer1.0.conv1")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules()) and model.conv1.weight.requires_grad
    assert bool((model.conv1.weight.grad == 1).all())


def test_mistakes():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"layer '3' must have weights \[O, I, h, w\], got wei"):
        explain.filters(model, "3")
    with pytest.raises(ValueError, match=r"layer '1' must have .*, got no weights"):
        explain.filters(model, "1")
    with pytest.raises(ValueError, match="layer: the model has no 'conv': it has 0, 1"):
        explain.filters(model, "conv")
    with pytest.raises(ValueError, match="found no convolution with weights"):
        explain.filters(nn.Linear(3, 4))
    with pytest.raises(ValueError, match="channels must be at least 1, got 0"):
        explain.filters(model, channels=0)


def test_mobilenet_has_edges_and_colours():
    """Its first layer on ImageNet: filters of many colours, and grey ones with edges."""
    model = fastcv.create_model("mobilenet_v2", real_weights("mobilenet_v2")).eval()
    gallery = explain.filters(model)
    assert gallery.title == "features.0.0" and len(gallery) == 32
    cells = [np.array(p.resize((3, 3), 0)).astype(int) for p in gallery.pictures]
    # How far its colours are from grey, and how far its brightness from flat, in levels.
    colour = [np.ptp(c, axis=2).mean() for c in cells]
    edges = [c.mean(axis=2).std() for c in cells]
    assert sum(c > 40 for c in colour) >= 5
    assert sum(c < 40 and e > 30 for c, e in zip(colour, edges, strict=True)) >= 5
