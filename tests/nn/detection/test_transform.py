"""Sizes, padding and errors of the detectors' input."""

import pytest
import torch

from fastcv.nn.detection.transform import DetectionTransform, resize_boxes


@pytest.mark.parametrize(
    ("size", "want"),
    [
        ((600, 1000), (799, 1333)),  # the longer side decides
        ((480, 640), (800, 1066)),
        ((50, 50), (800, 800)),
        ((3, 4000), (1, 1333)),  # never empty, however thin
    ],
)
def test_sizes(size, want):
    batch = DetectionTransform()([torch.rand(3, 1, 1).expand(3, *size)])
    assert batch.sizes == [want] and batch.original_sizes == [size]
    assert all(
        0 <= padded - side < 32 and padded % 32 == 0
        for padded, side in zip(batch.tensors.shape[2:], want, strict=True)
    )


def test_one_size_for_all():
    transform = DetectionTransform(fixed_size=(30, 50), size_divisible=1)
    images = [torch.rand(3, 60, 40), torch.rand(3, 30, 50)]
    batch = transform(images)
    assert batch.tensors.shape == (2, 3, 30, 50) and batch.sizes == [(30, 50)] * 2
    assert batch.original_sizes == [(60, 40), (30, 50)]
    torch.testing.assert_close(batch.tensors[1], (images[1] - transform.mean) / transform.std)


def test_normalised_at_the_top_left_and_zero_beyond():
    transform = DetectionTransform(40, 60, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    images = [torch.rand(3, 40, 50), torch.rand(3, 60, 40)]  # no resizing needed
    tensors, sizes, _ = transform(images)
    assert tensors.shape == (2, 3, 64, 64) and sizes == [(40, 50), (60, 40)]
    mean, std = torch.tensor([[0.1, 0.2, 0.3], [0.5, 1.0, 2.0]])[..., None, None]
    for room, image, (h, w) in zip(tensors, images, sizes, strict=True):
        torch.testing.assert_close(room[:, :h, :w], (image - mean) / std)
        assert room[:, h:].abs().sum() == 0 and room[:, :, w:].abs().sum() == 0


def test_a_batch_is_as_good_as_a_list():
    transform, images = DetectionTransform(40, 60), torch.rand(2, 3, 30, 44)
    assert torch.equal(transform(images).tensors, transform(list(images)).tensors)


def test_boxes_go_and_come_back():
    boxes = torch.tensor([[10.0, 5.0, 50.0, 40.0]])
    there = resize_boxes(boxes, (50, 100), (100, 150))
    assert there.tolist() == [[15.0, 10.0, 75.0, 80.0]]
    torch.testing.assert_close(resize_boxes(there, (100, 150), (50, 100)), boxes)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([], ValueError, "at least one image"),
        (
            [torch.rand(3, 4, 4), torch.rand(1, 4, 4)],
            ValueError,
            r"images\[1\] must be \[3, H, W\]",
        ),
        ([torch.rand(4, 4, 3)], ValueError, r"got \[4, 4, 3\]"),
        ([torch.rand(3, 0, 4)], ValueError, r"got \[3, 0, 4\]"),
        ([torch.zeros(3, 4, 4, dtype=torch.uint8)], TypeError, "divide uint8 by 255"),
        (["a.jpg"], TypeError, r"images\[0\] must be a tensor \[3, H, W\], got str: predict"),
    ],
)
def test_errors(images, error, message):
    with pytest.raises(error, match=message):
        DetectionTransform()(images)
