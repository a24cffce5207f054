"""Branches of RoI heads: targets that are wrong or at the edge, and a branch of one's own."""

import runpy
from pathlib import Path

import pytest
import torch
from small_models import make_small

from fastcv.classes import DIGIT_KEYPOINTS
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.keypoint_branch import _cells
from fastcv.nn.detection.mask_branch import MaskBranch, _on_boxes
from fastcv.nn.detection.multiscale_roi_pool import MultiScaleRoIPool
from fastcv.nn.detection.roi_branch import Frame, RoISamples
from fastcv.ops import MultiScaleRoIAlign, roi_pool

ROOT = Path(__file__).parents[3]
SIZE = (60, 80)


@pytest.fixture(scope="module")
def masks():
    return make_small("maskrcnn_resnet18_fpn")


@pytest.fixture(scope="module")
def keypoints():
    return make_small("keypointrcnn_resnet18_fpn")


def target(**more):
    boxes = torch.tensor([[5.0, 5, 40, 50], [30.0, 2, 70, 40]])
    return {"boxes": boxes, "labels": torch.tensor([1, 2]), **more}


def rows(count, size=SIZE):
    return torch.ones(count, *size, dtype=torch.bool)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, r"targets\[0\] must have a tensor 'masks', has \['boxes', 'labels'\]"),
        ({"masks": rows(1)}, r"targets\[0\]: masks must be 2, one for each box, got \[1, 60, 80\]"),
        ({"masks": rows(2, (60, 79))}, r"must be \[2, 60, 80\], as the image is, got \[2, 60, 79"),
    ],
)
def test_masks_that_do_not_fit(masks, more, message):
    with pytest.raises(ValueError, match=message):
        masks.loss(masks.train()([torch.rand(3, *SIZE)]), [target(**more)])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, r"targets\[0\] must have a tensor 'keypoints', has \['boxes', 'labels'\]"),
        ({"keypoints": torch.rand(2, 3, 3)}, r"floating \[2, 4, 3\], as many as the model has"),
        ({"keypoints": torch.ones(2, 4, 3).long()}, r"floating \[2, 4, 3\].*got torch.int64"),
        ({"keypoints": torch.rand(1, 4, 3)}, r"keypoints must be 2, one for each box, got \[1, 4"),
    ],
)
def test_keypoints_that_do_not_fit(keypoints, more, message):
    with pytest.raises(ValueError, match=message):
        keypoints.loss(keypoints.train()([torch.rand(3, *SIZE)]), [target(**more)])


def losses_of(model, *targets):
    torch.manual_seed(0)
    images = [torch.rand(3, *SIZE) for _ in targets]
    model.eval()  # statistics stay as they are
    return model.loss(model(images), list(targets))


def test_nothing_to_learn(masks, keypoints):
    """No objects at all, masks without a pixel, keypoints that nobody sees."""
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    nothing = losses_of(masks, {**none, "masks": rows(0)})
    assert nothing["loss_mask"] == 0 and nothing["loss_mask"].requires_grad
    empty = losses_of(masks, target(masks=~rows(2)))
    assert empty["loss_mask"].isfinite() and empty["loss_mask"] > 0
    nothing = losses_of(keypoints, {**none, "keypoints": torch.zeros(0, 4, 3)})
    unseen = losses_of(keypoints, target(keypoints=torch.zeros(2, 4, 3)))
    assert nothing["loss_keypoint"] == 0 == unseen["loss_keypoint"]
    assert unseen["loss_keypoint"].requires_grad


def test_crowds_teach_nothing(masks):
    both = target(masks=rows(2) & (torch.arange(80) < 40), iscrowd=torch.tensor([False, True]))
    alone = {key: value[:1] for key, value in both.items()}
    assert losses_of(masks, both) == losses_of(masks, alone)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_pictures_of_a_pixel(masks, keypoints, size):
    image = torch.rand(3, *size)
    for model in (masks, keypoints):
        (found,) = model.predict(image, score_threshold=0.0, max_detections=3)
        assert found.image_size == size
    assert masks.predict(image, score_threshold=0.0)[0].masks.shape[1:] == size


def test_no_boxes_found(masks, keypoints):
    image = torch.rand(3, *SIZE)
    (found,) = masks.predict(image, score_threshold=1.0)
    assert found.masks.shape == (0, *SIZE) and found.to_coco(1) == []
    (found,) = keypoints.predict(image, score_threshold=1.0)
    assert found.keypoints.shape == (0, 4, 3) and found.keypoint_scores.shape == (0, 4)


def test_a_batch_is_as_one_by_one(masks, keypoints):
    images = [torch.rand(3, *SIZE), torch.rand(3, *SIZE)]
    options = {"score_threshold": 0.0, "max_detections": 5}
    for model, name in ((masks, "masks"), (keypoints, "keypoints")):
        together = model.predict(images, batch_size=2, **options)
        for image, of_batch in zip(images, together, strict=True):
            (alone,) = model.predict(image, **options)
            torch.testing.assert_close(of_batch.boxes, alone.boxes, rtol=1e-4, atol=1e-3)
            a, b = getattr(of_batch, name).float(), getattr(alone, name).float()
            assert (a - b).abs().mean() < 0.02


