"""Deletion, insertion and pointing, where their values are known."""

import pytest
import torch
from torch import nn

from fastcv import explain


class Sum(nn.Module):
    """The score is the sum of the image's pixels; no softmax, for it is given as a function."""

    def forward(self, images):
        return images.sum(dim=(1, 2, 3))


def total(output):
    return output


def test_areas_of_a_sum():
    """Pixels 1 to 16: taken away from the largest on, what is left falls fastest."""
    image = torch.arange(1.0, 17).view(1, 1, 4, 4)
    best, worst = image[:, 0], -image[:, 0]
    rows = explain.faithfulness(Sum(), image, {"best": best, "worst": worst}, total, steps=16)
    falling = torch.tensor([float(sum(range(1, n + 1))) for n in range(16, -1, -1)])
    rising = torch.tensor([float(sum(range(n, 17))) for n in range(1, 18)])
    assert rows["best"].deletion == pytest.approx(float(torch.trapezoid(falling)) / 16)
    assert rows["worst"].deletion == pytest.approx(float(torch.trapezoid(rising)) / 16)
    # Blurred, the image has the same sum in reverse order of use: insertion is the other way.
    assert rows["best"].insertion > rows["worst"].insertion
    assert rows["best"].pointing is None


def test_probabilities_and_batches():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.rand(3, 3, 12, 12)
    maps = {"grad_cam": explain.grad_cam(model, images, 2), "random": torch.rand(3, 12, 12)}
    whole = explain.faithfulness(model, images, maps, 2, steps=5)
    small = explain.faithfulness(model, images, maps, 2, steps=5, batch_size=2)
    for name, row in whole.items():
        assert 0 < row.deletion < 1 and 0 < row.insertion < 1
        assert row.deletion == pytest.approx(small[name].deletion, rel=1e-5)
        assert row.insertion == pytest.approx(small[name].insertion, rel=1e-5)


def test_the_pointing_game():
    maps = torch.zeros(3, 8, 10)
    maps[0, 2, 3] = maps[1, 7, 9] = maps[2, 0, 0] = 1
    boxes = [
        torch.tensor([[3.0, 2, 4, 3]]),  # that very pixel
        torch.tensor([[0.0, 0, 2, 2], [5.0, 5, 10, 8]]),  # the second
        torch.tensor([[2.0, 2, 4, 4]]),  # missed by 1.5 pixels
    ]
    model, images = Sum(), torch.rand(3, 1, 8, 10)

    def share(tolerance):
        rows = explain.faithfulness(
            model, images, {"a": maps}, total, boxes=boxes, tolerance=tolerance, steps=1
        )
        return rows["a"].pointing

    assert share(0) == pytest.approx(2 / 3) and share(1.5) == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"steps": 0}, "steps and batch_size must be at least 1"),
        ({"boxes": []}, "boxes must be of 1 images, got 0"),
    ],
)
def test_bad_options(options, why):
    with pytest.raises(ValueError, match=why):
        explain.faithfulness(Sum(), torch.rand(1, 1, 4, 4), {}, total, **options)


def test_maps_of_another_size():
    with pytest.raises(ValueError, match=r"attributions: cam must be \[1, 4, 4\], got \[1, 2, 2\]"):
        explain.faithfulness(Sum(), torch.rand(1, 1, 4, 4), {"cam": torch.rand(1, 2, 2)}, total)


def test_one_pointing_game():
    """Of points and a box each, as of maps: half-open, any of several boxes, and a tolerance."""
    points = torch.tensor([[2.0, 2], [4.0, 3], [1.9, 3], [9.0, 9]])
    box = torch.tensor([2.0, 2, 4, 4])
    assert explain.pointing_game(points, box.expand(4, 4)) == 1 / 4
    assert explain.pointing_game(points, box.expand(4, 4), tolerance=0.5) == 3 / 4
    none = torch.zeros(0, 4)
    several = [none, torch.stack([box, box + 2]), none, torch.stack([box, box + 6])]
    assert explain.pointing_game(points, several) == 1 / 4
    with pytest.raises(ValueError, match="shorter"):
        explain.pointing_game(points, box[None])
