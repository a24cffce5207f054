"""What a model is given of pictures of one's own: boxes and labels stay where they belong."""

import json

import pytest
import torch
from own_pictures import coco
from PIL import Image, ImageDraw

import fastcv
from fastcv.classes import COCO_KEYPOINTS
from fastcv.images import read_image
from fastcv.learn.own_data import boxes, classes, label_maps
from fastcv.learn.own_data import keypoints as own_keypoints
from fastcv.learn.own_data import masks as own_masks
from fastcv.learn.own_data._given import open_sets
from fastcv.models import create_model
from fastcv.models._tasks import TASKS


def drawn(size, box):
    image = Image.new("RGB", size)
    ImageDraw.Draw(image).rectangle(box, fill=(255, 255, 255))
    return read_image(image).float() / 255


class Squares(list):
    classes = ("background", "square")


@pytest.mark.parametrize("augment", ["none", "color", "flip", "strong"])
def test_boxes_stay_on_their_objects(augment):
    x1, y1, x2, y2 = 20, 30, 60, 55
    image = drawn((120, 90), (x1, y1, x2 - 1, y2 - 1))
    target = {
        "boxes": torch.tensor([[x1, y1, x2, y2]], dtype=torch.float32),
        "labels": torch.tensor([1]),
        "iscrowd": torch.tensor([False]),
        "area": torch.tensor([1000.0]),
        "image_id": 3,
        "keypoints": torch.zeros(1, 1, 3),  # left out
    }
    examples = boxes.Examples(Squares([(image, target)]), augment)
    torch.manual_seed(0)
    for _ in range(10):
        changed, moved = examples[0]
        assert set(moved) == {"boxes", "labels", "iscrowd", "area", "image_id"}
        white = changed.mean(0) > 0.3 * changed.max()
        ys, xs = white.nonzero().unbind(1)
        about = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float()
        assert torch.allclose(moved["boxes"][0], about, atol=1.5)
    assert target["boxes"].tolist() == [[x1, y1, x2, y2]]


@pytest.mark.parametrize("augment", ["none", "color", "flip", "strong"])
@pytest.mark.parametrize("side", [32, 64, 128])
def test_labels_stay_on_their_pixels(augment, side):
    image = drawn((90, 70), (20, 25, 59, 54))
    labels = (image[0] > 0.5).long()
    data = Squares([(image, labels)])
    model = fastcv.create_model("unet", width=4)
    examples = label_maps.Examples(model, data, augment, side)
    torch.manual_seed(1)
    for _ in range(10):
        changed, moved = examples[0]
        assert changed.shape == (3, side, side) and moved.shape == (side, side)
        counts = moved != 255
        # A border moves by half a pixel where a picture is scaled; the rest agrees.
        white = changed.mean(0) > 0.3 * max(1e-3, float(changed.max()))
        differ = (white != (moved == 1)) & counts & (moved.sum() > 0)
        assert differ.sum() <= 0.06 * counts.sum()
    images, targets = examples.collate([examples[0], examples[0]])
    assert images.shape == (2, 3, side, side) and targets.shape == (2, side, side)


def test_a_segmenter_learns_in_the_size_that_it_predicts_in():
    model = fastcv.create_model("unet", width=4)
    model.preprocessing = {**model.preprocessing, "resize": 140}
    image = drawn((90, 70), (0, 0, 89, 69))
    examples = label_maps.Examples(model, Squares([(image, (image[0] > 0).long())]), "none", 160)
    _, labels = examples[0]
    assert int((labels == 1).sum()) == 140 * 160  # of 140 x 180; the rest of the square is empty
    assert int((labels == 255).sum()) == 20 * 160


@pytest.mark.parametrize("augment", ["none", "color", "flip", "strong"])
def test_squares_for_a_classifier(augment):
    model = fastcv.create_model("resnet18", num_classes=2, width=8)
    model.preprocessing = {**model.preprocessing, "crop": 48, "resize": 56}
    images = Squares([(torch.rand(3, 70, 90), 1), (torch.rand(3, 40, 200), 0)])
    examples = classes.Examples(model, images, augment)
    items = [examples[0], examples[1]]
    assert all(image.shape == (3, 48, 48) for image, _ in items)
    batch, labels = examples.collate(items)
    assert batch.shape == (2, 3, 48, 48) and labels.tolist() == [1, 0]
    if augment == "none":
        assert torch.allclose(batch, model.prepare([image for image, _ in images]), atol=1e-5)


