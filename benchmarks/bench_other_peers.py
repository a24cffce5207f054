"""nms, roi_align and deform_conv2d against what else a CPU has: OpenVINO, ONNX Runtime, lsnms.

Those that are not installed are left out, with a line that says so. Every peer is checked first: it
must keep the same boxes, give the same values.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from made_boxes import rpn_like, spread

import fastcv.ops as ops

SCALE, BINS, SAMPLES, IOU = 0.25, 7, 2, 0.7


def installed(*peers: tuple[str, tuple[str, ...]]) -> list[str]:
    found = [name for name, needs in peers if all(find_spec(n) for n in needs)]
    for name, _ in peers:
        if name not in found:
            warnings.warn(
                f"{name} is left out, not installed: pip install 'fastcv[bench]'", stacklevel=2
            )
    return found


ONNX = ("ONNX Runtime", ("onnxruntime", "onnx"))
OPENVINO = ("OpenVINO", ("openvino",))
NMS_PEERS = installed(OPENVINO, ONNX, ("lsnms", ("lsnms",)))
ROI_ALIGN_PEERS = installed(OPENVINO, ONNX)


def onnx_session(op, inputs, outputs, threads, **attributes):
    """An ONNX Runtime session of one operator; inputs are (name, ONNX type, shape)."""
    import onnxruntime
    from onnx import helper

    node = helper.make_node(op, [i[0] for i in inputs], ["out"], **attributes)
    graph = helper.make_graph(
        [node],
        op,
        [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info("out", *outputs)],
    )
    opset = helper.make_opsetid("", 16)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda **feed: session.run(None, feed)[0]


def openvino_model(result, parameters, threads):
    import openvino

    model = openvino.Model([result], parameters)
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", options)
    return lambda *arrays: compiled(list(arrays))[0]


def nms_of(peer, boxes, scores, threads):
    """A call that returns the indices which the peer keeps."""
    n, b, s = len(boxes), boxes.numpy(), scores.numpy()
    if peer == "lsnms":
        import lsnms

        return lambda: lsnms.nms(b, s, iou_threshold=IOU, score_threshold=0.0)
    if peer == "ONNX Runtime":
        from onnx import TensorProto

        inputs = [("b", TensorProto.FLOAT, [1, n, 4]), ("s", TensorProto.FLOAT, [1, 1, n])]
        inputs += [("most", TensorProto.INT64, [1]), ("iou", TensorProto.FLOAT, [1])]
        call = onnx_session("NonMaxSuppression", inputs, (TensorProto.INT64, None), threads)
        most, iou = np.array([n], np.int64), np.array([IOU], np.float32)
        return lambda: call(b=b[None], s=s[None, None], most=most, iou=iou)[:, 2]
    import openvino.opset9 as ov

    pb, ps = ov.parameter([1, n, 4], np.float32), ov.parameter([1, 1, n], np.float32)
    most, iou = ov.constant(np.int64(n)), ov.constant(np.float32(IOU))
    lowest = ov.constant(np.float32(-1))
    node = ov.non_max_suppression(pb, ps, most, iou, lowest, sort_result_descending=False)
    call = openvino_model(node.output(0), [pb, ps], threads)

    def run():
        rows = call(b[None], s[None, None])
        return rows[rows[:, 0] >= 0, 2]  # the rest is padding

    return run


def roi_align_of(peer, x, rois, threads):
    image, boxes = rois[:, 0].long().numpy(), rois[:, 1:].contiguous().numpy()
    x, k, shape = x.numpy(), len(rois), list(x.shape)
    if peer == "ONNX Runtime":
        from onnx import TensorProto

        inputs = [("x", TensorProto.FLOAT, shape), ("boxes", TensorProto.FLOAT, [k, 4])]
        inputs += [("image", TensorProto.INT64, [k])]
        call = onnx_session(
            "RoiAlign",
            inputs,
            (TensorProto.FLOAT, None),
            threads,
            output_height=BINS,
            output_width=BINS,
            sampling_ratio=SAMPLES,
            spatial_scale=SCALE,
            coordinate_transformation_mode="half_pixel",
        )
        return lambda: call(x=x, boxes=boxes, image=image)
    import openvino.opset9 as ov

    px, pb = ov.parameter(shape, np.float32), ov.parameter([k, 4], np.float32)
    pi = ov.parameter([k], np.int64)
    mode = ("avg", "half_pixel_for_nn")
    node = ov.roi_align(px, pb, pi, BINS, BINS, SAMPLES, SCALE, *mode)
    call = openvino_model(node.output(0), [px, pb, pi], threads)
    return lambda: call(x, boxes, image)


@pytest.mark.parametrize("peer", NMS_PEERS)
@pytest.mark.parametrize(
    "make, n, target",
    [(rpn_like, 1000, 2), (rpn_like, 5000, 2), (rpn_like, 20000, 3), (spread, 20000, 6)],
)
def test_nms(compare, peer, make, n, target):
    boxes, scores = make(n)
    theirs = nms_of(peer, boxes, scores, torch.get_num_threads())
    ours = ops.nms(boxes, scores, IOU)
    # Ties in the last bit of an IoU may fall otherwise.
    assert abs(len(np.intersect1d(theirs(), ours.numpy())) - len(ours)) <= n // 1000
    work = f"{make.__name__.replace('_', '-')}, n={n}"
    compare("nms", work, lambda: ops.nms(boxes, scores, IOU), theirs, peer_name=peer, target=target)


@pytest.mark.parametrize("peer", ROI_ALIGN_PEERS)
def test_roi_align(compare, threads, peer):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 256, 200, 272, generator=g)
    centre = torch.rand(1000, 2, generator=g) * torch.tensor([1088.0, 800.0])
    size = 16 + 200 * torch.rand(1000, 2, generator=g)
    image = torch.randint(0, 2, (1000, 1), generator=g)
    rois = torch.cat([image, centre - size / 2, centre + size / 2], 1)
    theirs = roi_align_of(peer, x, rois, threads)

    def ours():
        return ops.roi_align(x, rois, BINS, SCALE, SAMPLES, True)

    torch.testing.assert_close(torch.from_numpy(theirs()), ours(), rtol=1e-3, atol=1e-3)
    compare("roi_align", "forward, NCHW", ours, theirs, peer_name=peer, target=6)


@pytest.mark.parametrize("peer", installed(OPENVINO))
def test_deform_conv2d(compare, threads, peer):
    import openvino.opset8 as ov

    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 256, 64, 64, generator=g)
    offset = torch.randn(2, 18, 64, 64, generator=g) * 2
    weight = torch.randn(256, 256, 3, 3, generator=g) / 48
    given = [ov.parameter(list(t.shape), np.float32) for t in (x, offset, weight)]
    node = ov.deformable_convolution(
        *given, [1, 1], [1, 1], [1, 1], [1, 1], bilinear_interpolation_pad=True
    )
    call = openvino_model(node.output(0), given, threads)
    arrays = [t.numpy() for t in (x, offset, weight)]

    def ours():
        return ops.deform_conv2d(x, offset, weight, padding=1)

    torch.testing.assert_close(torch.from_numpy(call(*arrays)), ours(), rtol=1e-3, atol=1e-3)
    target = 1.2 if threads == 1 else 1.5
    compare(
        "deform_conv2d",
        "forward, 2 x 256 x 64 x 64",
        ours,
        lambda: call(*arrays),
        peer_name=peer,
        target=target,
    )
