"""Pictures of every kind become the RGB that a person sees; what cannot be read gets a sentence."""

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv import images
from fastcv.images import BrokenImageError, find_images, read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
GRAY = PIXELS[:, :, 0]
ALPHA = PIXELS[:, :, 1]


def to_array(image):
    return read_image(image).permute(1, 2, 0).numpy()


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".ppm"])
def test_files(tmp_path, suffix):
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(PIXELS), lossless=True)
    for form in (path, str(path)):
        image = read_image(form)
        assert image.dtype == torch.uint8 and image.is_contiguous()
        np.testing.assert_array_equal(image.permute(1, 2, 0), PIXELS)


def three(gray):
    return np.repeat(gray[:, :, None], 3, axis=2)


def over_white(rgb, alpha):
    a = alpha[:, :, None] / 255
    return rgb * a + 255 * (1 - a)


PALETTE = Image.fromarray(np.arange(35, dtype=np.uint8).reshape(5, 7), "P")
PALETTE.putpalette(list(range(105)))
COLORS = np.arange(105, dtype=np.uint8).reshape(5, 7, 3)
GRAY16 = (GRAY.astype(np.uint16) * 257).astype(np.uint16)
HALF_SEEN = np.dstack([PIXELS, ALPHA])
INK = 255 - PIXELS.astype(int)

