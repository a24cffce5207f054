"""A folder for each class."""

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from fastcv.data import ImageFolder


@pytest.fixture
def root(tmp_path):
    for name, colour in (("b/2.png", "red"), ("b/deep/1.JPG", "white"), ("a/x.webp", "black")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4), colour).save(path)
    (tmp_path / "a/notes.txt").write_text("no image")
    (tmp_path / "a/.hidden.png").write_bytes(b"")
    (tmp_path / ".git").mkdir()
    (tmp_path / "list.csv").write_text("")
    return tmp_path


def test_classes_and_items(root):
    dataset = ImageFolder(root)
    assert dataset.classes == ("a", "b")
    assert [(path.name, label) for path, label in dataset.samples] == [
        ("x.webp", 0),
        ("2.png", 1),
        ("1.JPG", 1),
    ]
    assert torch.equal(dataset[0][0], torch.zeros(3, 4, 5))
    image, label = dataset[1]
    assert label == 1 and image[:, 0, 0].tolist() == [1, 0, 0] and image.dtype == torch.float32


def test_transform_and_loader(root):
    dataset = ImageFolder(root, transform=lambda image: image[:, :2, :3] + 1)
    ((images, labels),) = DataLoader(dataset, batch_size=3)
    assert images.shape == (3, 3, 2, 3) and images.min() == 1
    assert labels.tolist() == [0, 1, 1]


def test_errors(root, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none"):
        ImageFolder(root / "none")
    with pytest.raises(FileNotFoundError, match="must have a sub-folder of images for each class"):
        ImageFolder(root / "a")
    (root / "a/x.webp").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"x\.webp is not an image"):
        ImageFolder(root)[0]
    (root / "c").mkdir()
    with pytest.raises(ValueError, match=r"the class folder .*c has no images \(\.bmp"):
        ImageFolder(root)


def test_links_to_nothing(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(FileNotFoundError, match=r"no image .*a.png: it is a link to nothing"):
        ImageFolder(tmp_path)
