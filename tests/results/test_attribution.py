"""Maps on pictures, and grids of pictures: what is drawn is what is in them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.results import Attribution, Gallery
from fastcv.results.attribution import COLD, HEAT, WARM, heat, masked, mid_grey


def two_maps(**fields):
    maps = torch.zeros(2, 32, 48)
    maps[0, 8:16, 20:30], maps[1, 2, 3] = 1.0, 5.0
    pictures = torch.full((2, 3, 32, 48), 0.5)
    return Attribution(
        maps, "grad_cam", ("cat", "dog"), pictures, torch.tensor([3.5, 1.0]), **fields
    )


def test_what_it_says(tmp_path):
    found = two_maps(layer="layer4", source="a.png")
    assert repr(found) == "Attribution(grad_cam of cat, dog at layer4, 2 images, 32x48)"
    assert len(found) == 2 and repr(found[1]) == "Attribution(grad_cam of dog at layer4, 32x48)"
    assert found[-1].peaks() == [(3, 2)] and found[1].scores.tolist() == [1.0]
    with pytest.raises(IndexError, match="index must be below 2"):
        found[2]
    found.save(tmp_path / "maps.json")
    written = json.loads((tmp_path / "maps.json").read_text())
    assert written["maps"][0] == {
        "target": "cat", "score": 3.5, "peak": [20, 8], "box": [20.0, 8.0, 30.0, 16.0]
    }  # fmt: skip
    moved = found.to("meta")
    assert moved.maps.device.type == "meta" and found.maps.device.type == "cpu"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"maps": torch.zeros(32, 48)}, r"maps must be \[B, H, W\]"),
        ({"targets": ("cat",)}, "targets must be 2, one for each map, got 1"),
        ({"pictures": torch.zeros(2, 3, 8, 8)}, r"pictures must be \[2, 3, 32, 48\], as the maps"),
    ],
)
def test_shapes(fields, why):
    good = vars(two_maps())
    names = ("maps", "method", "targets", "pictures")
    with pytest.raises(ValueError, match=why):
        Attribution(**{name: good[name] for name in names} | fields)


def test_heat():
    picture = np.full((2, 3, 3), 100, np.uint8)
    nothing = heat(picture, torch.zeros(2, 3))
    assert (nothing == 100).all()
    values = torch.tensor([[0.0, 0.5, 1.0], [0, 0, 0]])
    drawn = heat(picture, values)
    assert (drawn[0, 2] == np.round(0.25 * 100 + 0.75 * np.array(HEAT[-1]))).all()
    assert (drawn[1] == 100).all()
    assert np.array_equal(drawn, heat(picture, 7 * values))  # the scale does not matter
    signed = heat(picture, torch.tensor([[-1.0, 0.5, 1.0], [0, 0, 0]]))
    assert (signed[0, 0] == np.round(0.25 * 100 + 0.75 * np.array(COLD))).all()
    assert (signed[0, 2] == np.round(0.25 * 100 + 0.75 * np.array(WARM))).all()
    assert (heat(picture, torch.full((2, 3), float("nan"))) == 100).all()


def test_masks_and_pixels():
    picture = np.full((1, 3, 3), 200, np.uint8)
    drawn = masked(picture, torch.tensor([[0.4, 0.6, 1.0]]), 0.5)
    assert drawn[0, :, 0].tolist() == [30, 200, 200]
    grey = mid_grey(torch.tensor([[[-1.0, 0.0, 1.0]]]))
    assert grey[0, :, 0].tolist() == [0, 128, 255] and grey.shape == (1, 3, 3)
    assert (mid_grey(torch.zeros(3, 2, 2)) == 128).all()


def test_drawing(tmp_path):
    found = two_maps(values=torch.randn(2, 3, 32, 48))
    for how in ("heat", "mask", "pixels"):
        sheet = found.draw(how=how)
        assert sheet.width == 2 * 7 * 48 + 3 * 8  # tiny ones are enlarged to 320 and more
    assert found[0].draw(names=False).size == (7 * 48, 7 * 32)
    other = found.draw([torch.rand(3, 32, 48)] * 2)
    assert np.asarray(other).shape == np.asarray(found.draw()).shape
    plain, boxed = found[0].draw(names=False), found[0].draw(names=False, boxes=True)
    changed = (np.asarray(plain) != np.asarray(boxed)).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert abs(columns.min() - 7 * 20) < 7 and abs(rows.max() - 7 * 16) < 7
    found.save(tmp_path / "maps.png")
    assert Image.open(tmp_path / "maps.png").size == found.draw().size


@pytest.mark.parametrize(
    ("arguments", "options", "why"),
    [
        ([torch.rand(3, 32, 48)], {}, "image must be 2 pictures, got 1"),
        ([torch.rand(2, 3, 8, 8)], {}, "image must be 32x48, the size of the maps, got 8x8"),
        ([], {"how": "oil"}, "how must be heat, mask or pixels, got 'oil'"),
        ([], {"how": "pixels"}, "grad_cam has no values of each pixel"),
    ],
)
def test_what_cannot_be_drawn(arguments, options, why):
    with pytest.raises(ValueError, match=why):
        two_maps().draw(*arguments, **options)


def test_gallery(tmp_path):
    pictures = [Image.new("RGB", (320, 200), "red"), Image.new("L", (4, 4), 255)]
    gallery = Gallery(pictures, ["one", ""], columns=1, title="two")
    assert repr(gallery) == "Gallery(two, 2 pictures)" and len(gallery) == 2
    drawn = np.asarray(gallery.draw())
    assert (drawn[100, 160] == (255, 0, 0)).all()
    assert (drawn[8 + 224 + 8 + 100, 8 + 160] == 255).all()  # the small one, in the middle
    gallery.save(tmp_path / "sheet.png")
    gallery.save(tmp_path / "sheet.json")
    assert json.loads((tmp_path / "sheet.json").read_text())["captions"] == ["one", ""]
    bare = Gallery(pictures[:1], [""])
    assert bare.draw().size == (336, 216)
    for arguments, why in (
        (([], []), "at least one, got none"),
        ((pictures, ["a"]), "captions must be 2, one for each picture, got 1"),
        ((pictures, ["a", "b"], 0), "columns must be at least 1"),
    ):
        with pytest.raises(ValueError, match=why):
            Gallery(*arguments)
    with pytest.raises(ValueError, match="image must be None"):
        gallery.draw(pictures[0])