def test_masks_of_ones_own(tmp_path):
    """A Mask R-CNN learns from COCO's polygons."""
    images, path = coco(tmp_path, [(n + 1, 1 + n % 2, (5, 5, 20, 20)) for n in range(2)])
    content = json.loads((tmp_path / "a.json").read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"] = [[5, 5, 25, 5, 25, 25, 5, 25]]
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = own_masks.coco(images, path)
    model = create_model(
        "maskrcnn_resnet18_fpn",
        classes=found.classes,
        width=8,
        fpn_channels=16,
        head_channels=32,
        mask_channels=8,
        **own_masks.config(40, ["min_size"]),
    )
    image, target = own_masks.examples(model, found, "flip", 40)[0]
    assert target["masks"].shape == (1, 40, 60) and target["masks"].sum() == 400
    assert model.loss(model([image]), [target])["loss_mask"].isfinite()
    known = own_masks.truth(image, target, found.classes)
    assert torch.equal(known.masks, target["masks"]) and known.draw(image)


SIDES = ["left_wing", "right_wing", "beak"]


def birds(folder, names=SIDES, points=(10, 20, 2, 50, 20, 2, 30, 5, 1)):
    """Pictures of 60 x 40 pixels with a bird each, of these keypoints."""
    where = coco(folder, [(n + 1, 1, (5, 5, 50, 30)) for n in range(2)], names=("bird",))
    content = json.loads((folder / "a.json").read_text())
    content["categories"][0]["keypoints"] = list(names)
    for annotation in content["annotations"]:
        annotation["keypoints"] = list(points)
    (folder / "a.json").write_text(json.dumps(content))
    return where


def small_keypoint_rcnn(found):
    sizes = {"width": 8, "fpn_channels": 16, "head_channels": 32, "keypoint_channels": 8}
    config = {**own_keypoints.config(40, ["min_size"]), **found.config}
    return create_model("keypointrcnn_resnet18_fpn", classes=found.classes, **sizes, **config)


def test_keypoints_of_ones_own(tmp_path):
    """A Keypoint R-CNN of somebody's keypoints; in a mirror the left wing is the right one."""
    found = own_keypoints.coco(*birds(tmp_path))
    model = small_keypoint_rcnn(found)
    assert model.schema.names == tuple(SIDES) and model.schema.flip_order == [1, 0, 2]
    examples = own_keypoints.examples(model, found, "flip", 40)
    seen = set()
    for _ in range(20):
        image, target = examples[0]
        assert image.shape == (3, 40, 60)
        # The left wing is at 10 and the right one at 50: mirrored they are at 60 less that.
        assert target["keypoints"][0, :2].tolist() == [[10, 20, 2], [50, 20, 2]]
        seen.add(target["keypoints"][0, 2, 0].item())
    assert seen == {30.0}
    assert model.loss(model([image]), [target])["loss_keypoint"].isfinite()
    known = own_keypoints.truth(image, target, found.classes)
    assert torch.equal(known.keypoints, target["keypoints"]) and known.draw(image)


def test_keypoints_that_a_mirror_moves(tmp_path):
    points = (10, 20, 2, 40, 20, 2, 30, 5, 0)
    found = own_keypoints.coco(*birds(tmp_path, points=points))
    examples = own_keypoints.examples(small_keypoint_rcnn(found), found, "flip", 40)
    places = {tuple(examples[0][1]["keypoints"][0, :2, 0].tolist()) for _ in range(20)}
    assert places == {(10, 40), (60 - 40, 60 - 10)}


def test_cocos_own_keypoints_are_a_persons():
    names = COCO_KEYPOINTS.names
    assert own_keypoints.schema_of(names) is COCO_KEYPOINTS
    shuffled = own_keypoints.schema_of(names[::-1])
    assert {frozenset(pair) for pair in shuffled.flips} == set(map(frozenset, COCO_KEYPOINTS.flips))


@pytest.mark.parametrize("names", [None, []])
def test_annotations_without_keypoints(tmp_path, names):
    images, path = coco(tmp_path, [(1, 1, (5, 5, 50, 30))])
    if names is not None:
        content = json.loads((tmp_path / "a.json").read_text())
        content["categories"][0]["keypoints"] = names
        (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'a\.json has no keypoints: no category lists its "key'):
        own_keypoints.coco(images, path)


def test_other_keypoints_to_validate_on(tmp_path):
    (task,) = (task for task in TASKS if task.name == "keypoints")
    (way,) = task.data
    train, val = birds(tmp_path / "a"), birds(tmp_path / "b", names=["left", "right", "up"])
    with pytest.raises(ValueError, match=r"^val must have what the pictures .*_wing"):
        open_sets(own_keypoints.coco, way, train, val, 0.5, 0)
    train_set, val_set = open_sets(own_keypoints.coco, way, train, train, 0.5, 0)
    assert train_set.config == val_set.config and len(val_set) == 2
