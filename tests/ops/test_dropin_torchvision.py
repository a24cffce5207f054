"""`import fastcv.ops as ops` in place of torchvision.ops: names, arguments, reprs, script, fx."""

import inspect
import warnings

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import get_graph_node_names
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from fastcv import ops

NAMES = torchvision.ops.__all__
X = torch.rand(2, 18, 10, 12, generator=torch.Generator().manual_seed(0))
ROIS = [torch.tensor([[1.0, 1, 7, 8], [0, 0, 9.5, 4]]), torch.tensor([[2.0, 1, 9, 8]])]
BOXES = torch.cat(ROIS)
SCORES = torch.tensor([0.5, 0.9, 0.7])
OFFSET, WEIGHT = torch.rand(2, 18, 8, 10) * 2 - 1, torch.rand(4, 18, 3, 3)
MAPS = {"0": torch.rand(2, 4, 16, 16), "1": torch.rand(2, 8, 8, 8)}

# What a call of each takes; of modules, first what they are made of.
CALLS = {
    "batched_nms": (BOXES, SCORES, torch.tensor([0, 1, 0]), 0.2),
    "box_area": (BOXES,),
    "box_convert": (BOXES, "xyxy", "cxcywh"),
    "box_iou": (BOXES, BOXES[:2]),
    "clip_boxes_to_image": (BOXES, (6, 8)),
    "complete_box_iou": (BOXES, BOXES[:2]),
    "complete_box_iou_loss": (BOXES, BOXES.flip(0), "mean"),
    "deform_conv2d": (X, OFFSET, WEIGHT),
    "distance_box_iou": (BOXES, BOXES[:2]),
    "distance_box_iou_loss": (BOXES, BOXES.flip(0), "sum"),
    "drop_block2d": (X, 0.3, 3),
    "drop_block3d": (X[None], 0.3, 3),
    "generalized_box_iou": (BOXES, BOXES[:2]),
    "generalized_box_iou_loss": (BOXES, BOXES.flip(0)),
    "masks_to_boxes": (X[0] > 0.9,),
    "nms": (BOXES, SCORES, 0.2),
    "ps_roi_align": (X, torch.cat([torch.zeros(3, 1), BOXES], 1), 3, 0.5, 2),
    "ps_roi_pool": (X, torch.cat([torch.zeros(3, 1), BOXES], 1), 3),
    "remove_small_boxes": (BOXES, 6.0),
    "roi_align": (X, ROIS, [2, 3], 0.5, 2, True),
    "roi_pool": (X, ROIS, 2),
    "sigmoid_focal_loss": (BOXES / 9, (BOXES > 3).float(), 0.3, 2.0, "mean"),
    "stochastic_depth": (X, 0.5, "row"),
}
MODULES = {
    "Conv2dNormActivation": ((18, 4, 3, 2), (X,)),
    "Conv3dNormActivation": ((2, 4), (X[None],)),
    "DeformConv2d": ((18, 4, 3), (X, OFFSET)),
    "DropBlock2d": ((0.3, 3), (X,)),
    "DropBlock3d": ((0.3, 3, True), (X[None],)),
    "FeaturePyramidNetwork": (([4, 8], 4), (MAPS,)),
    "FrozenBatchNorm2d": ((18,), (X,)),
    "MLP": ((12, [8, 6], nn.LayerNorm), (X,)),
    "MultiScaleRoIAlign": ((["0"], 2, 2), (MAPS, ROIS, [(64, 64)] * 2)),
    "PSRoIAlign": ((3, 1.0, 2), (X, torch.cat([torch.zeros(3, 1), BOXES], 1))),
    "PSRoIPool": ((3, 0.5), (X, torch.cat([torch.zeros(3, 1), BOXES], 1))),
    "Permute": (([0, 2, 3, 1],), (X,)),
    "RoIAlign": (((2, 3), 0.5, 2), (X, ROIS)),
    "RoIPool": ((2, 0.5), (X, ROIS)),
    "SqueezeExcitation": ((18, 4), (X,)),
    "StochasticDepth": ((0.5, "batch"), (X,)),
}


def run(function, inputs):
    """The result, with the same random numbers and inputs each time."""
    torch.manual_seed(0)
    copies = [x.clone() if isinstance(x, torch.Tensor) else x for x in inputs]
    return function(*copies)


def assert_same(got, want):
    if isinstance(want, dict):
        assert list(got) == list(want)
        got, want = list(got.values()), list(want.values())
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def script(what):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.script(what)


def module(library, name):
    torch.manual_seed(0)
    return getattr(library, name)(*MODULES[name][0])


def test_every_name_is_tried():
    assert {*CALLS} | {*MODULES} == {*NAMES}
    assert {*NAMES} <= {*ops.__all__} and {*NAMES} <= {*dir(ops)}


@pytest.mark.parametrize("name", NAMES)
def test_takes_the_same_arguments(name):
    ours = [*inspect.signature(getattr(ops, name)).parameters.values()]
    peers = [*inspect.signature(getattr(torchvision.ops, name)).parameters.values()]
    assert [p.name for p in ours[: len(peers)]] == [p.name for p in peers]
    for mine, peer in zip(ours, peers, strict=False):
        assert mine.kind == peer.kind
        if peer.default is not inspect.Parameter.empty:
            assert mine.default == peer.default
    assert all(p.default is not inspect.Parameter.empty for p in ours[len(peers) :])


