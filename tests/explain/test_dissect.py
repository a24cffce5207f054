"""Units of known generators are found; areas, thresholds and top pictures by hand."""

import json

import pytest
import torch
from PIL import Image
from planted_units import FAINT, GREEN, RED, UNITS, Planted, label
from small_models import make_small
from torch import nn
from torch.nn import functional as F

from fastcv import create_model, explain
from fastcv.explain._quantile_sketch import GAMMA, QuantileSketch
from fastcv.results import Segmentation

CONCEPTS = ("nothing", "red", "green")


def planted():
    torch.manual_seed(0)
    return Planted()


@pytest.fixture(scope="module")
def found():
    model = planted()
    latents = model.latents(150)
    return explain.dissect(model, "units", latents, label, concepts=CONCEPTS, quantile=0.95)


def test_exactly_the_planted_units_are_found(found):
    assert found.units("red") == [RED, FAINT]  # the second agrees in part
    assert found.units("green") == [GREEN]
    assert found.units("nothing") == []
    assert found.iou[RED, 1] > 0.6 and found.iou[GREEN, 2] > 0.6
    assert found.units(1) == found.units("red")


def test_of_the_default_quantile():
    """1 % of the places are on: no IoU is above 0.01 over the concept's share."""
    model = planted()
    latents = model.latents(60)
    found = explain.dissect(model, "units", latents, label, concepts=CONCEPTS)
    shares = torch.stack(
        [(label(model.sample(latents).pictures) == i).float().mean() for i in (1, 2)]
    )
    assert (found.iou[:, 1:] <= 0.013 / shares).all()  # bilinear, it may be a little more than 1 %
    assert found.units("red") == [RED, FAINT] and found.units("green") == [GREEN]


def by_hand(maps, labels, thresholds, concepts):
    """IoU from the definition, all in memory."""
    size = labels.shape[1:]
    large = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    on = large > thresholds[:, None, None]
    table = torch.zeros(maps.shape[1], concepts)
    for unit in range(maps.shape[1]):
        for concept in range(concepts):
            there, known = labels == concept, (labels >= 0) & (labels < concepts)
            union = (on[:, unit] & known) | there
            table[unit, concept] = (on[:, unit] & there).sum() / union.sum().clamp(min=1)
    return table


@pytest.mark.parametrize("at_a_time", [2**24, 5000])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_against_all_in_memory(batch_size, at_a_time, monkeypatch):
    module = __import__("sys").modules["fastcv.explain.dissect"]
    monkeypatch.setattr(module, "AT_A_TIME", at_a_time)
    model = planted()
    latents = model.latents(23)

    def some_unknown(pictures):
        labels = label(pictures)
        labels[:, :4] = 255
        labels[:, 4:6, :3] = -1
        return labels[:, ::2]  # smaller than the pictures, and not square

    found = explain.dissect(
        model, "units", latents, some_unknown, concepts=CONCEPTS, batch_size=batch_size
    )
    maps, labels = model.maps(latents), some_unknown(model.sample(latents).pictures)
    torch.testing.assert_close(found.iou, by_hand(maps, labels, found.thresholds, 3))
    exact = maps.transpose(0, 1).flatten(1).quantile(0.99, dim=1, interpolation="higher")
    assert (found.thresholds >= exact * 0.99999).all()
    assert (found.thresholds <= exact * GAMMA * 1.00001).all()
    peaks = maps.amax(dim=(2, 3))
    assert found.top.shape == (UNITS, 6)
    for unit in range(UNITS):
        expected = peaks[:, unit].topk(6).values
        assert torch.equal(peaks[found.top[unit], unit], expected)


def test_a_segmenter_of_ours_labels(found):
    class Says(create_model("unet", width=2).__class__):
        classes = CONCEPTS

        def predict(self, pictures, **options):
            return [Segmentation(one, CONCEPTS) for one in label(torch.as_tensor(pictures))]

    segmenter = Says(width=2)
    segmenter.classes = CONCEPTS
    model = planted()
    again = explain.dissect(model, "units", model.latents(150), segmenter, quantile=0.95)
    assert again.concepts == CONCEPTS and torch.equal(again.iou, found.iou)


