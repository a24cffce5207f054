"""Annotations lie on what they are of, whichever way a picture's EXIF turns it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from fastcv.data import CocoDetection, MaskFolder, VocDetection

HEIGHT, WIDTH = 20, 30
BOX = (18, 4, 27, 9)  # x1, y1, x2, y2, in the stored pixels


def stored():
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    return Image.fromarray(pixels)


def turned(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    image = stored()
    image.info["exif"] = tags.tobytes()
    return np.asarray(ImageOps.exif_transpose(image))[:, :, 0] > 0


def told(warnings):
    return [w for w in warnings if w.category is UserWarning]  # not others' DeprecationWarnings


def where(mask):
    y, x = np.nonzero(mask)
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


@pytest.fixture
def coco(tmp_path):
    def make(orientation, box=BOX, size=(WIDTH, HEIGHT), suffix="png"):
        tags = Image.Exif()
        tags[0x0112] = orientation
        stored().save(tmp_path / f"a.{suffix}", exif=tags)
        x1, y1, x2, y2 = box
        entry = {"id": 1, "file_name": f"a.{suffix}"}
        if size:
            entry |= {"width": size[0], "height": size[1]}
        annotation = {
            "image_id": 1,
            "category_id": 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
            "keypoints": [x1, y1, 2, x2, y2, 1, 0, 0, 0],
        }
        category = {"id": 1, "name": "thing", "keypoints": ["a", "b", "c"]}
        content = {"images": [entry], "annotations": [annotation], "categories": [category]}
        (tmp_path / "a.json").write_text(json.dumps(content))
        return CocoDetection(tmp_path, tmp_path / "a.json", masks=True)

    return make


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_coco_of_the_stored_pixels(coco, orientation, suffix, recwarn):
    image, target = coco(orientation, suffix=suffix)[0]
    want = turned(orientation)
    assert image.shape == (3, WIDTH, HEIGHT)
    assert target["boxes"].tolist() == [where(want)]
    assert torch.equal(target["masks"][0], torch.from_numpy(want))
    assert (image[0] > 0.5)[target["masks"][0]].float().mean() > 0.9
    # Two opposite corners stay corners; what is not labelled stays at 0.
    x1, y1, x2, y2 = where(want)
    (first, second, third) = target["keypoints"][0].tolist()
    assert {first[0], second[0]} == {x1, x2} and {first[1], second[1]} == {y1, y2}
    assert [first[2], second[2]] == [2, 1] and third == [0, 0, 0]
    assert not told(recwarn)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_coco_of_the_turned_picture(coco, orientation, recwarn):
    box = tuple(int(side) for side in where(turned(orientation)))
    _, target = coco(orientation, box, (HEIGHT, WIDTH))[0]
    assert target["boxes"].tolist() == [list(box)]
    assert not told(recwarn)


@pytest.mark.parametrize(
    ("orientation", "size"), [(2, (WIDTH, HEIGHT)), (3, (WIDTH, HEIGHT)), (4, None), (6, None)]
)
def test_a_frame_that_no_size_tells_is_told_once(coco, orientation, size):
    data = coco(orientation, size=size)
    with pytest.warns(UserWarning, match=rf"a.png is turned by its EXIF orientation {orientation}"):
        data[0]
    data[0]


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (2 * WIDTH, 2 * HEIGHT), (WIDTH, HEIGHT + 1)])
def test_another_size_is_told(coco, size):
    with pytest.warns(UserWarning, match=rf"a.png is 20 x 30, .* of {size[1]} x {size[0]}"):
        assert len(coco(1, size=size)[0][1]["boxes"]) == 1


@pytest.mark.parametrize("size", [(0, 0), ("30", "20"), (None, None), (float("nan"), 20)])
def test_a_size_that_is_none(coco, size, recwarn):
    assert coco(1, size=size)[0][1]["boxes"].tolist() == [list(BOX)]
    assert not told(recwarn)


@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_voc(tmp_path, orientation, recwarn):
    for folder in ("JPEGImages", "Annotations"):
        (tmp_path / folder).mkdir()
    tags = Image.Exif()
    tags[0x0112] = orientation
    stored().save(tmp_path / "JPEGImages/a.png", exif=tags)
    sides = zip(("xmin", "ymin", "xmax", "ymax"), (BOX[0] + 1, BOX[1] + 1, *BOX[2:]), strict=True)
    box = "".join(f"<{name}>{value}</{name}>" for name, value in sides)
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
    (tmp_path / "Annotations/a.xml").write_text(
        f"<a>{size}<object><name>dog</name><bndbox>{box}</bndbox></object></a>"
    )
    (tmp_path / "set.txt").write_text("a")
    _, target = VocDetection(tmp_path, tmp_path / "set.txt")[0]
    assert target["boxes"].tolist() == [where(turned(orientation))]
    assert not told(recwarn)


@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_label_maps(tmp_path, orientation, recwarn):
    (tmp_path / "m").mkdir()
    tags = Image.Exif()
    tags[0x0112] = orientation
    stored().save(tmp_path / "a.png", exif=tags)
    labels = np.asarray(stored())[:, :, 0] // 255
    Image.fromarray(labels).save(tmp_path / "m/a.png")
    image, found = MaskFolder(tmp_path, tmp_path / "m")[0]
    assert torch.equal(found, torch.from_numpy(turned(orientation)).long())
    assert torch.equal(image[0], found.float())
    assert not told(recwarn)
