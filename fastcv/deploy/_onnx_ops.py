"""fastcv's ops in terms of ONNX's: what each becomes when a model is exported.

Imported only then, for it needs onnxscript. The functions have the arguments of the ops' schemas.
"""
# mypy: ignore-errors
# What onnxscript reads is no Python to a type checker, and it takes annotations of arguments for
# those of attributes.

from typing import Any

import torch
from onnxscript import FLOAT, opset19, script
from onnxscript import opset18 as op

import fastcv.ops  # noqa: F401  # which registers them


def roi_align(input, rois, spatial_scale, height, width, sampling_ratio, aligned):
    image = op.Cast(op.Squeeze(op.Slice(rois, [0], [1], [1]), [1]), to=7)  # int64
    return op.RoiAlign(
        input,
        op.Slice(rois, [1], [5], [1]),
        image,
        output_height=height,
        output_width=width,
        sampling_ratio=max(sampling_ratio, 0),
        spatial_scale=spatial_scale,
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
    )


def batched_nms(boxes, scores, idxs, iou_threshold):
    # ONNX suppresses within each class of a [classes, boxes] table of scores: a box scores in
    # the row of its own group, and below the threshold in all others. No offsets, no rounding.
    groups = op.Range(0, op.Add(op.ReduceMax(idxs, keepdims=0), 1), 1)
    in_group = op.Equal(op.Unsqueeze(groups, [1]), op.Unsqueeze(idxs, [0]))
    table = op.Where(in_group, op.Unsqueeze(scores, [0]), -1.0)
    count = op.Shape(scores)
    chosen = op.NonMaxSuppression(
        op.Unsqueeze(boxes, [0]), op.Unsqueeze(table, [0]), count, iou_threshold, 0.0
    )
    index = op.Squeeze(op.Slice(chosen, [2], [3], [1]), [1])
    _, order = op.TopK(op.Gather(scores, index), op.Shape(index))
    return op.Gather(index, order)


def batched_soft_nms(boxes, scores, idxs, method, iou_threshold, sigma, score_threshold):
    if method != "gaussian":
        raise NotImplementedError("soft NMS is exported with gaussian weights alone")
    kept = _gaussian_soft_nms(boxes, scores, idxs, sigma, score_threshold)
    # Scores at selection never rise: sorting them gives the order of selection.
    found = op.Squeeze(op.NonZero(op.GreaterOrEqual(kept, 0.0)), [0])
    top, order = op.TopK(op.Gather(kept, found), op.Shape(found))
    return op.Gather(found, order), top


@script(default_opset=op)
def _gaussian_soft_nms(boxes, scores, idxs, sigma, score_threshold) -> FLOAT[None]:
    # The scores that boxes are selected with, -1 where they are not. Each turn selects the highest
    # that is left, and lowers those of the boxes that it overlaps.
    out = op.Constant(value_float=-1.0)
    count = op.Size(scores)
    index = op.Range(0, count, 1)
    x1, y1, x2, y2 = op.Split(boxes, num_outputs=4, axis=1)
    x1 = op.Squeeze(x1, [1])
    y1 = op.Squeeze(y1, [1])
    x2 = op.Squeeze(x2, [1])
    y2 = op.Squeeze(y2, [1])
    area = (x2 - x1) * (y2 - y1)
    left = op.Where(scores >= score_threshold, scores, out)
    kept = op.Expand(out, op.Shape(scores))
    for _ in range(count):
        best = op.ArgMax(left, axis=0, keepdims=1)
        selected = op.Equal(index, best)
        kept = op.Where(op.And(selected, left >= 0.0), left, kept)
        width = op.Min(x2, op.Gather(x2, best)) - op.Max(x1, op.Gather(x1, best))
        height = op.Min(y2, op.Gather(y2, best)) - op.Max(y1, op.Gather(y1, best))
        common = op.Relu(width) * op.Relu(height)
        iou = common / (area + op.Gather(area, best) - common)
        overlaps = op.And(common > 0.0, op.Equal(idxs, op.Gather(idxs, best)))
        lowered = op.Where(overlaps, left * op.Exp(-(iou * iou) / sigma), left)
        in_play = op.And(lowered >= score_threshold, op.Not(selected))
        left = op.Where(in_play, lowered, out)
    return kept


def deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask):
    return opset19.DeformConv(
        input,
        weight,
        offset,
        bias,
        mask,
        strides=stride,
        pads=[*padding, *padding],
        dilations=dilation,
        group=input.shape[1] // weight.shape[1],
        offset_group=offset.shape[1] // (2 * weight.shape[2] * weight.shape[3]),
    )


def conv_transpose2d(
    input,
    weight,
    bias=None,
    stride=(1, 1),
    padding=(0, 0),
    output_padding=(0, 0),
    groups=1,
    dilation=(1, 1),
):
    return op.ConvTranspose(
        input,
        weight,
        bias,
        strides=stride,
        pads=[*padding, *padding],
        output_padding=output_padding,
        group=groups,
        dilations=dilation,
    )


def flow_warp(input, flow, padding, align_corners):
    # From pixels to ONNX's grid, where -1 and 1 are the input's edges.
    height, width = input.shape[2:]
    size, out = (width, height), (flow.shape[3], flow.shape[2])
    axes = []
    for i in range(2):
        steps = torch.arange(out[i], dtype=torch.float64)
        if size[i] == out[i]:
            base = steps
        elif align_corners:
            base = steps * (size[i] - 1) / max(out[i] - 1, 1)
        else:
            base = (steps + 0.5) * size[i] / out[i] - 0.5
        place = op.Constant(value_floats=((2 * base + 1) / size[i] - 1).tolist())
        place = op.Reshape(place, [1, -1] if i == 0 else [-1, 1])
        moved = op.Mul(op.Gather(flow, i, axis=1), 2.0 / size[i])
        axes.append(op.Unsqueeze(op.Add(moved, place), [-1]))
    grid = op.Concat(*axes, axis=-1)
    return op.GridSample(input, grid, mode="bilinear", padding_mode=padding, align_corners=0)


def correlation(a, b, radius):
    # ONNX has no cost volume: a product and a mean for each displacement.
    height, width = a.shape[2:]
    padded = op.Pad(b, [0, 0, radius, radius, 0, 0, radius, radius])
    costs = []
    for y in range(2 * radius + 1):
        for x in range(2 * radius + 1):
            moved = op.Slice(padded, [y, x], [y + height, x + width], [2, 3])
            costs.append(op.ReduceMean(op.Mul(a, moved), [1]))
    return op.Concat(*costs, axis=1)


def corner_pool(input, direction):
    # ONNX has no running maximum: the maximum of 2 cells, then of 4, of 8, until it is of all.
    axis = 2 if direction in ("top", "bottom") else 3
    length = input.shape[axis]
    reach = 1
    while reach < length:
        rest = length - reach
        larger = op.Max(
            op.Slice(input, [0], [rest], [axis]), op.Slice(input, [reach], [length], [axis])
        )
        if direction in ("top", "left"):
            input = op.Concat(larger, op.Slice(input, [rest], [length], [axis]), axis=axis)
        else:
            input = op.Concat(op.Slice(input, [0], [reach], [axis]), larger, axis=axis)
        reach *= 2
    return input


TRANSLATIONS: dict[Any, Any] = {
    getattr(torch.ops.fastcv, function.__name__).default: function
    for function in (
        roi_align,
        batched_nms,
        batched_soft_nms,
        deform_conv2d,
        conv_transpose2d,
        flow_warp,
        correlation,
        corner_pool,
    )
}