def test_mask_targets_by_hand():
    """A mask of the right half of a box is the right half of its map."""
    mask = torch.zeros(1, 40, 40, dtype=torch.bool)
    mask[0, 8:24, 16:24] = True
    boxes = torch.tensor([[8.0, 8, 24, 24], [100.0, 100, 116, 116]])  # the other is outside
    sample = RoISamples(
        boxes,
        torch.tensor([1, 1]),
        torch.tensor([0, 0]),
        {"masks": mask},
        Frame((40, 40), (40, 40)),
    )
    on_boxes = _on_boxes(sample, 4)
    assert on_boxes.shape == (2, 4, 4) and not on_boxes[1].any()
    assert (on_boxes[0, :, 0] == 0).all() and (on_boxes[0, :, 3] > 0.7).all()


def test_keypoint_cells_by_hand():
    points = torch.tensor(
        [[[10.0, 20, 2], [17.9, 20, 1], [18.0, 36, 2], [9.9, 20, 2], [12, 21, 0]]]
    )
    sample = RoISamples(
        torch.tensor([[20.0, 40, 36, 72]]),  # in a batch of twice the size
        torch.tensor([1]),
        torch.tensor([0]),
        {"keypoints": points},
        Frame((50, 50), (100, 100)),
    )
    # Of 4 x 4 cells: the first, the last of its row, the last of all, outside, not seen.
    assert _cells(sample, 4).tolist() == [[0, 3, 15, -1, -1]]


def test_a_class_picks_its_mask():
    output = torch.stack([torch.full((2, 2), float(i)) for i in range(3)])[None].repeat(2, 1, 1, 1)
    found = FoundBoxes(torch.zeros(2, 4), torch.ones(2), torch.tensor([2, 1]))
    masks = MaskBranch().fields(output, found, Frame((9, 9), (9, 9)))["masks"]
    torch.testing.assert_close(masks[:, 0, 0], torch.tensor([2.0, 1.0]).sigmoid())


def test_roi_pool_takes_the_same_levels():
    names = ["0", "1", "2", "3"]
    g = torch.Generator().manual_seed(0)
    maps = {name: torch.rand(2, 3, 64 >> i, 80 >> i, generator=g) for i, name in enumerate(names)}
    boxes = [
        torch.tensor([[3.0, 4, 60, 80], [0.0, 0, 320, 256]]),
        torch.tensor([[5.0, 9, 230, 200]]),
    ]
    sizes = [(250, 310), (256, 320)]
    pooled = MultiScaleRoIPool(names, 7)(maps, boxes, sizes)
    assert pooled.shape == MultiScaleRoIAlign(names, 7, 2)(maps, boxes, sizes).shape
    for row, level, image, box in ((0, 0, 0, boxes[0][0]), (1, 2, 0, boxes[0][1])):
        rois = torch.cat([torch.tensor([float(image)]), box])[None]
        want = roi_pool(maps[names[level]], rois, 7, 1 / (4 << level))
        torch.testing.assert_close(pooled[row], want[0])


def test_roi_pool_is_a_switch():
    model = make_small("maskrcnn_resnet18_fpn", roi_pool=True)
    assert isinstance(model.roi_heads.mask_roi_pool, MultiScaleRoIPool)
    losses = model.loss(model([torch.rand(3, *SIZE)]), [target(masks=rows(2))])
    losses["loss_mask"].backward()
    assert model.backbone.body.conv1.weight.grad.any()


def test_names_are_given_once(masks):
    model = make_small("maskrcnn_resnet18_fpn")
    nothing = torch.nn.Identity()
    with pytest.raises(ValueError, match="there is a branch 'mask' already"):
        model.roi_heads.add_branch(MaskBranch(), roi_pool=nothing, head=nothing, predictor=nothing)


def test_a_branch_of_ones_own_learns():
    """The example of the docs, on a few scenes."""
    example = runpy.run_path(str(ROOT / "examples" / "roi_branch.py"))
    torch.manual_seed(0)
    model, history = example["train"](scenes=2, steps=6, batch_size=2)
    assert history[-1] < 0.8 * history[0]
    (found,) = model.predict(torch.rand(3, 96, 96), score_threshold=0.0)
    assert found.fields["tilt"].shape == found.scores.shape
    assert "tilt" in found.to_dict()["detections"][0]


def test_schema_goes_into_the_file(tmp_path):
    import fastcv

    model = make_small("keypointrcnn_resnet18_fpn", keypoints=DIGIT_KEYPOINTS)
    fastcv.save_model(tmp_path / "m.safetensors", model)
    loaded = fastcv.load_model(tmp_path / "m.safetensors")
    assert loaded.schema == DIGIT_KEYPOINTS
