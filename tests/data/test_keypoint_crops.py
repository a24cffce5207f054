"""KeypointCrops: where keypoints are in crops, by the pixels that they were in."""

import pytest
import torch

from fastcv.data import DrawnDigits, KeypointCrops


def page():
    """A picture with a bright spot at each keypoint."""
    image = torch.zeros(3, 60, 80)
    image[:, 20:22, 30:32] = image[:, 30:32, 50:52] = 1
    keypoints = [[31.0, 21, 2], [51, 31, 1], [0, 0, 0]]
    target = {
        "boxes": torch.tensor([[26.0, 16, 56, 36], [60, 40, 70, 50]]),
        "keypoints": torch.tensor([keypoints, [[0.0, 0, 0]] * 3]),
    }
    return image, target


@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_keypoints_are_where_they_were(jitter):
    data = KeypointCrops([page()], 64, copies=5, jitter=jitter)
    assert len(data) == 5  # the second object has no keypoint
    for crop, (label, keypoints) in (data[i] for i in range(5)):
        assert crop.shape == (3, 64, 64) and crop.min() >= 0 and crop.max() <= 1
        assert label == 1 and label.dtype == torch.int64
        assert keypoints[:, 2].tolist() == [2, 1, 0]
        for x, y, _ in keypoints[:2].tolist():
            # The spot's middle, by the light around it.
            column, row = int(x), int(y)
            light = crop[0, row - 4 : row + 5, column - 4 : column + 5]
            places = torch.arange(9) + 0.5
            middle = (light.sum(0) @ places / light.sum(), light.sum(1) @ places / light.sum())
            assert column - 4 + middle[0] == pytest.approx(x, abs=0.2)
            assert row - 4 + middle[1] == pytest.approx(y, abs=0.2)


def test_jitter():
    plain = KeypointCrops([page()], 64, copies=3)
    moved = KeypointCrops([page()], 64, copies=3, jitter=0.1)
    again = KeypointCrops([page()], 64, copies=3, jitter=0.1)
    other = KeypointCrops([page()], 64, copies=3, jitter=0.1, seed=1)
    assert torch.equal(plain[0][0], plain[2][0])
    assert not torch.equal(moved[0][0], moved[2][0])
    assert torch.equal(moved[2][0], again[2][0])
    assert not torch.equal(moved[2][0], other[2][0])


def test_what_is_outside_of_the_crop_is_not_there():
    image, target = page()
    target["keypoints"][0, 0] = torch.tensor([2.0, 2, 2])
    ((_, (_, keypoints)),) = [KeypointCrops([(image, target)], 64)[0]]
    assert keypoints[:, 2].tolist() == [0, 1, 0]


def test_digits():
    scenes = DrawnDigits("val", size=(96, 96), length=3)
    crops = KeypointCrops(scenes, 32)
    assert len(crops) == sum(len(target["boxes"]) for _, target in (scenes[i] for i in range(3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"size": 8, "copies": 0}, "copies must be at least 1, got 0"),
        ({"size": 8, "jitter": -0.1}, "jitter must be at least 0, got -0.1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        KeypointCrops([page()], **options)


def test_targets_without_keypoints():
    with pytest.raises(ValueError, match="the targets must have keypoints, they have boxes"):
        KeypointCrops([(torch.rand(3, 8, 8), {"boxes": torch.zeros(0, 4)})], 8)
