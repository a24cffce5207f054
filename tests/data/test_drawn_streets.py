"""DrawnStreets: the panoptic key is exact, splits are apart, withheld digits are void."""

import numpy as np
import pytest
import torch

from fastcv.data import DrawnStreets, collate
from fastcv.data.drawn_streets import MIN_SHARE, PARTS, SIDE, STUFF, partition
from fastcv.nn.panoptic.targets import check_panoptic_targets

SMALL = {"size": (96, 128), "digit_size": (24.0, 48.0), "length": 12}


@pytest.fixture(scope="module")
def streets():
    return DrawnStreets("val", **SMALL, withheld=[1, 7])


@pytest.fixture(scope="module")
def items(streets):
    return [streets[i] for i in range(len(streets))]


def test_every_pixel_is_of_one_segment(streets, items):
    for image, target in items:
        assert image.shape == (3, 96, 128) and image.min() >= 0 and image.max() <= 1
        truth = target["panoptic"]
        assert truth.classes == streets.classes and truth.things == streets.things
        assert torch.equal(truth.void, target["withheld"])
        assert torch.equal(truth.semantic, target["semantic"])
        assert sum(segment.area for segment in truth.segments) + truth.void.sum() == 96 * 128


def test_boxes_masks_and_labels_are_of_the_map(streets, items):
    assert sum(len(target["boxes"]) for _, target in items) > 20
    for _, target in items:
        check_panoptic_targets(
            [target], [(96, 128)], num_classes=len(streets.classes), num_stuff=streets.num_stuff
        )
        found = target["panoptic"].instances()
        assert len(found) == len(target["boxes"])
        for box, label, mask, area in zip(
            *(target[key] for key in ("boxes", "labels", "masks", "area")), strict=True
        ):
            assert (target["semantic"][mask] == label).all() and mask.sum() == area
            rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
            corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box.tolist() == [float(x) for x in corners]
            assert any(torch.equal(mask, other) for other in found.masks)
        assert not (target["masks"].sum(0) > 1).any()


def test_stuff_under_the_digits_is_the_partition():
    """The same scene without digits, as far as none lies on it."""
    streets = DrawnStreets("train", **SMALL)
    _, target = streets[3]
    ground = torch.from_numpy(partition(np.random.default_rng((0, 0, 3)), (96, 128), 3))
    stuff = target["semantic"] < 3
    assert torch.equal(target["semantic"][stuff], ground[stuff]) and 0.3 < stuff.float().mean() < 1


def test_withheld_digits_are_drawn_and_void(items):
    """The pictures are those of a set that withholds nothing; their pixels are no class's."""
    everything = DrawnStreets("val", **SMALL)
    assert sum(int(target["withheld"].sum()) for _, target in items) > 0
    for i, (image, target) in enumerate(items):
        same, full = everything[i]
        assert torch.equal(image, same) and not full["withheld"].any()
        names = [everything.classes[label] for label in full["labels"].tolist()]
        taken = [mask for mask, name in zip(full["masks"], names, strict=True) if name in "17"]
        expected = torch.stack(taken).any(0) if taken else torch.zeros_like(target["withheld"])
        assert torch.equal(target["withheld"], expected)
        kept = torch.tensor([name not in "17" for name in names], dtype=torch.bool)
        assert torch.equal(target["masks"], full["masks"][kept])
        assert torch.equal(target["boxes"], full["boxes"][kept])
        there = ~expected
        renamed = [everything.classes[k] for k in full["semantic"][there].unique()]
        own = [everything.classes.index(name) for name in renamed]
        assert len(target["semantic"][there].unique()) == len(own)


def test_classes(streets):
    assert streets.classes == ("grass", "brick", "gravel", *"02345689")
    assert streets.things == tuple(range(3, 11)) and streets.num_stuff == 3
    assert DrawnStreets("val").classes == (*STUFF, *"0123456789")


def test_an_item_is_the_same_every_time(streets, items):
    again = DrawnStreets("val", **SMALL, withheld=[1, 7])
    for i in (7, 2, -1):
        assert torch.equal(again[i][0], items[i][0])
        assert torch.equal(again[i][1]["semantic"], items[i][1]["semantic"])
    assert not torch.equal(DrawnStreets("val", **SMALL, seed=1)[2][0], items[2][0])
    assert not torch.equal(DrawnStreets("test", **SMALL)[2][0], items[2][0])
    with pytest.raises(IndexError):
        streets[12]


def test_parts_of_the_textures_do_not_touch():
    area = np.zeros((512, 512), int)
    for left, top, right, bottom in PARTS.values():
        area[top:bottom, left:right] += 1
        assert min(right - left, bottom - top) >= SIDE
    assert (area == 1).all()


def test_regions_are_large():
    for seed in range(20):
        ground = partition(np.random.default_rng(seed), (60, 90), 3)
        shares = np.bincount(ground.ravel(), minlength=3) / ground.size
        assert ground.shape == (60, 90) and shares.min() >= MIN_SHARE


def test_textures_differ(items):
    """Bricks have long edges along one direction; a mean of each region would not tell them."""
    image, target = items[0]
    assert {int(k) for k in target["semantic"].unique() if k < 3} == {0, 1, 2}
    for label in range(3):
        assert image[:, target["semantic"] == label].std() > 0.01


@pytest.mark.parametrize("withheld", [range(10), [10], [-1], ["7"], [3, 3.5]])
def test_digits_that_cannot_be_withheld(withheld):
    with pytest.raises(ValueError, match="withheld must be digits from 0 to 9, and not all"):
        DrawnStreets("val", withheld=withheld)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "dev"}, "split must be one of"),
        ({"digit_size": (10.0, 190.0)}, "digit_size must be"),
        ({"max_digits": 0}, "max_digits must be 1 to 255"),
        ({"length": -1}, "length must be"),
    ],
)
def test_arguments_out_of_range(options, words):
    with pytest.raises(ValueError, match=words):
        DrawnStreets(**{"split": "val", **options})


def test_collates(items):
    images, targets = collate(items[:3])
    assert len(images) == len(targets) == 3
