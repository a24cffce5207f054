"""Drawn bodies: the same bits always, and a key that says where each pixel really lies."""

import math
import pickle
import sys

import numpy as np
import pytest
import torch

from fastcv.augment import move_targets
from fastcv.data import DrawnBodies, _drawn_sources, drawn_bodies
from fastcv.data._drawn_figure import PARTS, Strip, posed, skin, surface_distance, surface_position

SPLITS = ("train", "val", "test")
LIMB = PARTS[2]


@pytest.fixture(scope="module")
def some():
    """Items of every split."""
    return {split: [DrawnBodies(split)[i] for i in range(6)] for split in SPLITS}


# Geometry.


@pytest.mark.parametrize("bend", [0.0, 1e-9, 0.4, -0.4, 1.4, -1.4])
@pytest.mark.parametrize("angle", [0.0, 1.0, math.pi / 2, -2.5])
def test_a_strips_points_come_back(bend, angle):
    strip = Strip(LIMB, (30.5, 40.25), angle, bend, length=80.0, width=16.0)
    for u in (0.0, 0.3, 0.5, 1.0):
        for v in (0.0, 0.25, 0.7, 1.0):
            np.testing.assert_allclose(strip.uv(strip.point(u, v)), [u, v], atol=1e-7)


def test_a_straight_strip_by_hand():
    strip = Strip(LIMB, (10.0, 20.0), math.pi / 2, 0.0, length=40.0, width=8.0)  # hangs down
    uv = strip.uv(np.array([[10.0, 20.0], [14.0, 30.0], [6.0, 60.0], [10.0, 70.0]]))
    np.testing.assert_allclose(uv, [[0.5, 0], [1, 0.25], [0, 1], [0.5, 1.25]], atol=1e-9)
    assert strip.covers(uv).tolist() == [True, False, False, False]


def test_a_bent_strip_by_hand():
    """A quarter of a circle of radius 40 about (40, 0), from (0, 0) downwards to (40, 40)."""
    length = 40 * math.pi / 2
    strip = Strip(LIMB, (0.0, 0.0), math.pi / 2, -math.pi / 2, length=length, width=10.0)
    middle = 40 * math.sqrt(0.5)
    uv = strip.uv(np.array([[0.0, 0], [40 - middle, middle], [40, 40], [40, 35], [40, 45]]))
    np.testing.assert_allclose(uv, [[0.5, 0], [0.5, 0.5], [0.5, 1], [1, 1], [0, 1]], atol=1e-9)


def test_limbs_hang_on_the_torso():
    for seed in range(5):
        torso, *others = posed(np.random.default_rng(seed), 100.0, 20.0)
        assert min(torso.start) >= 0 and max(torso.start) <= 1
        for strip in others:
            x, y = strip.part.start
            place = torso.uv(np.array(strip.start))
            np.testing.assert_allclose(place, [0.5 + x / 0.40, y / 0.62], atol=1e-7)


def test_distances_by_hand():
    a = torch.tensor([[1.0, 0.2, 0.5], [3.0, 0.5, 0.1], [2.0, 0.5, 1.0], [0.0, 0.5, 0.5]])
    b = torch.tensor([[1.0, 0.7, 0.5], [3.0, 0.5, 0.6], [1.0, 0.5, 0.0], [1.0, 0.5, 0.5]])
    expected = [0.5 * 0.40, 0.5 * 0.66, 0.32 - 0.04, math.inf]
    torch.testing.assert_close(surface_distance(a, b), torch.tensor(expected))
    # A joint is one place, whichever chart it is said of: here the left shoulder and hip.
    arm, leg = (torch.tensor([chart, 0.5, 0.0]) for chart in (4.0, 6.0))
    shoulder = torch.tensor([1.0, 0.5 + 0.17 / 0.40, 0.07 / 0.62])
    hip = torch.tensor([1.0, 0.5 + 0.10 / 0.40, 0.56 / 0.62])
    assert surface_distance(arm, shoulder) < 1e-6 and surface_distance(leg, hip) < 1e-6
    every = torch.rand(4, 5, 3)
    assert surface_position(every).shape == (4, 5, 2)


# The key.