@pytest.mark.parametrize("name", CALLS)
def test_functions_give_the_same(name):
    want = run(getattr(torchvision.ops, name), CALLS[name])
    assert_same(run(getattr(ops, name), CALLS[name]), want)


def test_defaults_within_a_script():
    @script
    def call(x: torch.Tensor, offset: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return ops.deform_conv2d(x, offset, weight, stride=1, dilation=(1, 1))

    assert torch.equal(call(X, OFFSET, WEIGHT), ops.deform_conv2d(X, OFFSET, WEIGHT))


@pytest.mark.parametrize("name", CALLS)
def test_scripted_functions_give_the_same(name):
    function = getattr(ops, name)
    assert_same(run(script(function), CALLS[name]), run(function, CALLS[name]))


@pytest.mark.parametrize("name", MODULES)
def test_modules_have_the_same_repr_and_state(name):
    ours, peer = module(ops, name), module(torchvision.ops, name)
    assert repr(ours) == repr(peer)
    assert list(ours.state_dict()) == list(peer.state_dict())
    for key, value in peer.state_dict().items():  # drawn alike, too
        assert torch.equal(ours.state_dict()[key], value)
    assert_same(run(ours, MODULES[name][1]), run(peer, MODULES[name][1]))


@pytest.mark.parametrize("name", MODULES)
def test_scripted_modules_give_the_same(name):
    ours = module(ops, name)
    scripted = script(ours)
    want = run(ours, MODULES[name][1])
    assert_same(run(scripted, MODULES[name][1]), want)


TRACEABLE = [n for n in MODULES if n != "FeaturePyramidNetwork"]  # torchvision's neither


@pytest.mark.parametrize("name", TRACEABLE)
def test_traced_modules_give_the_same(name):
    ours = module(ops, name)
    traced = torch.fx.symbolic_trace(ours)
    assert_same(run(traced, MODULES[name][1]), run(ours, MODULES[name][1]))


@pytest.mark.parametrize("name", ["clip_boxes_to_image", "nms", "remove_small_boxes"])
def test_traced_functions_give_the_same(name):
    function = getattr(ops, name)
    assert_same(run(torch.fx.symbolic_trace(function), CALLS[name]), run(function, CALLS[name]))


@pytest.mark.parametrize("name", ["box_iou", "box_area", "batched_nms", "generalized_box_iou"])
def test_a_traced_call_within_a_model(name):
    tensors = [x for x in CALLS[name] if isinstance(x, torch.Tensor)]
    rest = [x for x in CALLS[name] if not isinstance(x, torch.Tensor)]

    def call(x):
        return getattr(ops, name)(x, *tensors[1:], *rest)

    traced = torch.fx.symbolic_trace(call)
    moved = tensors[0] + 0.5  # the graph holds the calls, not their results
    assert_same(traced(moved), call(moved))


@pytest.mark.parametrize(
    "name",
    [
        "RoIAlign",
        "RoIPool",
        "PSRoIAlign",
        "PSRoIPool",
        "DropBlock2d",
        "DropBlock3d",
        "StochasticDepth",
        "MultiScaleRoIAlign",
    ],
)
def test_is_one_node_of_a_graph(name):
    inputs = len(MODULES[name][1])

    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = module(ops, name)

        def forward(self, a):
            return self.layer(a)

    class Two(One):
        def forward(self, a, b):
            return self.layer(a, b)

    class Three(One):
        def forward(self, a, b, c):
            return self.layer(a, b, c)

    train, evaluation = get_graph_node_names([One, Two, Three][inputs - 1]())
    assert len(train) == len(evaluation) == inputs + 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.int64])
@pytest.mark.parametrize(
    "name", ["box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"]
)
@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (2, 3)), ((), (2,)), ((2, 1), (3,))])
def test_batches_of_boxes(name, shapes, dtype):
    g = torch.Generator().manual_seed(0)
    boxes = []
    for count, batch in zip((5, 4), shapes, strict=True):
        corner = torch.randint(0, 30, (*batch, count, 2), generator=g)
        size = torch.randint(1, 20, (*batch, count, 2), generator=g)
        boxes.append(torch.cat([corner, corner + size], -1).to(dtype))
    got, want = getattr(ops, name)(*boxes), getattr(torchvision.ops, name)(*boxes)
    assert got.shape == want.shape and got.shape[-2:] == (5, 4)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3, check_dtype=False)
    one_by_one = torch.stack(
        [
            getattr(ops, name)(a, b)
            for a, b in zip(
                boxes[0].expand(*got.shape[:-2], 5, 4).reshape(-1, 5, 4),
                boxes[1].expand(*got.shape[:-2], 4, 4).reshape(-1, 4, 4),
                strict=True,
            )
        ]
    )
    torch.testing.assert_close(got.reshape(-1, 5, 4), one_by_one)


