"""Selective search against an implementation from the definitions, and scikit-image's graphs."""

import itertools

import numpy as np
import pytest
import skimage.color
import skimage.data
import torch
from scipy.ndimage import gaussian_filter
from skimage.segmentation import felzenszwalb as skimage_felzenszwalb

from fastcv.data import DrawnDigits
from fastcv.ops import box_iou, felzenszwalb, group_regions, selective_search
from fastcv.ops.selective_search import COLOR_SPACES, MODES


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def patches(seed=0):
    """Patches, each of a colour, with noise; and which patch a pixel is of.

    Their sizes differ, so that no two pairs are equally similar.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(12).reshape(4, 3).repeat([5, 6, 9, 7], 0).repeat([7, 11, 9], 1)
    image = rng.random((12, 3))[labels] + 0.3 * rng.random((*labels.shape, 3))
    return torch.from_numpy(image.transpose(2, 0, 1).clip(0, 1)).float(), torch.from_numpy(labels)


def photograph(height, width):
    pixels = torch.from_numpy(skimage.data.coffee().copy()).permute(2, 0, 1)[None].float()
    return torch.nn.functional.interpolate(pixels / 255, (height, width), mode="bilinear")[0]


def same_partition(a, b):
    pairs = torch.stack([a.flatten(), b.flatten()]).unique(dim=1).shape[1]
    return len(a.unique()) == len(b.unique()) == pairs


# ---- Felzenszwalb's segmentation ----


@pytest.mark.parametrize(("scale", "min_size"), [(1, 1), (100, 20), (500, 5)])
@pytest.mark.parametrize(("shape", "sigma"), [((3, 40, 50), 0.8), ((1, 33, 21), 0), ((2, 9, 7), 3)])
def test_is_scikit_images(shape, sigma, scale, min_size):
    image = noise(*shape, seed=shape[1])
    got = felzenszwalb(image, scale, sigma, min_size)
    want = skimage_felzenszwalb(
        image.double().permute(1, 2, 0).numpy(), scale=scale, sigma=sigma, min_size=min_size
    )
    assert got.dtype == torch.int64 and same_partition(got, torch.from_numpy(want))


def test_is_scikit_images_on_a_photograph():
    image = photograph(100, 150)
    want = skimage_felzenszwalb(
        image.double().permute(1, 2, 0).numpy(), scale=100, sigma=0.8, min_size=50
    )
    assert same_partition(felzenszwalb(image, min_size=50), torch.from_numpy(want))


def test_labels_come_in_order_and_regions_are_large_enough():
    labels = felzenszwalb(noise(3, 30, 40), scale=1, min_size=7)
    _, counts = labels.unique(return_counts=True)
    assert counts.min() >= 7 and len(counts) > 5
    firsts = [labels.flatten().tolist().index(i) for i in range(len(counts))]
    assert firsts == sorted(firsts)


@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 1, 9), (3, 9, 1)])
def test_thin_images(shape):
    image = noise(*shape)
    assert len(felzenszwalb(image, scale=0, sigma=0, min_size=0).unique()) == image[0].numel()
    assert [0.0, 0.0, float(shape[2]), float(shape[1])] in selective_search(image).tolist()


# ---- grouping ----


def in_space(image, space):
    rgb = image.double().permute(1, 2, 0).numpy()
    hsv, total = skimage.color.rgb2hsv(rgb), rgb.sum(2, keepdims=True)
    if space == "lab":
        return (skimage.color.rgb2lab(rgb) + np.array([0, 128, 128])) / [100, 255, 255]
    return {
        "rgb": rgb,
        "hsv": hsv,
        "rgi": np.concatenate([rgb[..., :2] / total, total / 3], 2),
        "hue": hsv[..., :1],
        "intensity": total / 3,
    }[space]


def histograms(pixels, region):
    """Of the pixels of a region: 25 bins a channel, and 10 of each channel and direction."""
    color, texture = [], []
    for channel in np.moveaxis(pixels, 2, 0):
        color += list(np.histogram(channel[region].clip(0, 1), 25, (0, 1))[0])
        dy, dx = (gaussian_filter(channel, 1, order=o, truncate=4) for o in ((1, 0), (0, 1)))
        longest = np.hypot(dx, dy).max()
        for angle in np.arange(8) * np.pi / 4:
            along = (np.cos(angle) * dx + np.sin(angle) * dy).clip(0)
            texture += list(np.histogram(along[region], 10, (0, longest))[0])
    return np.array(color) / np.sum(color), np.array(texture) / np.sum(texture)


def area_of_box(region):
    return np.prod([np.ptp(at) + 1 for at in np.nonzero(region)])


def similarity(pixels, a, b, letters):
    """Equations 1 to 6 of the paper."""
    both = a | b
    (color_a, texture_a), (color_b, texture_b) = histograms(pixels, a), histograms(pixels, b)
    terms = {
        "C": np.minimum(color_a, color_b).sum(),
        "T": np.minimum(texture_a, texture_b).sum(),
        "S": 1 - both.sum() / a.size,
        "F": 1 - (area_of_box(both) - both.sum()) / a.size,
    }
    return sum(terms[letter] for letter in letters)


def touch(a, b):
    return bool((a[1:] & b[:-1] | a[:-1] & b[1:]).any() or (a[:, 1:] & b[:, :-1]).any()
                or (a[:, :-1] & b[:, 1:]).any())  # fmt: skip


def naive_children(image, labels, space, letters):
    pixels = in_space(image, space)
    regions = {i: labels.numpy() == i for i in range(int(labels.max()) + 1)}
    pairs = {
        (i, j): similarity(pixels, regions[i], regions[j], letters)
        for i, j in itertools.combinations(regions, 2)
        if touch(regions[i], regions[j])
    }
    children, new = [], len(regions)
    while pairs:
        i, j = min(pairs, key=lambda pair: (-pairs[pair], pair))
        children.append([i, j])
        beside = sorted({k for pair in pairs if {i, j} & set(pair) for k in pair} - {i, j})
        pairs = {pair: s for pair, s in pairs.items() if not {i, j} & set(pair)}
        regions[new] = regions[i] | regions[j]
        for k in beside:
            pairs[k, new] = similarity(pixels, regions[k], regions[new], letters)
        new += 1
    return children


@pytest.mark.parametrize("space", COLOR_SPACES)
def test_merges_as_the_paper_says(space):
    image, labels = patches()
    tree = group_regions(image, labels, color_space=space)
    assert tree.children.tolist() == naive_children(image, labels, space, "CTSF")


@pytest.mark.parametrize("letters", ["C", "T", "S", "F", "TSF"])
@pytest.mark.parametrize("space", ["hsv", "intensity"])
def test_each_similarity_alone(space, letters):
    image, labels = patches(seed=1)
    tree = group_regions(image, labels, color_space=space, similarity=letters)
    assert tree.children.tolist() == naive_children(image, labels, space, letters)


@pytest.mark.parametrize("letters", ["CTSF", "S"])
def test_every_merge_contains_its_children(letters):
    image = photograph(80, 120)
    labels = felzenszwalb(image, scale=50, min_size=20)
    tree, n = group_regions(image, labels, similarity=letters), int(labels.max()) + 1
    assert (
        n > 20 and len(tree.boxes) == len(tree.sizes) == 2 * n - 1 and len(tree.children) == n - 1
    )
    for i in range(n):
        y, x = (labels == i).nonzero().unbind(1)
        assert tree.boxes[i].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert torch.equal(tree.sizes[:n], labels.flatten().bincount())
    a, b = tree.boxes[tree.children].unbind(1)
    low, high = torch.minimum(a, b)[:, :2], torch.maximum(a, b)[:, 2:]
    assert torch.equal(tree.boxes[n:], torch.cat([low, high], 1))
    assert torch.equal(tree.sizes[n:], tree.sizes[tree.children].sum(1))
    # Each region but the last is merged once, after it was made.
    assert sorted(tree.children.flatten().tolist()) == list(range(2 * n - 2))
    assert (tree.children.amax(1) < torch.arange(n, 2 * n - 1)).all()
    assert tree.boxes[-1].tolist() == [0, 0, 120, 80]


def test_one_region_has_no_merges():
    tree = group_regions(noise(3, 4, 5), torch.zeros(4, 5, dtype=torch.int64))
    assert tree.children.shape == (0, 2) and tree.boxes.tolist() == [[0, 0, 5, 4]]


# ---- boxes ----


def test_boxes_are_those_of_the_strategy_by_rank():
    """Of one strategy, from its parts; the order is the paper's, by the same random numbers."""
    image = photograph(100, 150)
    hsv = torch.from_numpy(in_space(image, "hsv")).permute(2, 0, 1)
    tree = group_regions(image, felzenszwalb(hsv, 100, 0.8, 100))
    assert len(tree.boxes) > 20
    generator = torch.Generator().manual_seed(3)
    place = torch.arange(len(tree.boxes), 0, -1)
    rank = place * torch.rand(len(place), generator=generator, dtype=torch.float64)
    want = []
    for box in tree.boxes[rank.argsort()].tolist():
        if box not in want:
            want.append(box)
    assert selective_search(image, "single", seed=3).tolist() == want


