"""Flows as colours."""

import pytest
import torch

from fastcv.draw import flow_picture


def pixel(x, y, **options):
    return flow_picture(torch.tensor([x, y]).view(2, 1, 1), **options).getpixel((0, 0))


def test_the_hue_is_the_direction():
    assert pixel(1.0, 0.0) == (255, 0, 0)
    assert pixel(-1.0, 0.0) == (0, 255, 255)
    down, up = pixel(0.0, 1.0), pixel(0.0, -1.0)
    assert down == (128, 255, 0) and up == (128, 0, 255)


def test_the_strength_is_the_length():
    assert pixel(0.0, 0.0) == (255, 255, 255)
    assert pixel(2.0, 0.0, max_length=4.0) == (255, 128, 128)
    assert pixel(20.0, 0.0, max_length=4.0) == (255, 0, 0)


def test_one_flow_whatever_its_size():
    flow = torch.randn(2, 5, 7)
    picture = flow_picture(flow)
    assert picture.size == (7, 5)
    assert flow_picture(3 * flow).tobytes() == picture.tobytes()


def test_what_is_not_finite_is_black():
    flow = torch.ones(2, 1, 3)
    flow[0, 0, 0], flow[1, 0, 1] = float("nan"), float("inf")
    picture = flow_picture(flow)
    assert [picture.getpixel((x, 0)) == (0, 0, 0) for x in range(3)] == [True, True, False]


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"flow must be \[2, H, W\], got \[3, 4, 5\]"):
        flow_picture(torch.zeros(3, 4, 5))
    with pytest.raises(ValueError, match="max_length must be above 0, got 0"):
        flow_picture(torch.zeros(2, 4, 5), max_length=0)
