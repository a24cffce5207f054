"""Ops run on the current stream, and on the device of their arguments."""

import pytest
import torch

from fastcv import ops

pytestmark = pytest.mark.cuda
CYCLES = 100_000_000  # some 50 ms: an op on another stream would read before its input is there


def small_arguments():
    """Of each op."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 32, 16, 16, generator=g)
    low = torch.rand(50, 2, generator=g) * 10
    boxes = torch.cat([low, low + 1 + 5 * torch.rand(50, 2, generator=g)], 1)
    rotated = torch.cat([boxes[:, :2], boxes[:, 2:] / 3, boxes[:, :1] * 6], 1)
    scores, groups = torch.rand(50, generator=g), torch.arange(50) % 3
    rois = torch.cat([torch.arange(50)[:, None] % 2, boxes], 1)
    rotated_rois = torch.cat([torch.arange(50)[:, None] % 2, rotated], 1)
    offset, mask = torch.randn(2, 18, 16, 16, generator=g), torch.rand(2, 9, 16, 16, generator=g)
    return {
        "identity": (x,),
        "nms": (boxes, scores, 0.5),
        "batched_nms": (boxes, scores, groups, 0.5),
        "soft_nms": (boxes, scores),
        "batched_soft_nms": (boxes, scores, groups),
        "fast_nms": (boxes, scores.view(1, 50).repeat(3, 1)),
        "box_iou_rotated": (rotated, rotated),
        "nms_rotated": (rotated, scores, 0.5),
        "batched_nms_rotated": (rotated, scores, groups, 0.5),
        "roi_align": (x, rois, 2),
        "roi_align_rotated": (x, rotated_rois, 2),
        "roi_pool": (x, rois, 2),
        "ps_roi_align": (x, rois, 2),
        "ps_roi_pool": (x, rois, 2),
        "deform_conv2d": (x, offset, torch.randn(8, 32, 3, 3, generator=g), None, 1, 1, 1, mask),
        "conv_transpose2d": (x, torch.randn(32, 8, 2, 2, generator=g), None, 2),
        "atrous_separable_conv2d": (
            x,
            torch.randn(32, 1, 3, 3, generator=g),
            torch.randn(8, 32, 1, 1, generator=g),
        ),
        "sigmoid_focal_loss": (x, (x > 1).to(x.dtype)),
        "softmax_focal_loss": (x[:, :, 0, 0], torch.tensor([3, 5])),
        "gram_matrix": (x,),
        "corner_pool": (x, "top"),
        "flow_warp": (x, x[:, :2]),
        "correlation": (x, x.flip(3), 2),
        "cosine_topk": (torch.randn(3, 8, generator=g), torch.randn(20, 8, generator=g), 3),
        "vq_codes": (torch.randn(20, 8, generator=g), torch.randn(3, 8, generator=g)),
        "mel_spectrogram": (
            torch.randn(2, 90, generator=g),
            torch.hann_window(20),
            torch.rand(3, 11, generator=g),
            5,
        ),
        "panoptic_counts": ((x[:, 0] > 0).int(), (x[:, 1] > 0).int()),
        "paste_masks": (x[:, 0].sigmoid(), boxes[:2], (30, 40)),
        "proto_masks": (x[0], x[:, :, 0, 0], boxes[:2], (30, 40)),
        "hog": (torch.rand(1, 3, 32, 32, generator=g),),
        "dense_crf": (torch.rand(1, 3, 8, 9, generator=g), torch.rand(1, 3, 8, 9, generator=g)),
    }


ARGUMENTS = small_arguments()


def arguments(name, device="cuda"):
    return [a.to(device) if isinstance(a, torch.Tensor) else a for a in ARGUMENTS[name]]


def leaves(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_current_stream(name):
    op, ready = getattr(ops, name), arguments(name)
    want = leaves(op(*ready))
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        late = [torch.zeros_like(a) if isinstance(a, torch.Tensor) else a for a in ready]
        torch.cuda._sleep(CYCLES)
        for there, here in zip(late, ready, strict=True):
            if isinstance(there, torch.Tensor):
                there.copy_(here)
        got = leaves(op(*late))
    stream.synchronize()
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_arguments_device(name):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    op = getattr(ops, name)
    want = leaves(op(*arguments(name, "cuda:0")))
    assert torch.cuda.current_device() == 0
    got = leaves(op(*arguments(name, "cuda:1")))
    for a, b in zip(got, want, strict=True):
        assert a.device.index == 1
        torch.testing.assert_close(a.cpu(), b.cpu())
