"""Targets of panoptic systems: maps in a batch, and which pixels are to be unknown."""

import pytest
import torch

from fastcv.nn.detection.roi_branch import Frame
from fastcv.nn.panoptic.targets import check_panoptic_targets, map_in_batch, panoptic_targets

VOID = 255


def test_targets_by_hand():
    # Two stuffs, a thing with a mask, one without (left out), void, and void within the mask.
    semantic = torch.tensor([[0, 1, 2, 3, VOID, VOID]])
    masks = torch.tensor([[[False, False, True, False, False, True]]])
    got = panoptic_targets(semantic, masks, num_stuff=2)
    assert got.tolist() == [[0, 1, 2, 3, -1, -1]]  # 2: the first instance, 3: unknown
    without = panoptic_targets(semantic, masks, num_stuff=2, unknown=False)
    assert without.tolist() == [[0, 1, 2, -1, -1, -1]]
    assert semantic.tolist() == [[0, 1, 2, 3, VOID, VOID]]  # it is left as it was


def test_instances_have_numbers_of_their_own():
    """Also beyond 255, which is void in label maps alone."""
    semantic = torch.full((1, 300), 1)
    masks = torch.eye(300, dtype=torch.bool)[:, None]
    got = panoptic_targets(semantic, masks, num_stuff=1)
    assert got[0].tolist() == list(range(1, 301))


def test_no_instances():
    semantic = torch.tensor([[0, 1, VOID]])
    masks = torch.zeros(0, 1, 3, dtype=torch.bool)
    assert panoptic_targets(semantic, masks, num_stuff=1).tolist() == [[0, 1, -1]]
    got = panoptic_targets(semantic, masks, num_stuff=1, unknown=False)
    assert got.tolist() == [[0, -1, -1]]


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize(
    ("old", "new"), [((6, 9), (12, 18)), ((30, 21), (17, 12)), ((1, 1), (9, 16))]
)
def test_maps_are_of_the_nearest_pixel(old, new, stride):
    image, batch = torch.arange(old[0] * old[1]).reshape(old), (20, 32)
    got = map_in_batch(image, Frame(old, new), batch, stride=stride, fill=-5)
    assert got.shape == (batch[0] // stride, batch[1] // stride)
    for i in range(got.shape[0]):
        for j in range(got.shape[1]):
            y, x = i * stride + stride // 2, j * stride + stride // 2  # in the batch
            if y >= new[0] or x >= new[1]:
                assert got[i, j] == -5
            else:
                row, column = (
                    min(int((at + 0.5) * a / b), a - 1)
                    for at, a, b in ((y, old[0], new[0]), (x, old[1], new[1]))
                )
                assert got[i, j] == image[row, column]


def target(**changes):
    return {
        "boxes": torch.tensor([[1.0, 1, 3, 3]]),
        "labels": torch.tensor([3]),
        "semantic": torch.zeros(4, 5, dtype=torch.int64),
        **changes,
    }


def checked(one):
    check_panoptic_targets([one], [(4, 5)], num_classes=5, num_stuff=2)


def test_right_targets():
    checked(target())
    checked(target(semantic=torch.full((4, 5), VOID)))
    checked(target(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": torch.tensor([1])}, "the label of box 0 must be of a thing, 2 to 4, got 1"),
        ({"semantic": None}, "targets[0] must have a tensor 'semantic'"),
        ({"semantic": torch.zeros(4, 4).long()}, "semantic must be int64 [4, 5]"),
        ({"semantic": torch.zeros(4, 5)}, "semantic must be int64 [4, 5]"),
        ({"semantic": torch.full((4, 5), 5)}, "semantic must be 0 to 4, or 255 for void, got 5"),
        ({"semantic": torch.full((4, 5), -1)}, "semantic must be 0 to 4, or 255 for void, got -1"),
    ],
)
def test_wrong_targets(changes, words):
    with pytest.raises(ValueError) as error:
        checked(target(**changes))
    assert words in str(error.value)