MODES = {
    "1": (Image.fromarray(GRAY > 127), three(255 * (GRAY > 127)), "png"),
    "L": (Image.fromarray(GRAY), three(GRAY), "png"),
    "LA": (Image.fromarray(np.dstack([GRAY, ALPHA])), over_white(three(GRAY), ALPHA), "png"),
    "RGBA": (Image.fromarray(HALF_SEEN), over_white(PIXELS, ALPHA), "png"),
    "P": (PALETTE, COLORS, "png"),
    "I;16": (Image.fromarray(GRAY16), three(GRAY), "png"),
    "I;16 tiff": (Image.fromarray(GRAY16), three(GRAY), "tif"),
    "I": (Image.fromarray(GRAY16.astype(np.int32)), three(GRAY), "tif"),
    "CMYK": (
        Image.fromarray(np.dstack([INK, 0 * GRAY]).astype(np.uint8), "CMYK"),
        PIXELS,
        "tif",
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes(tmp_path, mode):
    image, expected, suffix = MODES[mode]
    for form in (image, saved(tmp_path / f"a.{suffix}", image)):
        # 1: alpha is blended in whole numbers
        np.testing.assert_allclose(to_array(form), expected, rtol=0, atol=1)


def test_a_transparent_palette_color(tmp_path):
    path = saved(tmp_path / "a.png", PALETTE, transparency=0)
    expected = COLORS.copy()
    expected[0, 0] = 255
    np.testing.assert_array_equal(to_array(path), expected)


def test_16_bits_are_rounded():
    values = np.array([[0, 128, 129, 385, 65535, 65406]], np.uint16)
    expected = np.round(values / 257)
    np.testing.assert_array_equal(to_array(Image.fromarray(values))[:, :, 1], expected)


@pytest.mark.parametrize(
    "orientation, turn",
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_orientation(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", Image.fromarray(PIXELS), exif=exif)
    np.testing.assert_array_equal(to_array(path), turn(PIXELS))


def test_arrays_and_tensors():
    chw = torch.from_numpy(PIXELS).permute(2, 0, 1)
    for form in (PIXELS, Image.fromarray(PIXELS), chw):
        assert torch.equal(read_image(form), chw)
    for form in (GRAY, GRAY[:, :, None], torch.from_numpy(GRAY)[None]):
        np.testing.assert_array_equal(to_array(form), three(GRAY))
    assert torch.equal(read_image(PIXELS[::-1, ::-1]), chw.flip(1, 2))
    assert torch.equal(read_image(chw.half() / 255), chw.half() / 255)


@pytest.mark.parametrize(
    "image, kind, words",
    [
        (PIXELS / 255, TypeError, "must be uint8, got float64"),
        (PIXELS[None], ValueError, r"must be \[H, W, 3\] or \[H, W\], got \[1, 5, 7, 3\]"),
        (PIXELS[:0], ValueError, r"got \[0, 7, 3\]"),
        (torch.zeros(3, 4, 5, dtype=torch.int64), TypeError, "floating, got torch.int64"),
        (torch.zeros(4, 5, 3), ValueError, r"must be \[3, H, W\], got \[4, 5, 3\]"),
        (torch.zeros(3, 0, 3), ValueError, r"got \[3, 0, 3\]"),
        (None, TypeError, "tensor, got builtins.NoneType"),
        (Image.new("F", (3, 3)), ValueError, "floating-point pixels, whose white is unknown"),
        (Image.new("I", (3, 3), 70000), ValueError, "beyond 16 bits"),
    ],
)
def test_what_is_no_image(image, kind, words):
    with pytest.raises(kind, match=words):
        read_image(image)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".gif", ".webp"])
def test_damaged_files(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = saved(tmp_path / f"whole{suffix}", Image.fromarray(pixels)).read_bytes()
    path = tmp_path / f"half{suffix}"
    for length in (0, 10, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenImageError, match=rf"half\{suffix} (is not|cannot be read as) an"):
            read_image(path)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no image .*a\.png"):
        read_image(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match="is a folder, not an image"):
        read_image(tmp_path)


@pytest.fixture
def folder(tmp_path):
    for name in (
        "b.jpg",
        "a.PNG",
        "c.txt",
        ".hidden.png",
        "sub/d.webp",
        "sub/deep/e.jpg",
        "[x].gif",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(found, folder):
    return [p.relative_to(folder).as_posix() for p in found]


def test_find_images(folder):
    here = ["[x].gif", "a.PNG", "b.jpg"]
    assert names(find_images(folder), folder) == here
    assert names(find_images(str(folder)), folder) == here
    assert names(find_images([folder / "sub", folder]), folder) == ["sub/d.webp", *here]
    assert names(find_images([folder / "b.jpg", folder]), folder) == ["b.jpg", "[x].gif", "a.PNG"]
    assert names(find_images(folder / "**/*.jpg"), folder) == ["b.jpg", "sub/deep/e.jpg"]
    assert names(find_images(f"{folder}/*"), folder) == here
    assert names(find_images(folder / "[x].gif"), folder) == ["[x].gif"]
    assert names(find_images([folder / "c.txt"]), folder) == ["c.txt"]  # asked for by name


@pytest.mark.parametrize(
    "entry, words",
    [
        ("empty", r"the folder .*empty has no images \(\.bmp"),
        ("nowhere", "there is no file or folder .*nowhere"),
        ("*.webp", r"no image fits the pattern .*\*\.webp"),
    ],
)
def test_find_nothing(folder, entry, words):
    with pytest.raises(FileNotFoundError, match=words):
        find_images([folder / "b.jpg", folder / entry])


def test_pictures_beyond_pillows_limit_say_how_to_read_them(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.fromarray(PIXELS))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # 35 is more than twice that
    with pytest.raises(
        BrokenImageError, match=r"a.png is larger .* PIL.Image.MAX_IMAGE_PIXELS = N"
    ):
        read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    np.testing.assert_array_equal(to_array(path), PIXELS)


def test_large_pictures_are_copied_in_bands(monkeypatch):
    monkeypatch.setattr(images, "BAND", 20)  # two rows of seven
    np.testing.assert_array_equal(to_array(Image.fromarray(PIXELS)), PIXELS)


@pytest.mark.parametrize("suffix", images.SUFFIXES)
def test_every_suffix_is_found_read_and_written(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (400, 300), "white").save(path, quality=92)
    assert find_images(tmp_path) == [path] and images.is_image(path)
    assert read_image(path).shape == (3, 300, 400) and read_image(path).min() > 250


def test_links_to_nothing_are_found(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "c.png")
    (tmp_path / "d").symlink_to(tmp_path / "gone")
    (tmp_path / "e.png").mkdir()
    (tmp_path / "f.png").symlink_to(tmp_path / "a.png")
    for form in (tmp_path, tmp_path / "*"):
        assert [path.name for path in find_images(form)] == ["a.png", "b.png", "c.png", "f.png"]
    with pytest.raises(FileNotFoundError, match=r"there is no image .*b.png"):
        read_image(tmp_path / "b.png")
    with pytest.raises(BrokenImageError, match=r"c.png cannot be read"):
        read_image(tmp_path / "c.png")


def test_pictures_that_are_left_out_are_told(tmp_path):
    for name in ("a.png", "b.HEIC", "c.heic", "notes.txt", ".d.heic"):
        (tmp_path / name).touch()
    for form in (tmp_path, tmp_path / "*"):
        with pytest.warns(UserWarning, match=r"2 files are left out, such as b.HEIC"):
            assert [path.name for path in find_images(form)] == ["a.png"]
