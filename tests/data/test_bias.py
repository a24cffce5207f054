"""Mean images and heatmaps from their definitions."""

import pytest
import torch
from PIL import Image

from fastcv.data import DrawnDigits, box_heatmap, mean_images
from fastcv.draw import draw_bias


class Items(list):
    classes = ("sky", "sea", "fog")


def test_mean_images_of_one_size_are_means():
    images = torch.rand(7, 3, 6, 5)
    labels = [0, 1, 0, 1, 1, 0, 0]
    means, counts = mean_images(Items(zip(images, labels, strict=True)), size=(6, 5))
    assert counts.tolist() == [4, 3, 0]
    torch.testing.assert_close(means[0], images[[0, 2, 5, 6]].mean(0))
    torch.testing.assert_close(means[1], images[[1, 3, 4]].mean(0))
    assert not means[2].any()


def test_mean_images_of_other_sizes():
    """A step from black to white stays in the middle, whatever the size."""
    images = []
    for width in (4, 8, 20):
        image = torch.zeros(3, 5, width)
        image[:, :, width // 2 :] = 1
        images.append((image, 2))
    means, _ = mean_images(Items(images), size=(2, 2))
    assert bool((means[2, :, :, 0] < 0.2).all()) and bool((means[2, :, :, 1] > 0.8).all())


def test_heatmap_is_the_mean_of_masks():
    """Boxes on whole pixels, a cell for each pixel: the mean of the boxes as masks."""
    boxes = torch.tensor([[0.0, 1, 3, 4], [2, 0, 8, 2], [1, 1, 2, 8], [0, 0, 8, 8]])
    labels = torch.tensor([1, 2, 1, 1])
    masks = torch.zeros(4, 8, 8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    image = torch.rand(3, 8, 8)
    parts = [{"boxes": boxes[i], "labels": labels[i]} for i in ([0, 1], [2, 3], [])]
    heat, counts = box_heatmap(Items((image, part) for part in parts), cells=8)
    assert counts.tolist() == [0, 3, 1]
    torch.testing.assert_close(heat[1], masks[[0, 2, 3]].mean(0))
    torch.testing.assert_close(heat[2], masks[1])
    coarse, _ = box_heatmap(Items((image, part) for part in parts), cells=2)
    torch.testing.assert_close(coarse[1], torch.nn.functional.avg_pool2d(heat[1:2], 4)[0])


def test_drawn_digits_lie_in_the_middle():
    """A digit must be visible, so its box seldom covers a corner."""
    heat, counts = box_heatmap(DrawnDigits("val", length=40), cells=16)
    all_digits = (heat * counts.view(-1, 1, 1)).sum(0)
    corners = all_digits[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    assert all_digits[6:10, 6:10].mean() > 2 * corners


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (3, 8, 8)])
def test_picture(tmp_path, shape):
    draw_bias(torch.rand(shape), torch.tensor([3, 0, 2]), Items.classes, tmp_path / "bias.png")
    assert len(Image.open(tmp_path / "bias.png").convert("RGB").getcolors(1 << 20)) > 50
    with pytest.raises(ValueError, match="no class has an image or a box"):
        draw_bias(torch.rand(shape), torch.zeros(3), Items.classes, tmp_path / "none.png")