@pytest.mark.parametrize("split", SPLITS)
def test_targets(some, split):
    for index, (image, target) in enumerate(some[split]):
        n = len(target["labels"])
        assert image.shape == (3, 192, 192) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1 and target["image_id"] == index
        assert 1 <= n <= 3 and (target["labels"] == 1).all()
        surfaces, masks = target["surfaces"], target["masks"]
        assert surfaces.shape == (n, 3, 192, 192) and surfaces.dtype == torch.float32
        assert torch.equal(surfaces[:, 0] > 0, masks) and masks.sum(0).max() <= 1
        assert (surfaces[:, 0] == surfaces[:, 0].round()).all() and surfaces[:, 0].max() <= 6
        assert surfaces[:, 1:].min() >= 0 and surfaces[:, 1:].max() <= 1
        for box, mask in zip(target["boxes"], masks, strict=True):
            y, x = mask.nonzero().T
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert torch.equal(target["area"], masks.sum((1, 2)).float())
        assert not target["iscrowd"].any()


@pytest.mark.parametrize("split", SPLITS)
def test_annotated_points_say_what_the_key_says(some, split):
    for _, target in some[split]:
        for surface, points, uv in zip(
            target["surfaces"], target["dense_keypoints"], target["dense_uv"], strict=True
        ):
            there = points[:, 2] > 0
            assert not points[~there].any() and not uv[~there].any()
            x, y = points[there, :2].long().T
            assert torch.equal(points[there, :2], torch.stack([x, y], dim=1) + 0.5)
            assert len({*zip(x.tolist(), y.tolist(), strict=True)}) == len(x)
            assert torch.equal(surface[0, y, x], points[there, 2])
            assert torch.equal(surface[1:, y, x].T, uv[there])
            visible = surface[0].long().flatten().bincount(minlength=7)[1:]
            annotated = points[:, 2].long().bincount(minlength=7)[1:]
            assert torch.equal(annotated, visible.clamp(max=14))


def test_the_key_is_where_the_pixels_middle_lies():
    """Of a figure by itself, each pixel's chart, U and V anew from its strips."""
    strips = posed(np.random.default_rng(3), 90.0, 10.0)
    iuv = drawn_bodies._drawn(strips, [*range(6)], 1)
    low = np.floor(np.min([strip.extent()[0] for strip in strips], axis=0))
    seen = 0
    for y in range(0, iuv.shape[1], 3):
        for x in range(0, iuv.shape[2], 3):
            middle = low + np.array([x + 0.5, y + 0.5])
            expected = [0.0, 0.0, 0.0]
            for i, strip in enumerate(strips):
                uv = strip.uv(middle)
                if strip.covers(uv):
                    expected = [i + 1, *uv]
            seen += expected[0] > 0
            np.testing.assert_allclose(iuv[:, y, x], expected, atol=1e-5)
    assert seen > 50


def test_pixels_show_the_figure_and_nothing_else():
    rng = np.random.default_rng(0)
    scene = drawn_bodies._Scene(np.full((3, 160, 160), 0.5, np.float32))
    scene.draw(rng, posed(rng, 110.0, 10.0), 0.6)
    figure = torch.from_numpy(scene.owner > 0)[None, None].float()
    near = torch.nn.functional.max_pool2d(figure, 3, 1, 1)[0, 0] > 0
    inside = torch.nn.functional.max_pool2d(1 - figure, 3, 1, 1)[0, 0] == 0
    changed = torch.from_numpy((np.abs(scene.image - 0.5) > 1e-6).any(axis=0))
    assert not (changed & ~near).any()
    assert changed[inside].float().mean() > 0.99 and inside.sum() > 500


def test_a_textures_pattern_stays():
    """Colours change from figure to figure; stripes and seam do not, and charts differ."""
    a, b = (skin(np.random.default_rng(seed)) for seed in (0, 1))
    assert a.shape == (6, 3, 64, 64) and a.min() >= 0 and a.max() <= 1
    assert not np.allclose(a, b)
    for light in (a.mean(1), b.mean(1)):
        assert (light[:, 56:, :20].mean((1, 2)) > light[:, :8, :20].mean((1, 2))).all()
        assert (light[:, :, 32].mean(1) < light[:, :, 20].mean(1)).all()
    means = a.mean((2, 3))
    assert min(np.abs(means[i] - means[j]).max() for i in range(6) for j in range(i)) > 0.05


