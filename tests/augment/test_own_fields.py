"""What there is one of for each object stays so, whatever the field's name."""

import numpy as np
import pytest
import torch

from fastcv import augment
from fastcv.nn.detection.targets import check_targets

LEFT = torch.tensor([-30]), torch.tensor([0])  # of a picture 60 wide


def shifted(**fields):
    boxes = torch.tensor([[2.0, 2, 10, 10], [50, 30, 58, 38]])  # the first one leaves
    target = {"boxes": boxes, "labels": torch.tensor([1, 2]), **fields}
    images = torch.zeros(1, 3, 40, 60)
    return augment.shift(images, [target], *LEFT)[1][0]


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (torch.tensor([False, True]), [True]),
        (torch.tensor([[1, 2, 3], [4, 5, 6]]), [[4, 5, 6]]),
        (torch.rand(2, 3, 4) > 2, [[[False] * 4] * 3]),
        (np.array(["a", "b"]), ["b"]),
        (["a", "b"], ["b"]),
        (("a", "b"), ("b",)),
        ([[1], [2, 3]], [[2, 3]]),
    ],
)
def test_own_fields_lose_the_rows_of_dropped_objects(value, want):
    for name in ("difficult", "my_ids", "num_keypoints", "rotated_boxes"):
        found = shifted(**{name: value})[name]
        assert type(found) is type(value)
        assert (found.tolist() if hasattr(found, "tolist") else found) == want


@pytest.mark.parametrize(
    "value", [7, "ab", None, torch.tensor(3), torch.rand(5), ["a"] * 3, {"a": 1, "b": 2}]
)
def test_what_is_of_the_image_stays(value):
    assert shifted(note=value)["note"] is value
    assert shifted(image_id=torch.tensor([4, 5]))["image_id"].tolist() == [4, 5]
    assert shifted(orig_size=torch.tensor([40, 60]))["orig_size"].tolist() == [40, 60]


def test_one_object_and_an_id_of_one():
    target = {"boxes": torch.tensor([[2.0, 2, 10, 10]]), "image_id": torch.tensor([9])}
    _, (moved,) = augment.shift(torch.zeros(1, 3, 40, 60), [target], *LEFT)
    assert len(moved["boxes"]) == 0 and moved["image_id"].tolist() == [9]


MOVES = {
    "flip": lambda i, t: augment.flip(i, t),
    "quarter": lambda i, t: augment.rotate90(i, t),
    "shift": lambda i, t: augment.shift(i, t, torch.tensor([7]), torch.tensor([-9])),
    "crop": lambda i, t: augment.resized_crop(i, t, torch.tensor([[8, 4, 56, 36]]), (64, 96)),
    "warp": lambda i, t: augment.warp(i, t, augment.affine_matrices((40, 60), angle=30.0)),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("count", [1, 2, 50])
def test_proposals_move_as_boxes_do(name, count):
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(count, 2, generator=generator) * torch.tensor([50.0, 30])
    proposals = torch.cat([corners, corners + 8], dim=1)
    images = torch.zeros(1, 3, 40, 60)
    target = {
        "boxes": torch.tensor([[2.0, 2, 10, 10], [50, 30, 58, 38]]),
        "proposals": proposals,
        "proposal_scores": torch.arange(count),
    }
    _, (moved,) = MOVES[name](images, [target])
    _, (alone,) = MOVES[name](images, [{"boxes": proposals, "rows": torch.arange(count)}])
    assert torch.equal(moved["proposals"], alone["boxes"])
    if count != 2:  # as many as objects: those are the objects' then
        assert torch.equal(moved["proposal_scores"], alone["rows"])


@pytest.mark.parametrize("name", MOVES)
def test_own_places_move(name):
    boxes = torch.tensor([[2.0, 2, 10, 10], [50, 30, 58, 38]])
    masks = torch.zeros(2, 40, 60, dtype=torch.bool)
    masks[0, 2:10, 2:10] = masks[1, 30:38, 50:58] = True
    points = torch.tensor([[[3.0, 4, 2]], [[51, 31, 1]]])
    images = torch.zeros(1, 3, 40, 60)
    own = {"visible_boxes": boxes, "ignore_boxes": boxes[:1], "part_keypoints": points}
    _, (moved,) = MOVES[name](images, [{"boxes": boxes, "amodal_masks": masks, **own}])
    _, (alone,) = MOVES[name](images, [{"boxes": boxes, "keypoints": points}])
    _, (first,) = MOVES[name](images, [{"boxes": boxes[:1]}])
    _, (masked,) = MOVES[name](images, [{"boxes": boxes, "masks": masks}])
    assert torch.equal(moved["visible_boxes"], alone["boxes"])
    assert torch.equal(moved["ignore_boxes"], first["boxes"])
    assert torch.equal(moved["part_keypoints"], alone["keypoints"])
    assert torch.equal(moved["amodal_masks"][: len(masked["masks"])], masked["masks"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_slivers_are_dropped_in_the_dtype_of_boxes(dtype):
    target = {
        "boxes": torch.tensor([[300.0, 300, 400, 400]] * 2, dtype=dtype),
        "labels": torch.tensor([1, 1]),
        "proposals": torch.tensor([[300.0, 300, 400, 400]], dtype=dtype),
    }
    for left in (1e-9, 1e-6, 1e-5, 1e-4, 1e-3, 0.1, 1.0, 8.0):
        for across, down in ((left, 100.0), (100.0, left)):
            matrices = augment.affine_matrices((512, 512), translate=(212 - across, 212 - down))
            _, (moved,) = augment.warp(torch.zeros(1, 3, 512, 512), [target], matrices)
            check_targets([moved], 1, 2)
            assert len(moved["boxes"]) == 2 * len(moved["proposals"])
            assert left not in (1e-9, 1e-6, 1e-4) or len(moved["boxes"]) == 0
            assert left != 8.0 or len(moved["boxes"]) == 2
