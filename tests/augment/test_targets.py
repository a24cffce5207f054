"""Images, boxes, masks and keypoints move together."""

import pytest
import torch

from fastcv import augment
from fastcv.data import DrawnDigits
from fastcv.ops import masks_to_boxes


def example(height=24, width=32):
    """Two rectangles as boxes, masks and keypoints (centre and top left), and as pixels."""
    boxes = torch.tensor([[4.0, 6.0, 12.0, 10.0], [18.0, 3.0, 24.0, 20.0]])
    masks = torch.zeros(2, height, width, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    centres, corners = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, :2]
    points = torch.stack([centres, corners], dim=1)
    target = {
        "boxes": boxes,
        "labels": torch.tensor([3, 5]),
        "masks": masks,
        "keypoints": torch.cat([points, torch.full((2, 2, 1), 2.0)], dim=2),
        "iscrowd": torch.tensor([False, True]),
        "area": masks.flatten(1).sum(1).float(),
        "image_id": 9,
    }
    return masks.any(0).float().expand(1, 3, -1, -1), target


def agree(image, target, tolerance=1.0):
    """Whether masks, boxes and image say the same."""
    found = masks_to_boxes(target["masks"])
    found[:, 2:] += 1
    torch.testing.assert_close(target["boxes"], found, atol=tolerance, rtol=0)
    torch.testing.assert_close(target["area"], target["masks"].flatten(1).sum(1).float())
    inked = target["masks"].any(0).float()
    assert (image[0, 0] - inked).abs().max() <= 0.5 + 1e-4


MOVES = {
    "flip": lambda i, t: augment.flip(i, t, vertical=True),
    "rotate": lambda i, t: augment.warp(i, t, augment.affine_matrices((24, 32), angle=40.0)),
    "shear": lambda i, t: augment.warp(i, t, augment.affine_matrices((24, 32), shear=(0.3, 0.1))),
    "shift": lambda i, t: augment.shift(i, t, torch.tensor([-6]), torch.tensor([3])),
    "quarter": lambda i, t: augment.rotate90(i, t, turns=1),
}


@pytest.mark.parametrize("name", MOVES)
def test_they_agree(name):
    image, target = example()
    moved, (together,) = MOVES[name](image, [target])
    agree(moved, together)
    assert together["labels"].tolist() == [3, 5] and together["image_id"] == 9
    # Without masks a rectangle's box is that of its corners: the same, as it is a rectangle.
    without = {k: v for k, v in target.items() if k != "masks"}
    _, (alone,) = MOVES[name](image, [without])
    torch.testing.assert_close(alone["boxes"], together["boxes"], atol=1.0, rtol=0)
    torch.testing.assert_close(alone["area"], together["area"], atol=0, rtol=0.12)
    # The centre is in the middle of the moved box, where that is whole.
    whole = (together["boxes"] > 0).all(1) & (together["keypoints"][:, 0, 2] > 0)
    boxes, centres = alone["boxes"][whole], alone["keypoints"][whole, 0, :2]
    if name != "shear" and len(boxes):
        torch.testing.assert_close((boxes[:, :2] + boxes[:, 2:]) / 2, centres, atol=1.0, rtol=0)


def test_resized_crop():
    image, target = example()
    box = torch.tensor([[2, 2, 26, 22]])
    moved, (together,) = augment.resized_crop(image, [target], box, (40, 48))
    agree(moved, together)
    expected = torch.tensor([[4.0, 8, 20, 16], [32, 2, 44, 36]])
    torch.testing.assert_close(together["boxes"], expected)
    torch.testing.assert_close(together["keypoints"][0, 0], torch.tensor([12.0, 12.0, 2.0]))


def test_four_quarters_and_two_flips_are_nothing():
    image, target = example()
    images, targets = image, [target]
    for _ in range(4):
        images, targets = augment.rotate90(images, targets)
        assert images.shape[-2:] == targets[0]["masks"].shape[-2:]
    for _ in range(2):
        images, targets = augment.flip(images, targets)
    assert torch.equal(images, image)
    assert all(torch.equal(targets[0][k], v) for k, v in target.items() if k != "image_id")


@pytest.mark.parametrize("turns", range(-1, 5))
def test_quarters_to_the_bit(turns):
    image, target = torch.rand(2, 3, 5, 7), example(5, 7)[1]
    masks = torch.rand(2, 5, 7) > 0.5
    target = {"boxes": masks_to_boxes(masks), "masks": masks}
    moved, targets = augment.rotate90(image, [target] * 2, turns=turns)
    assert torch.equal(moved, torch.rot90(image, turns, dims=(2, 3)))
    assert torch.equal(targets[1]["masks"], torch.rot90(masks, turns, dims=(1, 2)))