@pytest.mark.parametrize("min_visible", [0.3, 0.9])
def test_what_is_covered_or_cut_off(min_visible):
    shares = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        scene = drawn_bodies._Scene(np.zeros((3, 160, 160), np.float32))
        for _ in range(5):
            scene.draw(rng, posed(rng, 80.0, 20.0), min_visible)
        counts = np.bincount(scene.owner.ravel(), minlength=len(scene.pixels) + 1)[1:]
        shares += [*(counts / scene.pixels)]
    assert min(shares) >= min_visible and len(shares) > 4
    assert min_visible == 0.9 or min(shares) < 0.8


def test_no_room_for_anybody():
    """A figure that is cut off wherever it is put: an image without objects."""
    image, target = DrawnBodies("val", size=(96, 96), body_size=(96, 96), min_visible=1.0)[1]
    assert image.shape == (3, 96, 96)
    n = len(target["boxes"])
    assert target["boxes"].shape == (n, 4) and target["dense_keypoints"].shape == (n, 84, 3)
    scene = drawn_bodies._Scene(np.zeros((3, 20, 20), np.float32))
    rng = np.random.default_rng(0)
    scene.draw(rng, posed(rng, 90.0, 0.0), 1.0)
    target = scene.target(rng, 0, 14)
    assert target["boxes"].shape == (0, 4) and target["surfaces"].shape == (0, 3, 20, 20)
    assert target["dense_uv"].shape == (0, 84, 2) and not scene.image.any()


# The data set.


def test_same_bits_in_any_order():
    data = pickle.loads(pickle.dumps(DrawnBodies("train", size=(96, 128), body_size=(50, 80))))
    again = DrawnBodies("train", size=(96, 128), body_size=(50, 80), length=3)
    for index in (2, 0):
        (image, target), (other, its) = data[index], again[index]
        assert torch.equal(image, other) and target.keys() == its.keys()
        for name, value in target.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(its[name])), name


def test_seed_index_and_split_each_matter():
    small = {"size": (64, 64), "body_size": (40.0, 50.0), "max_bodies": 1}
    images = [
        DrawnBodies("val", **small)[0][0],
        DrawnBodies("val", **small)[1][0],
        DrawnBodies("val", seed=1, **small)[0][0],
        DrawnBodies("train", **small)[0][0],
    ]
    assert len({image.numpy().tobytes() for image in images}) == len(images)


def test_augmentations_take_the_points_along():
    _, target = DrawnBodies("val", size=(96, 128), body_size=(60, 80))[0]
    shift = torch.tensor([[[1.0, 0, 40], [0, 1, 5], [0, 0, 1]]])
    (moved,) = move_targets([target], shift, (96, 128))
    before, after = target["dense_keypoints"], moved["dense_keypoints"]
    assert len(after) == len(moved["boxes"]) == len(moved["surfaces"]) == len(moved["dense_uv"])
    (kept,) = target["masks"][:, :-5, :-40].flatten(1).any(dim=1).nonzero().T
    for old, new in zip(before[kept], after, strict=True):
        for (x, y, chart), point in zip(old.tolist(), new.tolist(), strict=True):
            stays = chart and x + 40 < 128 and y + 5 < 96
            assert point == ([x + 40, y + 5, chart] if stays else [0, 0, 0])


def test_arguments():
    assert len(DrawnBodies("train")) == 2000 and len(DrawnBodies("val", length=7)) == 7
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'dev'"):
        DrawnBodies("dev")
    with pytest.raises(TypeError, match=r"size must be \(height, width\) in pixels, got 192"):
        DrawnBodies("val", size=192)
    with pytest.raises(ValueError, match=r"body_size must be \(min, max\) .* \(64, 64\)"):
        DrawnBodies("val", size=(64, 64))
    for name, value in (("max_bodies", 0), ("min_visible", 1.5), ("points_per_chart", 0)):
        with pytest.raises(ValueError, match=f"{name} must be .*, got {value}"):
            DrawnBodies("val", **{name: value})
    with pytest.raises(IndexError):
        DrawnBodies("val", length=2)[2]


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    _drawn_sources.photographs.cache_clear()
    with pytest.raises(ImportError, match=r"skimage is needed here: run `pip install"):
        DrawnBodies("val")[0]
