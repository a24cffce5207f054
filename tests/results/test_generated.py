"""What a generator made: exact pixels alone, a square sheet of several."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.results import Generated


def pictures(n, size=(5, 7)):
    torch.manual_seed(n)
    return torch.rand(n, 3, *size)


def test_one_picture_is_itself(tmp_path):
    made = Generated(pictures(1), seed=4)
    assert repr(made) == "Generated(1 picture of 5x7, seed 4)" and len(made) == 1
    made.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image)
    expected = (made.pictures[0] * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize(
    ("n", "columns", "rows"), [(2, 2, 1), (3, 2, 2), (4, 2, 2), (5, 3, 2), (9, 3, 3), (10, 4, 3)]
)
def test_several_are_a_square_sheet(n, columns, rows):
    made = Generated(pictures(n))
    sheet = made.draw()
    assert sheet.size == (columns * 9 + 2, rows * 7 + 2)
    last = n - 1
    x, y = 2 + last % columns * 9, 2 + last // columns * 7
    assert sheet.crop((x, y, x + 7, y + 5)).tobytes() == made.images()[last].tobytes()


@pytest.mark.parametrize("form", ["tensor", "floats", "array", "PIL", "file"])
@pytest.mark.parametrize(("size", "n"), [((2, 3), 1), ((5, 7), 1), ((40, 3), 1), ((8, 8), 4)])
def test_an_image_stands_to_the_left(tmp_path, form, size, n):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "given.png")
    given = {
        "tensor": torch.from_numpy(pixels).permute(2, 0, 1),
        "floats": torch.from_numpy(pixels).permute(2, 0, 1) / 255,
        "array": pixels,
        "PIL": Image.fromarray(pixels),
        "file": tmp_path / "given.png",
    }[form]
    made = Generated(pictures(n))
    alone, both = made.draw(), made.draw(given)
    height, width = size
    assert both.size == (width + 2 + alone.width, max(height, alone.height))
    assert np.array_equal(np.asarray(both)[:height, :width], pixels)
    beside = both.crop((width + 2, 0, both.width, alone.height))
    assert beside.tobytes() == alone.tobytes()
    below = np.asarray(both)[:, : width + 2].copy()
    below[:height, :width] = 255
    assert (below == 255).all()  # white between them, and under the lower one
    made.save(tmp_path / "both.png", given)
    with Image.open(tmp_path / "both.png") as saved:
        assert saved.tobytes() == both.tobytes()


def test_odd_values_and_in_half():
    values = torch.tensor([-1.0, float("nan"), 0.5, 1.0, float("inf")])
    values = values.view(1, 1, 1, 5).expand(1, 3, 2, 5)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        (image,) = Generated(values.to(dtype)).images()
        assert np.asarray(image)[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_tells_and_moves(tmp_path):
    made = Generated(pictures(3))
    made.save(tmp_path / "a.json")
    told = json.loads((tmp_path / "a.json").read_text())
    assert told == {"file": None, "seed": None, "pictures": 3, "size": [5, 7]}
    moved = made.to("meta")
    assert moved.pictures.is_meta and moved.image_size == (5, 7)
    assert repr(moved) == "Generated(3 pictures of 5x7)"


def test_bad_input(tmp_path):
    for shape in ((3, 5, 7), (2, 1, 5, 7), (0, 3, 5, 7), (1, 3, 0, 7)):
        with pytest.raises(ValueError, match=r"pictures must be \[N, 3, H, W\], got"):
            Generated(torch.zeros(shape))
    made = Generated(pictures(1))
    with pytest.raises(ValueError, match=r"path must end in \.json or an image's suffix"):
        made.save(tmp_path / "a.txt")


def test_a_row_under_each_sentence(tmp_path):
    made = Generated(pictures(4), texts=("a cat", "a cat", "고양이", "고양이"))
    assert made.to_dict()["texts"] == ["a cat", "a cat", "고양이", "고양이"]
    sheet = made.draw()
    last = made.images()[3]
    x, y = 2 + 7 + 2, sheet.height - 2 - 5
    assert sheet.crop((x, y, x + 7, y + 5)).tobytes() == last.tobytes()
    made.save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="texts must be one for each picture, got 1"):
        Generated(pictures(4), texts=("a cat",))
    with pytest.raises(ValueError, match="font must be a font file"):
        made.draw(font=tmp_path / "a.png")
