"""Places on a surface: what is on top, what is picked, textures, files."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.results import DenseCorrespondence
from fastcv.results.dense_correspondence import window_of

NAN, INF = float("nan"), float("inf")


def surface(chart, u, v, height, width):
    return torch.tensor([chart, u, v])[:, None, None].repeat(1, height, width)


def make(**changes):
    """Two boxes that overlap in rows 2 and 3 of columns 4 and 5, the second surer."""
    first, second = surface(1.0, 0.25, 0.5, 3, 5), surface(2.0, 1.0, 0.0, 3, 4)
    second[:, 0, 0] = 0  # its first pixel is not on it: row 2, column 4
    return DenseCorrespondence(
        torch.tensor([[1.0, 1, 6, 4], [4, 2, 8, 5]]),
        torch.tensor([0.6, 0.9]),
        torch.tensor([1, 1]),
        ("background", "person"),
        (6, 9),
        **{"surfaces": (first, second), "charts": 2, **changes},
    )


CHARTS = torch.tensor(
    [
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 0, 0, 0],
        [0, 1, 1, 1, 1, 2, 2, 2, 0],
        [0, 1, 1, 1, 2, 2, 2, 2, 0],
        [0, 0, 0, 0, 2, 2, 2, 2, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
)


def test_the_surest_is_on_top():
    found = make()
    iuv = found.iuv()
    assert torch.equal(iuv[0], CHARTS.float())
    u, v = torch.tensor([0, 0.25, 1.0])[CHARTS], torch.tensor([0, 0.5, 0.0])[CHARTS]
    assert torch.equal(iuv[1], u) and torch.equal(iuv[2], v)
    assert found.iuv(0)[0].sum() == 15 and found.iuv(1)[0].sum() == 22
    assert torch.equal(found.iuv(-1), found.iuv(1))
    with pytest.raises(IndexError, match="index 2 is out of range for 2 boxes"):
        found.iuv(2)


@pytest.mark.parametrize("index", [1, -1, [1], torch.tensor([False, True]), slice(1, None)])
def test_what_is_picked(index):
    part = make()[index]
    assert isinstance(part, DenseCorrespondence) and part.charts == 2
    assert len(part.surfaces) == 1 and torch.equal(part.surfaces[0], make().surfaces[1])


def test_nothing_found():
    found = make()[:0]
    assert (
        found.surfaces == ()
        and not found.iuv().any()
        and found.at(torch.rand(3, 2)).shape
        == (
            0,
            3,
            3,
        )
    )
    assert found.to("cpu").to_dict()["detections"] == []
    picture = np.full((6, 9, 3), 90, np.uint8)
    assert (np.asarray(found.texture(np.zeros((2, 2, 3), np.uint8), picture)) == 90).all()


def test_at_points():
    points = torch.tensor([[4.5, 2.5], [5.9, 3.9], [6.0, 3.9], [0.0, 0.0], [-3.0, 99.0]])
    at = make().at(points)
    assert at[:, :, 0].tolist() == [[1, 1, 0, 0, 0], [0, 2, 2, 0, 0]]
    assert at[1, 1].tolist() == [2.0, 1.0, 0.0]


# Textures.


def test_texture_by_hand():
    """2 x 3 colours on chart 2, one on chart 1: corners are corners, between them bilinear."""
    atlas = torch.zeros(2, 3, 2, 3)
    atlas[0, 1] = 1.0
    atlas[1, 0] = torch.tensor([[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]])
    ramp = torch.zeros(3, 3, 4)
    ramp[0] = 2
    ramp[1] = torch.tensor([0.0, 0.5, 0.75, 1.0])
    ramp[2] = torch.tensor([0.0, 0.5, 1.0])[:, None]
    found = make(surfaces=(make().surfaces[0], ramp))
    picture = np.asarray(found.texture(atlas, np.full((6, 9, 3), 50, np.uint8)))
    assert (picture[0] == 50).all() and (picture[:, 0] == 50).all()
    assert (picture[1, 1:6] == [0, 255, 0]).all()
    columns, rows = [0.0, 0.2, 0.3, 0.4], [0.0, 0.3, 0.6]
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            red = round(255 * (x + y))
            assert picture[2 + i, 4 + j].tolist() == pytest.approx([red, 0, 0], abs=1)


@pytest.mark.parametrize("kind", ["path", "array", "PIL", "uint8 tensor", "floating tensor"])
def test_one_picture_for_all_charts(kind, tmp_path):
    pixels = np.full((5, 7, 3), (200, 100, 50), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    atlas = {
        "path": tmp_path / "a.png",
        "array": pixels,
        "PIL": Image.fromarray(pixels),
        "uint8 tensor": tensor,
        "floating tensor": tensor / 255,
    }[kind]
    picture = np.asarray(make().texture(atlas, np.zeros((6, 9, 3), np.uint8)))
    assert (picture[CHARTS > 0] == [200, 100, 50]).all() and not picture[CHARTS == 0].any()


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (3, 3, 4, 4), (2, 4, 4, 4), (2, 3, 0, 4)])
def test_atlases_that_do_not_fit(shape):
    with pytest.raises(ValueError, match=r"atlas must be \[2, 3, h, w\], a texture for each chart"):
        make().texture(torch.rand(shape), np.zeros((6, 9, 3), np.uint8))


def test_a_picture_of_another_size():
    for call in (make().draw, lambda image: make().texture(np.zeros((2, 2, 3), np.uint8), image)):
        with pytest.raises(ValueError, match="image must be 6x9, the size these boxes belong to"):
            call(np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="image is needed: this result does not come from a file"):
        make().texture(np.zeros((2, 2, 3), np.uint8))


# Drawing and files.


def test_drawing_shows_the_charts():
    grey = np.full((60, 90, 3), 128, np.uint8)
    big = DenseCorrespondence(
        torch.tensor([[10.0, 10, 80, 50]]),
        torch.tensor([0.9]),
        torch.tensor([1]),
        ("background", "person"),
        (60, 90),
        surfaces=(surface(1.0, 0.3, 0.3, 40, 70),),
        charts=1,
    )
    pixels = np.asarray(big.draw(grey)).astype(int)
    scale = pixels.shape[0] // 60
    inside = pixels[30 * scale, 60 * scale]
    assert abs(inside - 128).max() > 20  # in the chart's colour
    assert (pixels[3 * scale, 85 * scale] == 128).all()


def test_iuv_as_a_picture(tmp_path):
    make().save_iuv(tmp_path / "iuv.png")
    pixels = np.asarray(Image.open(tmp_path / "iuv.png"))
    assert (pixels[..., 0] == CHARTS.numpy()).all()
    assert pixels[1, 1].tolist() == [1, 64, 128] and pixels[4, 7].tolist() == [2, 255, 0]
    with pytest.raises(ValueError, match=r"path must end in .png, which keeps numbers exactly"):
        make().save_iuv(tmp_path / "iuv.jpg")
    with pytest.raises(ValueError, match="charts must be 255 or fewer for a picture, got 256"):
        make(charts=256).save_iuv(tmp_path / "iuv.png")


def test_to_dict(tmp_path):
    found = make(fields={"age": torch.tensor([3.0, 4.0])})
    found.save(tmp_path / "a.json")
    rows = json.loads((tmp_path / "a.json").read_text())["detections"]
    assert [row["pixels"] for row in rows] == [{"1": 15}, {"2": 11}]
    assert rows[1]["age"] == 4.0


def test_on_a_device():
    moved = make().to("meta")
    assert moved.boxes.is_meta and all(surface.is_meta for surface in moved.surfaces)
    assert not make().surfaces[0].is_meta


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_numbers_that_are_none(value, tmp_path):
    found = make()
    found.surfaces[0][1:, 0, 0] = value
    picture = np.zeros((6, 9, 3), np.uint8)
    found.draw(picture)
    found.texture(np.zeros((2, 2, 3), np.uint8), picture)
    found.save_iuv(tmp_path / "a.png")
    json.dumps(found.to_dict(), allow_nan=False)


# What it is made of.


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ([1.0, 2.0, 3.0, 4.0], (1, 2, 3, 4)),
        ([1.9, 2.1, 3.1, 3.9], (1, 2, 4, 4)),
        ([-5.0, -5.0, 50.0, 50.0], (0, 0, 9, 6)),
        ([20.0, 20.0, 30.0, 30.0], (9, 6, 9, 6)),
        ([-9.0, -9.0, -1.0, -1.0], (0, 0, 0, 0)),
        ([5.0, 5.0, 2.0, 2.0], (5, 5, 5, 5)),
        ([NAN, 1.0, 3.0, 4.0], (0, 0, 0, 0)),
        ([-INF, -INF, INF, INF], (0, 0, 9, 6)),
    ],
)
def test_window_of(box, window):
    assert window_of(box, (6, 9)) == window


@pytest.mark.parametrize(
    ("surfaces", "sentence"),
    [
        ((torch.zeros(3, 3, 5),), "surfaces must be 2, one for each box, got 1"),
        ((torch.zeros(3, 3, 5), torch.zeros(3, 3, 5)), r"surface 1 must be floating \[3, 3, 4\]"),
        ((torch.zeros(2, 3, 5), torch.zeros(3, 3, 4)), r"surface 0 must be floating \[3, 3, 5\]"),
        ((torch.zeros(3, 3, 5).long(), torch.zeros(3, 3, 4)), "got torch.int64"),
    ],
)
def test_wrong_surfaces(surfaces, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(surfaces=surfaces)
