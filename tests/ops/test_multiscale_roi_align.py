"""MultiScaleRoIAlign against one roi_align a box, its level from the paper's equation."""

import math

import pytest
import torch

from fastcv.ops import MultiScaleRoIAlign, roi_align

SHAPES = [(320, 480), (256, 512)]


def pyramid(device, levels=4, channels=3):
    g = torch.Generator().manual_seed(0)
    sizes = [(320 >> i, 512 >> i) for i in range(2, 2 + levels)]
    return {
        f"p{i}": torch.randn(2, channels, *s, generator=g).to(device) for i, s in enumerate(sizes)
    }


def some_boxes(n, seed):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=g) * 200
    return torch.cat([corner, corner + (torch.rand(n, 2, generator=g) * 8.5).exp2()], 1)


def test_each_box_from_its_level(device):
    x = pyramid(device)
    boxes = [some_boxes(9, 1).to(device), some_boxes(7, 2).to(device)]
    pool = MultiScaleRoIAlign(["p0", "p1", "p2", "p3"], (2, 3), 2)
    out = pool(x, boxes, SHAPES)
    assert out.shape == (16, 3, 2, 3)
    used = set()
    for k, (image, box) in enumerate([(i, b) for i in range(2) for b in boxes[i]]):
        side = math.sqrt((box[2] - box[0]) * (box[3] - box[1]))
        level = min(max(math.floor(4 + math.log2(side / 224)), 2), 5) - 2
        used.add(level)
        roi = torch.cat([torch.tensor([float(image)], device=device), box])[None]
        want = roi_align(x[f"p{level}"], roi, (2, 3), 0.25 / 2**level, 2)
        torch.testing.assert_close(out[k : k + 1], want, rtol=1e-6, atol=1e-6)
    assert len(used) > 1


def test_one_level_and_other_names(device):
    x = pyramid(device)
    boxes = [some_boxes(3, 1).to(device), some_boxes(0, 2).to(device)]
    out = MultiScaleRoIAlign(["p1"], 2, 2)({"pool": x["p3"], **x}, boxes, SHAPES)
    want = roi_align(x["p1"], boxes, 2, 0.125, 2)
    assert torch.equal(out, want)


def test_nothing(device):
    x = pyramid(device)
    none = [torch.zeros(0, 4, device=device)] * 2
    assert MultiScaleRoIAlign(["p0", "p1"], 7, 2)(x, none, SHAPES).shape == (0, 3, 7, 7)


def test_gradients_reach_every_level_used(device):
    x = {name: level.requires_grad_() for name, level in pyramid(device).items()}
    boxes = [torch.tensor([[0.0, 0, 30, 30], [0, 0, 230, 230]], device=device)] * 2
    MultiScaleRoIAlign(list(x), 2, 2)(x, boxes, SHAPES).sum().backward()
    assert [bool((level.grad != 0).any()) for level in x.values()] == [True, False, True, False]


def test_errors(device):
    x, boxes = pyramid(device), [some_boxes(1, 0).to(device)] * 2
    with pytest.raises(ValueError, match=r"x must have the levels \['p0', 'p9'\], got"):
        MultiScaleRoIAlign(["p0", "p9"], 7, 2)(x, boxes, SHAPES)
    with pytest.raises(ValueError, match="one entry for each image, got 2 and 1"):
        MultiScaleRoIAlign(["p0"], 7, 2)(x, boxes, SHAPES[:1])
    with pytest.raises(ValueError, match="output_size must be an int or"):
        MultiScaleRoIAlign(["p0"], (7, 7, 7), 2)
