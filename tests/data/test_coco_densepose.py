"""Points of people's surface, as DensePose-COCO has them."""

import json

import pytest
import torch
from PIL import Image

from fastcv.cli import main
from fastcv.data import CocoDensePose
from fastcv.models import create_model, save_model

BOX = (10, 20, 30, 40)  # x, y, width, height
POINTS = {
    "dp_x": [0, 255, 51.0],
    "dp_y": [255, 0, 127.5],
    "dp_I": [1, 24, 3.0],
    "dp_U": [0, 1, 0.5],
    "dp_V": [1, 0, 0.25],
}
OUTLINE = [[10, 20, 40, 20, 40, 60, 10, 60]]


@pytest.fixture
def write(tmp_path):
    def write(*people, orientation=1):
        """A picture of 80 x 60 pixels with such people; the folder and the JSON."""
        tags = Image.Exif()
        tags[0x0112] = orientation
        Image.new("RGB", (80, 60)).save(tmp_path / "a.png", exif=tags)
        common = {"image_id": 7, "category_id": 1, "bbox": BOX, "segmentation": OUTLINE}
        content = {
            "images": [{"id": 7, "file_name": "a.png", "width": 80, "height": 60}],
            "annotations": [{**common, "id": i, **person} for i, person in enumerate(people)],
            "categories": [{"id": 1, "name": "person"}],
        }
        (tmp_path / "a.json").write_text(json.dumps(content))
        return tmp_path, tmp_path / "a.json"

    return write


def test_points_lie_where_their_box_has_them(write):
    _, target = CocoDensePose(*write(POINTS))[0]
    assert target["dense_keypoints"].tolist() == [[[10, 60, 1], [40, 20, 24], [16, 40, 3]]]
    assert target["dense_uv"].tolist() == [[[0, 1], [1, 0], [0.5, 0.25]]]
    assert target["boxes"].tolist() == [[10, 20, 40, 60]]


def test_people_with_fewer_points_and_with_none(write):
    one = {key: values[1:2] for key, values in POINTS.items()}
    _, target = CocoDensePose(*write(one, {}, POINTS), masks=True)[0]
    assert target["dense_keypoints"].shape == (3, 3, 3) and target["masks"].sum() == 3 * 30 * 40
    assert target["dense_keypoints"][0].tolist() == [[40, 20, 24], [0, 0, 0], [0, 0, 0]]
    assert not target["dense_keypoints"][1].any() and not target["dense_uv"][1].any()
    _, target = CocoDensePose(*write({}))[0]
    assert target["dense_keypoints"].shape == (1, 0, 3) and target["dense_uv"].shape == (1, 0, 2)
    _, target = CocoDensePose(*write())[0]
    assert target["dense_keypoints"].shape == (0, 0, 3) and target["boxes"].shape == (0, 4)


def test_points_turn_with_a_picture(write):
    """Orientation 3 is upside down: (x, y) of 80 x 60 pixels comes to (80 - x, 60 - y)."""
    folder, annotations = write(POINTS, orientation=3)
    data = CocoDensePose(folder, annotations)
    with pytest.warns(UserWarning):  # width and height cannot tell which way round they are
        _, upright = data[0]
    box = upright["boxes"][0]
    first = upright["dense_keypoints"][0, 0]
    corner = (box[0], box[3]) if box[0] == 10 else (box[2], box[1])
    assert first[:2].tolist() == [float(c) for c in corner]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dp_U": [0.5]}, "as many dp_x as dp_y, dp_I, dp_U and dp_V, got 3, 3, 3, 1 and 3"),
        ({"dp_I": [0, 1, 2]}, "dp_I of annotation 0 must be numbers of 1 to 24"),
        ({"dp_I": [25, 1, 2]}, "dp_I of annotation 0 must be numbers of 1 to 24"),
        ({"dp_V": [1.5, 0, 0]}, "dp_V of annotation 0 must be numbers of 0 to 1"),
        ({"dp_x": [-1, 0, 0]}, "dp_x of annotation 0 must be numbers of 0 to 256"),
        ({"dp_x": ["a", 0, 0]}, "dp_x of annotation 0 must be numbers"),
        ({"dp_y": [float("nan"), 0, 0]}, "dp_y of annotation 0 must be numbers"),
        ({"dp_y": 3}, "dp_y of annotation 0 must be numbers"),
    ],
)
def test_what_is_wrong_is_said(change, sentence, write):
    with pytest.raises(ValueError, match=sentence):
        CocoDensePose(*write({**POINTS, **change}))


SIZES = {"width": 8, "fpn_channels": 16, "head_channels": 32, "surface_channels": 16}


def test_it_trains_and_evaluates(write, tmp_path, capsys):
    folder, annotations = write(POINTS)
    torch.manual_seed(0)
    model = create_model("densepose_rcnn_resnet18_fpn", min_size=64, max_size=96, **SIZES)
    image, target = CocoDensePose(folder, annotations, masks=True)[0]
    losses = model.loss(model([image]), [target])
    assert all(loss.isfinite() for loss in losses.values()) and "loss_densepose_U" in losses
    save_model(tmp_path / "m.safetensors", model)
    weights = ["--weights", str(tmp_path / "m.safetensors")]
    assert main(["evaluate", *weights, "--coco", str(folder), str(annotations)]) == 0
    assert "box_AP" in capsys.readouterr().out