def test_modes_have_the_papers_strategies():
    assert [len(a) * len(b) * len(c) for a, b, c in MODES.values()] == [1, 8, 80]
    image = photograph(60, 90)
    single, fast, quality = (
        {tuple(box) for box in selective_search(image, mode).tolist()} for mode in MODES
    )
    assert single < fast < quality


def test_no_box_twice_and_seeds_change_the_order_alone():
    image = photograph(60, 90)
    first, again, other = (selective_search(image, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(first.unique(dim=0)) == len(first)
    assert torch.equal(first.unique(dim=0), other.unique(dim=0))


def test_short_sides_are_left_out():
    image = photograph(60, 90)
    boxes = selective_search(image)
    long = (boxes[:, 2:] - boxes[:, :2]).amin(1) >= 20
    assert 0 < long.sum() < len(boxes)
    assert torch.equal(selective_search(image, min_side=20), boxes[long])


def test_bytes_other_strides_and_dtypes():
    image = (photograph(40, 60) * 255).byte()
    want = selective_search(image)
    assert torch.equal(selective_search(image.float() / 255), want)
    last = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert torch.equal(selective_search(last), want)
    assert torch.equal(felzenszwalb(last), felzenszwalb(image.double() / 255))


def test_the_same_for_any_number_of_threads():
    image, before, results = photograph(60, 90), torch.get_num_threads(), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(selective_search(image, "quality"))
    torch.set_num_threads(before)
    assert all(torch.equal(boxes, results[0]) for boxes in results)


def test_a_plain_image_is_one_box():
    assert selective_search(torch.ones(3, 30, 40)).tolist() == [[0, 0, 40, 30]]


@pytest.mark.parametrize(
    ("mode", "least", "most_boxes"), [("single", 0.9, 120), ("fast", 0.98, 900)]
)
def test_recall_on_drawn_digits(mode, least, most_boxes):
    """The share of digits that some box meets with an IoU of 0.5."""
    digits, found, count = DrawnDigits("val", length=20), [], 0
    for image, target in (digits[i] for i in range(20)):
        boxes = selective_search(image, mode)
        count += len(boxes)
        if len(target["boxes"]):
            found.append(box_iou(target["boxes"], boxes).amax(1) >= 0.5)
    assert torch.cat(found).float().mean() >= least
    assert count / 20 <= most_boxes


# ---- errors ----


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(image=np.zeros((3, 4, 4))), TypeError, r"image must be a tensor \[C, H, W\]"),
        (
            dict(image=torch.rand(1, 4, 4)),
            ValueError,
            r"image must be \[3, H, W\], got \[1, 4, 4\]",
        ),
        (
            dict(image=torch.rand(3, 0, 4)),
            ValueError,
            r"image must be \[3, H, W\], got \[3, 0, 4\]",
        ),
        (dict(image=torch.zeros(3, 4, 4).int()), TypeError, "image must be uint8, or floating in"),
        (dict(image=torch.full((3, 4, 4), torch.nan)), ValueError, "image must be finite"),
        (dict(mode="slow"), ValueError, "mode must be one of single, fast, quality, got 'slow'"),
    ],
)
def test_errors_of_selective_search(arguments, error, message):
    with pytest.raises(error, match=message):
        selective_search(**{"image": torch.rand(3, 4, 4), **arguments})