def test_of_a_classifier():
    """A unit that is the picture's red channel, of a plain module."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Flatten(), nn.Linear(4 * 64, 2))
    with torch.no_grad():
        net[0].weight[:] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [1, 0, 0], [0.3, 0.3, 0.3]])[
            ..., None, None
        ]
    images = torch.rand(40, 3, 8, 8)
    found = explain.dissect(
        net, "0", images, lambda p: (p[:, 0] > 0.9).long(), concepts=("dark", "red"), quantile=0.9
    )
    assert found.units("red", min_iou=0.9) == [2]


def test_of_a_data_set():
    """Read a batch at a time, and prepared by a model of ours."""
    model = make_small("resnet18")
    torch.manual_seed(1)
    images, most = torch.rand(9, 3, 64, 64), []

    class Pictures:
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            most.append(index)
            return images[index], index % 2

    def labels(pictures):
        assert pictures.min() >= 0 and pictures.max() <= 1
        return (pictures[:, 0] > 0.5).long()

    options = {"concepts": ("dark", "red"), "batch_size": 4}
    found = explain.dissect(model, "layer1", Pictures(), labels, **options)
    prepared = model.prepare(list(images))
    same = explain.dissect(model, "layer1", prepared, labels, **options)
    torch.testing.assert_close(found.iou, same.iou)
    assert torch.equal(found.top, same.top) and most[:18] == [*range(9), *range(9)]


def test_constant_units_are_of_nothing():
    class Constant(Planted):
        def maps(self, latents):
            maps = super().maps(latents)
            maps[:, 0], maps[:, 1], maps[:, 2] = 5.0, 0.0, -5.0
            return maps

    torch.manual_seed(0)
    model = Constant()
    found = explain.dissect(model, "units", model.latents(20), label, concepts=CONCEPTS)
    assert not found.iou[:3].any()


def test_draws_and_tells(found, tmp_path):
    gallery = found.gallery()
    assert len(gallery) == 3 * 2 * 6 and f"red: unit {RED}, IoU 0." in gallery.captions[12]
    assert f"red: unit {FAINT}, IoU 0." in gallery.captions[18]
    assert found.draw().size == gallery.draw().size
    found.save(tmp_path / "units.png")
    found.save(tmp_path / "units.json")
    told = json.loads((tmp_path / "units.json").read_text())
    assert [one["name"] for one in told["concepts"]] == list(CONCEPTS)
    assert told["concepts"][2]["units"][0] == GREEN
    assert repr(found).startswith("Dissection(units, units of: nothing ")


def test_the_shown_pictures_are_bright_where_the_unit_is_on(found):
    model = planted()
    latents = model.latents(150)[found.top[RED]]
    assert len(found.shown[RED]) == 6
    maps = F.interpolate(model.maps(latents)[:, [RED]], (32, 32), mode="bilinear")
    on = (maps > found.thresholds[RED])[:, 0]
    pictures = model.sample(latents).images()
    for was, shown, where in zip(pictures, found.shown[RED], on.tolist(), strict=True):
        for place in ((0, 0), (9, 20), (31, 31), (16, 16), (24, 8)):
            pixel, before = shown.getpixel(place), was.getpixel(place)
            share = 1.0 if where[place[1]][place[0]] else 0.3
            assert all(abs(a - share * b) <= 1 for a, b in zip(pixel, before, strict=True))


def test_bad_input():
    model = planted()
    z = model.latents(3)
    for call, words in (
        (lambda: explain.dissect(model, "units", z, label), "concepts are needed: the names"),
        (lambda: explain.dissect(model, "unit", z, label, concepts="ab"), "did you mean 'units'?"),
        (
            lambda: explain.dissect(model, "units", z[:0], label, concepts="ab"),
            "inputs must be at least one, got none",
        ),
        (
            lambda: explain.dissect(model, "units", z, label, concepts="ab", batch_size=0),
            "batch_size must be at least 1, got 0",
        ),
        (
            lambda: explain.dissect(model, "units", z, lambda p: p, concepts="ab"),
            r"labeller must return integers \[3, h, w\], got torch.float32 \[3, 3, 32, 32\]",
        ),
        (
            lambda: explain.dissect(model, "units", z, lambda p: None, concepts="ab"),
            r"labeller must return integers \[3, h, w\], got NoneType",
        ),
        (
            lambda: explain.unit_quantiles(model, "units", z, 1.0),
            "quantile must be above 0 and below 1, got 1.0",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(ValueError, match="concept must be one of nothing, red, green, got 'blue'"):
        explain.dissect(model, "units", z, label, concepts=CONCEPTS).units("blue")


# The sketch.


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.99, 0.999])
def test_quantiles_are_within_a_percent(share):
    torch.manual_seed(0)
    rows = torch.stack(
        [
            torch.randn(9000),
            torch.randn(9000).exp() * 1e-3,
            -torch.rand(9000) * 1e4,
            torch.randn(9000).relu(),
            torch.full((9000,), 2.5),
            torch.full((9000,), -2.5),
            torch.zeros(9000),
        ]
    )
    sketch = QuantileSketch(len(rows))
    for part in rows.split(700, dim=1):
        sketch.add(part)
    found = sketch.quantile(share)
    rank = max(0, -(-round(share * 90000) // 10) - 1)  # rounded up, from 0
    exact = rows.sort(dim=1).values[:, rank]
    assert (found - exact >= -1e-6 * exact.abs() - 1e-9).all()
    assert (found - exact <= (GAMMA - 1) * 1.0001 * exact.abs() + 2e-6).all()
    above = (rows > found[:, None]).float().mean(dim=1)
    assert (above <= 1 - share + 1e-6).all()


def test_huge_and_tiny_numbers_have_a_place():
    sketch = QuantileSketch(1)
    sketch.add(torch.tensor([[-1e30, -1e-30, 0, 1e-30, 1e30, 3.0]]))
    assert sketch.counts.sum() == 6
    assert sketch.quantile(0.999) == pytest.approx(1e6, rel=0.02)


def test_memory_does_not_grow():
    sketch = QuantileSketch(3)
    size = sketch.counts.numel()
    for _ in range(5):
        sketch.add(torch.randn(3, 10_000))
    assert sketch.counts.numel() == size and sketch.counts.sum() == 150_000


# Pictures.


def test_pictures_of_every_kind_are_one(tmp_path):
    """Of a model of ours: files, a folder, arrays, bytes and shares of them, and a data set."""
    torch.manual_seed(0)
    model = make_small("resnet18")
    pixels = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    for i, one in enumerate(pixels):
        Image.fromarray(one.permute(1, 2, 0).numpy()).save(tmp_path / f"{i}.png")
    arrays = [one.permute(1, 2, 0).numpy() for one in pixels]

    def run(inputs):
        return explain.dissect(
            model, "layer1", inputs, lambda p: (p[:, 0] > 0.5).long(), concepts=("dark", "red")
        )

    batch = model.prepare(list(pixels / 255))
    expected = run(batch)
    for inputs in (
        tmp_path,
        sorted(str(path) for path in tmp_path.iterdir()),
        arrays,
        pixels,
        list(pixels),
        list(pixels / 255),
        [(one, 3) for one in pixels],
    ):
        found = run(inputs)
        torch.testing.assert_close(found.thresholds, expected.thresholds)
        torch.testing.assert_close(found.iou, expected.iou)
        assert torch.equal(found.top, expected.top)


def test_what_a_generator_does_not_take():
    model = planted()
    with pytest.raises(TypeError, match="inputs must be a tensor, got str"):
        explain.unit_quantiles(model, "units", "photos/")
    with pytest.raises(ValueError, match=r"inputs must be latents \[N, Z\] .*, got \[2, 3, 8, 8\]"):
        explain.unit_quantiles(model, "units", torch.rand(2, 3, 8, 8))
    with pytest.raises(TypeError, match="labeller must be a segmenter or a function of pictures"):
        explain.dissect(model, "units", model.latents(2), None, concepts=CONCEPTS)
