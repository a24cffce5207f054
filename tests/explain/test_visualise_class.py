"""Climbing a class's score: where it leads where that is known, and that it climbs."""

import pytest
import torch
from real_weights import real_weights
from small_models import make_small
from torch import nn

import fastcv
from fastcv import explain
from fastcv.explain.targets import PixelScore
from fastcv.results import Gallery

STARTS = ("zero", "black", "grey", "white", "noise")


class Linear(nn.Module):
    """The score of class i is the sum of the image's values times those of map i."""

    def __init__(self, side=6):
        super().__init__()
        torch.manual_seed(0)
        self.maps = nn.Parameter(torch.randn(3, 2, side, side))

    def forward(self, images):
        return torch.einsum("bchw,nchw->bn", images, self.maps)


def test_a_linear_score_is_climbed_along_its_weights():
    """By ``lr`` in root mean square each step, whatever the size of the weights."""
    model = Linear()
    for scale in (1.0, 100.0):
        model.maps.data *= scale
        found = explain.visualise_class(model, 1, start=torch.zeros(2, 6, 6), steps=7, lr=0.5)
        along = model.maps[1].detach()
        expected = 7 * 0.5 * along / along.square().mean().sqrt()
        torch.testing.assert_close(found.images[0], expected)
        rise = (along * expected).sum()
        torch.testing.assert_close(found.scores[0], torch.linspace(0, float(rise), 8))


def test_l2_ends_where_its_gradient_is_that_of_the_score():
    """The highest place of w x - l2 x^2 is x = w / (2 l2)."""
    model = Linear()
    found = explain.visualise_class(
        model, 0, start=torch.zeros(2, 6, 6), steps=400, lr=0.005, l2=0.5
    )
    torch.testing.assert_close(found.images[0], model.maps[0].detach(), atol=0.02, rtol=0)


def test_total_variation_pulls_each_pixel_to_its_neighbours():
    """One step is along the weights less ``tv`` times the signs of the differences to all four."""
    model, x = Linear(), torch.randn(2, 6, 6)
    found = explain.visualise_class(model, 0, start=x, steps=1, lr=0.001, tv=2.0)
    signs = torch.zeros_like(x)
    for row, column in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        there = x.roll((row, column), (1, 2))
        inside = torch.ones(6, 6, dtype=torch.bool)
        if row:
            inside[0 if row > 0 else -1] = False
        if column:
            inside[:, 0 if column > 0 else -1] = False
        signs += (x - there).sign() * inside
    along = model.maps[0].detach() - 2.0 * signs
    expected = x + 0.001 * along / along.square().mean().sqrt()
    torch.testing.assert_close(found.images[0], expected)


def assert_rises(scores):
    """Monotonically, but for 1 % of the rise."""
    rise = scores[:, -1:] - scores[:, :1]
    assert (rise > 0).all()
    assert (scores.diff(dim=1) >= -0.01 * rise).all()


@pytest.mark.parametrize("lr", [0.01, 1.0])
@pytest.mark.parametrize("name", ["resnet18", "vgg16_cam", "scouter_resnet18"])
def test_the_score_rises_under_plain_ascent(name, lr):
    """However long the first steps are."""
    model = make_small(name)
    found = explain.visualise_class(model, 1, start=STARTS, size=64, steps=12, lr=lr)
    assert_rises(found.scores)