@pytest.mark.parametrize("fmt", ["xywh", "cxcywh"])
def test_batches_in_other_formats(fmt):
    boxes = torch.rand(3, 6, 4) + 0.5
    torch.testing.assert_close(
        ops.box_iou(boxes, boxes.flip(1), fmt), torchvision.ops.box_iou(boxes, boxes.flip(1), fmt)
    )


@pytest.mark.parametrize("formats", [("xyxy", "xywh", "cxcywh"), ("cxcywhr", "xywhr", "xyxyxyxy")])
def test_scripted_conversions(formats):
    scripted, scripted_iou = script(ops.box_convert), script(ops.box_iou)
    boxes = torch.rand(5, 4 if "xyxy" in formats else 5) + 0.5
    for a in formats:
        start = ops.box_convert(boxes, formats[0], a)
        assert torch.equal(scripted_iou(start, start, a), ops.box_iou(start, start, a))
        for b in formats:
            assert torch.equal(scripted(start, a, b), ops.box_convert(start, a, b))
    with pytest.raises(torch.jit.Error, match=r"format must be one of xyxy, .*got 'yxyx'"):
        scripted(boxes, "yxyx", "xyxy")


def test_float_group_ids():
    g = torch.Generator().manual_seed(0)
    corner = torch.rand(300, 2, generator=g) * 40
    boxes = torch.cat([corner, corner + torch.rand(300, 2, generator=g) * 20 + 1], 1)
    scores = torch.rand(300, generator=g)
    for values in ([0.0, 1.0, 2.0], [3.0, -1.0, 80.0]):
        ids = torch.tensor(values)[torch.randint(0, 3, (300,), generator=g)]
        want = torchvision.ops.batched_nms(boxes.double(), scores.double(), ids, 0.3)
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
            assert torch.equal(ops.batched_nms(boxes, scores, ids.to(dtype), 0.3), want)
    nothing = torch.tensor([])
    for empty in ((nothing,) * 3, (nothing.reshape(0, 4), nothing, nothing)):
        assert torch.equal(ops.batched_nms(*empty, 0.5), torchvision.ops.batched_nms(*empty, 0.5))


def test_extra_blocks_of_torchvisions_kind():
    class Doubled(ExtraFPNBlock):
        def forward(self, results, x, names):
            return [*results, 2 * x[-1]], [*names, "twice"]

    for library in (ops, torchvision.ops):
        torch.manual_seed(0)
        out = library.FeaturePyramidNetwork([4, 8], 4, Doubled(), nn.BatchNorm2d)(MAPS)
        assert list(out) == ["0", "1", "twice"] and torch.equal(out["twice"], 2 * MAPS["1"])


def test_wrong_boxes_raise_torchvisions_error():
    for name in ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool"):
        for boxes in (BOXES, [BOXES[:, :3]]):
            for library in (ops, torchvision.ops):
                with pytest.raises(AssertionError):
                    getattr(library, name)(X, boxes, 3)


def test_names_before_a_dot():
    assert ops.misc.FrozenBatchNorm2d is ops.FrozenBatchNorm2d
    assert ops.poolers.MultiScaleRoIAlign is ops.MultiScaleRoIAlign
    assert ops.feature_pyramid_network.FeaturePyramidNetwork is ops.FeaturePyramidNetwork
    with pytest.raises(AttributeError, match="has no attribute 'roi_aligned'"):
        ops.roi_aligned  # noqa: B018


@pytest.mark.parametrize(
    "arguments",
    [
        dict(kernel_size=5, stride=2, dilation=2),
        dict(kernel_size=(3, 5), dilation=(1, 2)),
        dict(kernel_size=3, dilation=(2, 1), norm_layer=None),
        dict(kernel_size=(1, 3), activation_layer=None, bias=True),
        dict(padding=0, inplace=None, activation_layer=nn.GELU),
        dict(padding="same", groups=2, inplace=False),
    ],
)
def test_conv_norm_activation(arguments):
    for name, x in (("Conv2dNormActivation", X), ("Conv3dNormActivation", X[None])):
        if name.startswith("Conv3d") and any(isinstance(v, tuple) for v in arguments.values()):
            arguments = {k: (*v, 1) if isinstance(v, tuple) else v for k, v in arguments.items()}
        results = []
        for library in (ops, torchvision.ops):
            torch.manual_seed(0)
            block = getattr(library, name)(x.shape[1], 4, **arguments)
            results.append((repr(block), block.out_channels, block(x)))
        assert results[0][:2] == results[1][:2] and torch.equal(results[0][2], results[1][2])


@pytest.mark.parametrize(
    "arguments",
    [
        dict(hidden_channels=[5]),
        dict(hidden_channels=[5, 6, 7], norm_layer=nn.LayerNorm, inplace=True, dropout=0.3),
        dict(hidden_channels=[5, 6], activation_layer=nn.GELU, bias=False),
    ],
)
def test_mlp(arguments):
    results = []
    for library in (ops, torchvision.ops):
        torch.manual_seed(0)
        block = library.MLP(12, **arguments)
        results.append((repr(block), block(X)))
    assert results[0][0] == results[1][0] and torch.equal(results[0][1], results[1][1])