def test_a_turn_by_warp_is_the_quarter():
    image = torch.rand(1, 3, 9, 9)
    moved, _ = augment.warp(image, None, augment.affine_matrices((9, 9), angle=90.0))
    torch.testing.assert_close(moved, torch.rot90(image, 1, dims=(2, 3)), atol=1e-5, rtol=0)


def test_flip_for_some():
    images = torch.rand(3, 3, 4, 6)
    target = {"boxes": torch.tensor([[0.0, 0, 2, 1]])}
    moved, targets = augment.flip(
        images,
        [target] * 3,
        horizontal=torch.tensor([True, False, True]),
        vertical=torch.tensor([False, False, True]),
    )
    assert torch.equal(moved[0], images[0].flip(-1))
    assert torch.equal(moved[1], images[1])
    assert torch.equal(moved[2], images[2].flip(-1, -2))
    boxes = [t["boxes"][0].tolist() for t in targets]
    assert boxes == [[4, 0, 6, 1], [0, 0, 2, 1], [4, 3, 6, 4]]


def test_keypoints_with_sides():
    target = {
        "boxes": torch.tensor([[0.0, 0, 6, 4]]),
        "keypoints": torch.tensor([[[1.0, 1, 2], [5, 2, 1]]]),
    }
    image = torch.rand(1, 3, 4, 6)
    _, (mirrored,) = augment.flip(image, [target], keypoint_order=[1, 0])
    assert mirrored["keypoints"].tolist() == [[[1, 2, 1], [5, 1, 2]]]
    _, (turned,) = augment.flip(image, [target], vertical=True, keypoint_order=[1, 0])
    assert turned["keypoints"].tolist() == [[[5, 3, 2], [1, 2, 1]]]  # half a turn has no mirror


def test_what_leaves_the_image():
    image, target = example()
    _, (moved,) = augment.shift(image, [target], torch.tensor([-10]), torch.tensor([0]))
    assert moved["boxes"].tolist() == [[0, 6, 2, 10], [8, 3, 14, 20]]
    assert moved["keypoints"][0].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert moved["area"].tolist() == [8, 102]
    _, (gone,) = augment.shift(image, [target], torch.tensor([-12]), torch.tensor([0]))
    assert gone["labels"].tolist() == [5] and gone["iscrowd"].tolist() == [True]
    assert all(len(gone[k]) == 1 for k in ("boxes", "masks", "keypoints", "area"))
    _, (none,) = augment.shift(image, [target], torch.tensor([32]), torch.tensor([0]))
    assert len(none["boxes"]) == 0 and none["masks"].shape == (0, 24, 32)


def test_no_objects():
    target = {
        "boxes": torch.empty(0, 4),
        "labels": torch.empty(0, dtype=torch.int64),
        "masks": torch.empty(0, 8, 8, dtype=torch.bool),
        "keypoints": torch.empty(0, 5, 3),
        "area": torch.empty(0),
    }
    matrices = augment.affine_matrices((8, 8), angle=20.0)
    _, (moved,) = augment.warp(torch.rand(1, 3, 8, 8), [target], matrices)
    assert {k: v.shape for k, v in moved.items()} == {k: v.shape for k, v in target.items()}


def test_labels_and_probabilities_stay():
    images, labels = torch.rand(2, 3, 8, 8), torch.tensor([4, 2])
    matrices = augment.affine_matrices((8, 8), angle=20.0)
    assert augment.warp(images, labels, matrices)[1] is labels
    assert augment.flip(images, labels)[1] is labels
    assert augment.warp(images, None, matrices)[1] is None


def test_drawn_digits_survive_everything():
    """Real targets: masks, boxes and keypoints agree after RandAugment and a crop."""
    scenes = DrawnDigits("val", size=(96, 96))
    images, targets = zip(*(scenes[i] for i in range(6)), strict=True)
    both = augment.Compose(
        augment.RandAugment(n=3, m=20),
        augment.Flip(),
        augment.RandomResizedCrop((64, 80), area=(0.5, 1.0)),
    )
    generator = torch.Generator().manual_seed(5)
    images, moved = both(torch.stack(images), list(targets), generator=generator)
    assert images.shape == (6, 3, 64, 80) and images.min() >= 0 and images.max() < 1.00001
    assert sum(len(t["boxes"]) for t in moved) > 6
    for target in moved:
        boxes = masks_to_boxes(target["masks"])
        boxes[:, 2:] += 1
        assert torch.equal(target["boxes"], boxes)
        places, seen = target["keypoints"][..., :2], target["keypoints"][..., 2] > 0
        assert bool(((places >= 0) & (places < torch.tensor([80, 64]))).all())
        assert bool((places[~seen] == 0).all())