def test_starts():
    model = make_small("resnet18")
    own = torch.rand(3, 40, 48)
    found = explain.visualise_class(model, 1, start=(*STARTS, own), lr=1e-9, steps=1)
    mean, std = (torch.tensor(model.preprocessing[k])[:, None, None] for k in ("mean", "std"))
    pixels = found.images * std + mean
    assert found.images.shape == (6, 3, 40, 48) and found.captions[-1] == "a picture"
    torch.testing.assert_close(found.images[0], torch.zeros(3, 40, 48), atol=1e-6, rtol=0)
    for i, level in ((1, 0.0), (2, 0.5), (3, 1.0)):
        torch.testing.assert_close(pixels[i], torch.full((3, 40, 48), level), atol=1e-6, rtol=0)
    assert float(pixels[4].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(pixels[4].std()) == pytest.approx(0.1, abs=0.01)
    # A picture is clipped to what pictures can be.
    expected = ((own * std + mean).clamp(0, 1) - mean) / std
    torch.testing.assert_close(found.images[5], expected, atol=1e-6, rtol=0)


def test_several_starts_are_each_alone():
    model = make_small("resnet18")
    options = {"size": 48, "steps": 6, "jitter": 3, "blur": 0.6, "octaves": 2}
    both = explain.visualise_class(model, 2, start=("grey", "white"), **options)
    for i, start in enumerate(("grey", "white")):
        alone = explain.visualise_class(model, 2, start=start, **options)
        torch.testing.assert_close(both.images[i], alone.images[0], atol=1e-3, rtol=0)
    assert both.scores.shape == (2, 13)


def test_the_same_seed_the_same_picture():
    model = make_small("resnet18")

    def images(seed):
        options = {"start": "noise", "size": 32, "steps": 3, "jitter": 4}
        return explain.visualise_class(model, 0, seed=seed, **options).images

    assert torch.equal(images(1), images(1)) and not torch.equal(images(1), images(2))


def test_targets():
    """Names, functions, and of a segmenter all its pixels."""
    model = make_small("resnet18")
    model.classes = ("ant", "bee", "cat")
    options = {"size": 48, "steps": 3}
    named = explain.visualise_class(model, "bee", **options)
    assert named.title == "bee" and named.to_dict()["scores"] == named.scores.tolist()
    called = explain.visualise_class(model, lambda output: output[:, 1], **options)
    torch.testing.assert_close(named.images, called.images)

    segmenter = make_small("fcn8s_vgg16")
    found = explain.visualise_class(segmenter, 1, size=64, steps=3)
    all_pixels = explain.visualise_class(segmenter, PixelScore(1), size=64, steps=3)
    torch.testing.assert_close(found.images, all_pixels.images)
    assert (found.scores[:, -1] > found.scores[:, 0]).all()


def test_grey_pictures_and_the_models_own_size():
    found = explain.visualise_class(fastcv.create_model("lenet5"), 3, steps=2)
    assert found.images.shape == (1, 1, 32, 32) and found.pictures[0].size == (32, 32)
    assert isinstance(found, Gallery) and found.draw().size > (32, 32)


def test_blur_keeps_what_is_flat_and_takes_what_is_fine():
    from fastcv.explain.visualise_class import _blurred

    flat = torch.full((1, 3, 9, 9), 0.3)
    torch.testing.assert_close(_blurred(flat, 2.0), flat)
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    soft, places = _blurred(point, 2.0)[0, 0], torch.arange(41.0) - 20
    assert float(soft.sum()) == pytest.approx(1, abs=1e-5)
    variance = float((soft.sum(0) * places**2).sum())
    assert variance == pytest.approx(4, rel=0.04)  # cut off at three standard deviations


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"octaves": 0}, "octaves must be at least 1, got 0"),
        ({"l2": -1}, "l2 must be 0 or more, got -1"),
        ({"tv": -0.5}, "tv must be 0 or more"),
        ({"blur": -0.5}, "blur must be 0 or more"),
        ({"jitter": -1}, "jitter must be 0 or more"),
        ({"lr": 0}, "lr must be above 0, got 0"),
        ({"size": 0}, "size must be at least 1 pixel, got 0"),
        ({"start": ()}, "start must be at least one, got none"),
        ({"start": "red"}, "start must be zero, black, .* or a picture .*, got 'red'"),
        ({"start": torch.rand(1, 3, 8, 8)}, r"start: pictures must be \[C, H, W\] .*1, 3, 8, 8"),
        ({"start": torch.rand(3, 8, 8), "size": 9}, "of one size, got .*3, 8, 8.* size=9"),
        ({"target": 3}, "target must be a class 0 to 2, got 3"),
        ({"target": lambda output: output[:, 0].detach()}, "score must have a gradient"),
    ],
)
def test_bad_options(options, why):
    model = make_small("resnet18")
    with pytest.raises(ValueError, match=why):
        explain.visualise_class(model, **{"target": 0, "size": 32, "steps": 1, **options})


@pytest.fixture(scope="module")
def mobilenet():
    return fastcv.create_model("mobilenet_v2", real_weights("mobilenet_v2")).eval()


def test_the_score_of_a_trained_network_rises(mobilenet):
    found = explain.visualise_class(mobilenet, "goldfish", start=STARTS, size=96, steps=8, lr=0.03)
    assert_rises(found.scores)


def test_a_network_knows_its_pictures(mobilenet):
    """What is climbed for a flamingo is pinkish, and surely one."""
    model, options = mobilenet, {"steps": 16, "lr": 0.1, "blur": 1.0, "jitter": 4}
    found = explain.visualise_class(model, "flamingo", size=96, **options)
    with torch.no_grad():
        assert model(found.images).argmax().item() == model.classes.index("flamingo")
    mean, std = (torch.tensor(model.preprocessing[k])[:, None, None] for k in ("mean", "std"))
    red, green, _ = (found.images[0] * std + mean).mean(dim=(1, 2)).tolist()
    assert red > green + 0.02