@pytest.mark.parametrize("name", ["scale", "sigma", "min_size"])
def test_errors_of_felzenszwalb(name):
    with pytest.raises(ValueError, match=f"{name} must be a number of at least 0, got -1"):
        felzenszwalb(torch.rand(3, 4, 4), **{name: -1})


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        (torch.zeros(4, 5).long(), {}, RuntimeError, r"labels must be contiguous int64 \[H, W\]"),
        (torch.zeros(4, 4), {}, RuntimeError, r"labels must be contiguous int64 \[H, W\]"),
        (torch.full((4, 4), -1), {}, RuntimeError, "labels must be 0 to N - 1, got -1"),
        (torch.full((4, 4), 16), {}, RuntimeError, "labels must be 0 to N - 1, got 16"),
        (torch.full((4, 4), 1), {}, RuntimeError, "each at least once, but 0 is nowhere"),
        (torch.zeros(4, 4).long(), {"color_space": "x"}, ValueError, "color_space must be one of"),
        (torch.zeros(4, 4).long(), {"similarity": "X"}, ValueError, "must be letters of CTSF"),
        (torch.zeros(4, 4).long(), {"similarity": ""}, ValueError, "must be letters of CTSF"),
    ],
)
def test_errors_of_group_regions(labels, options, error, message):
    with pytest.raises(error, match=message):
        group_regions(torch.rand(3, 4, 4), labels, **options)
