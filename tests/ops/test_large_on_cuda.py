"""More than 2^31 elements: the end of a large result is that of a small one."""

import pytest
import torch

from fastcv import ops

pytestmark = [pytest.mark.cuda, pytest.mark.xdist_group("large")]  # one after the other
MANY = 2**31


@pytest.fixture(autouse=True)
def memory():
    free, _ = torch.cuda.mem_get_info()
    if free < 40e9:
        pytest.skip(f"needs 40 GB of GPU memory, {free / 1e9:.0f} are free")
    yield
    torch.cuda.empty_cache()


def halves(*shape):
    torch.manual_seed(0)
    return torch.empty(shape, dtype=torch.float16, device="cuda").normal_()


def test_sigmoid_focal_loss():
    x = halves(MANY // 64 + 3, 64)
    targets = x > 1
    tail = slice(-1000, None)
    want = ops.sigmoid_focal_loss(x[tail].clone(), targets[tail].clone())
    assert torch.equal(ops.sigmoid_focal_loss(x, targets)[tail], want)


def test_corner_pool():
    x = halves(1, 1, 2**16, 2**15 + 8)
    got = ops.corner_pool(x, "right")[..., -8:, :]
    assert torch.equal(got, ops.corner_pool(x[..., -8:, :].clone(), "right"))


def test_conv_transpose2d():
    x, weight = halves(1, 8, 8192, 8200), halves(8, 8, 2, 2)
    got = ops.conv_transpose2d(x, weight, None, 2)
    assert got.numel() > MANY
    want = ops.conv_transpose2d(x[..., -4:, :].clone(), weight, None, 2)
    torch.testing.assert_close(got[..., -8:, :], want)


def test_deform_conv2d():
    x, weight = halves(1, 64, 5800, 5800), halves(8, 64, 3, 3)
    offset = halves(1, 18, 5800, 5800).clamp_(-4, 4)
    got = ops.deform_conv2d(x, offset, weight, None, 1, 1)
    # The last 4 rows see no further up than 5 more.
    want = ops.deform_conv2d(
        x[..., -16:, :].clone(), offset[..., -16:, :].clone(), weight, None, 1, 1
    )
    torch.testing.assert_close(got[..., -4:, :], want[..., -4:, :])


def test_gram_matrix():
    """Of channels that are all alike: each entry is the mean of squares."""
    x = torch.full((1, 4, 2**15, 2**14 + 1), 0.5, dtype=torch.float16, device="cuda")
    got = ops.gram_matrix(x)
    torch.testing.assert_close(got, torch.full_like(got, 0.25 / 4), rtol=1e-2, atol=0)


def test_nms():
    """Two million boxes, most of them alone."""
    torch.manual_seed(0)
    low = torch.rand(2_000_000, 2, device="cuda") * 1e6
    boxes, scores = torch.cat([low, low + 10], 1), torch.rand(2_000_000, device="cuda")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    keep = ops.nms(boxes, scores, 0.5)
    assert torch.cuda.max_memory_allocated() - before < 2e9
    assert torch.equal(keep.cpu(), ops.nms(boxes.cpu(), scores.cpu(), 0.5))
