"""Convolutions that add and activate on the way: the same numbers, and only where it is right."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.deploy.fused_conv import ACTIVATIONS, FusedConv2d
from fastcv.nn.layers.separable_conv import AtrousSeparableConv2d, SeparableConv2d


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 6, 1),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(4, 8, (3, 5), dilation=2, padding=(2, 4), groups=2),
        nn.Conv2d(4, 4, 5, padding=2, groups=4),
    ],
    ids=repr,
)
def test_the_same_as_one_after_the_other(convolution, added, activation):
    convolution = convolution.requires_grad_(False).to(memory_format=torch.channels_last)
    fused, x = FusedConv2d(convolution), torch.randn(2, 4, 11, 9)
    expected = convolution(x)
    other = torch.randn_like(expected).contiguous(memory_format=torch.channels_last)
    expected = expected + other if added else expected
    expected = ACTIVATIONS[activation](expected) if activation else expected
    kept = other.clone()
    close(fused(x, other if added else None, activation), expected)
    assert torch.equal(other, kept)
    for y in (x.contiguous(memory_format=torch.channels_last), x[..., :8], x.double().float()):
        close(fused(y), convolution(y))
    if added:
        got = fused(x, other, activation, overwrite=True)
        close(got, expected)
        if activation in (None, "relu"):
            assert got.data_ptr() == other.data_ptr()


@pytest.mark.parametrize("shape", [(6, 1, 1), (2, 1, 1, 1), (1, 6, 7, 7), (2, 6, 1, 7)])
def test_what_is_added_may_be_smaller(shape):
    fused = FusedConv2d(nn.Conv2d(4, 6, 3).requires_grad_(False))
    x, other = torch.randn(2, 4, 9, 9), torch.randn(shape)
    expected = F.relu(F.conv2d(x, fused.weight, fused.bias) + other)
    close(fused(x, other, "relu", overwrite=True), expected)


def test_what_is_left_to_torch():
    fused = FusedConv2d(nn.Conv2d(4, 6, 3).requires_grad_(False))
    x = torch.randn(2, 4, 9, 9)
    expected = fused(x, activation="relu")
    assert fused._packed is not None
    with torch.enable_grad():
        y = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(fused(y, activation="relu").sum(), y)
    close(grad, torch.ops.aten.convolution_backward(
        (expected > 0).float(), x, fused.weight, [6], [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
        [True, False, False],
    )[0])  # fmt: skip
    with torch.autocast("cpu", torch.bfloat16):
        assert fused(x).dtype == torch.bfloat16
    assert fused(x[:0]).shape == (0, 6, 7, 7) and fused(x[0]).shape == (6, 7, 7)
    close(torch.export.export(fused, (x,)).module()(x), fused(x))
    with pytest.raises(RuntimeError, match="expected input"):
        fused(x[:, :3])
    double = copy.deepcopy(fused).double()
    close(double(x.double(), activation="relu").float(), expected)
    assert copy.deepcopy(fused).to("meta")(x.to("meta")).shape == (2, 6, 7, 7)


def test_new_weights_are_seen():
    fused, x = FusedConv2d(nn.Conv2d(4, 6, 3).requires_grad_(False)), torch.randn(2, 4, 9, 9)
    fused(x)
    fused.weight.mul_(2)
    close(fused(x), F.conv2d(x, fused.weight, fused.bias))
    fused.load_state_dict(nn.Conv2d(4, 6, 3).state_dict())
    close(fused(x), F.conv2d(x, fused.weight, fused.bias))


class Wired(nn.Module):
    """Two convolutions of 4 channels, wired as `wire` says."""

    __module__ = "fastcv.wired"  # whose forwards are rewritten

    def __init__(self, wire):
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.relu = nn.ReLU(inplace=True)
        self.wire = wire

    def forward(self, x):
        return self.wire(self, x)


def in_one(fast):
    """How often each fused convolution is called with something to do besides, and how."""
    calls = []

    def note(module, args, kwargs):
        told = "+" if "other" in kwargs else ""
        told += kwargs.get("activation") or ""
        calls.append(told + ("!" if kwargs.get("overwrite") else ""))

    for module in fast.modules():
        if isinstance(module, FusedConv2d):
            module.register_forward_pre_hook(note, with_kwargs=True)
    fast(torch.randn(1, 4, 6, 6))
    return [call for call in calls if call]


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        (lambda s, x: s.relu(s.a(x)), ["relu"]),
        (lambda s, x: torch.sigmoid(F.silu(s.a(x))), ["swish"]),
        (lambda s, x: s.a(x).relu(), ["relu"]),
        (lambda s, x: s.relu(s.a(x) + s.b(x)), ["+relu!"]),
        (lambda s, x: s.relu(s.a(x) + x), ["+relu"]),  # the input is not ours to overwrite
        (lambda s, x: (y := s.b(x)) + s.a(y), ["+"]),  # y is read while the sum is written
        (lambda s, x: (y := s.b(x)) * 2 + (s.a(x) + y), ["+"]),  # y is read after: 2 y comes first
        (lambda s, x: ((y := s.b(x)), s.a(x) + y), ["+"]),  # y is an output
        (lambda s, x: s.a(y := s.b(x)) + y.flatten(2).view_as(y), ["+"]),
        (lambda s, x: (y := s.a(x)) + y, []),
        (lambda s, x: s.relu(y := s.a(x)) + y.detach(), []),  # y is read elsewhere
        (lambda s, x: s.a(x) + 1, []),
        (lambda s, x: torch.add(s.a(x), x, alpha=2), []),
        # The ReLU changes what a reads: a may not be moved behind it.
        (lambda s, x: s.a(y := 2 * x) + s.b(s.relu(y)), ["+!"]),
        (lambda s, x: s.relu(s.a(x)) + s.relu(s.a(2 * x)), ["relu", "relu"]),
    ],
)
def test_which_are_joined(wire, found):
    model, x = Wired(wire).eval(), torch.randn(2, 4, 6, 6)
    fast = fastcv.optimize(model)
    kept = x.clone()
    expected = model(x)
    for got in (fast(x), copy.deepcopy(fast)(x)):
        for a, b in zip(
            *(t if isinstance(t, tuple) else (t,) for t in (got, expected)), strict=True
        ):
            close(a, b)
    assert torch.equal(x, kept)
    assert in_one(fast) == found


def test_forwards_that_one_trace_does_not_tell_are_left_alone():
    class WithDefault(Wired):
        def forward(self, x, scale=None):
            return self.relu(self.a(x)) if scale is None else self.relu(self.a(x)) * scale

    class SomebodyElses(Wired):
        __module__ = "elsewhere"

        def forward(self, x):
            return self.relu(self.a(x)) if isinstance(x, torch.Tensor) else x

    for kind in (WithDefault, SomebodyElses):
        fast = fastcv.optimize(kind(None))
        assert type(fast) is kind and isinstance(fast.a, FusedConv2d)
        assert in_one(fast) == []


def test_stays_a_model_of_its_class():
    model = fastcv.create_model("resnet18", width=8, num_classes=3)
    fast = fastcv.optimize(model)
    assert isinstance(fast, type(model)) and repr(type(fast)) == repr(type(model))
    x = torch.randn(1, 3, 64, 64)
    close(pickle.loads(pickle.dumps(fast))(x), fast(x))
    close(fast.stages(x)[3], model.eval().stages(x)[3])  # its parts are as before
    close(fast.double()(x.double()).float(), model(x))
    assert len(in_one_of_18(fast.float(), x)) == 1 + 2 * 8
    again = fastcv.optimize(fast)
    close(again(x), fast(x))
    (predicted,) = fast.predict(torch.rand(3, 32, 32))
    assert predicted.classes == model.classes


def in_one_of_18(fast, x):
    joined = []
    for module in fast.modules():
        if isinstance(module, FusedConv2d):
            module.register_forward_pre_hook(
                lambda m, a, k: joined.append(k) if k else None, with_kwargs=True
            )
    fast(x)
    return joined


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, wired as `wire` says."""

    __module__ = "fastcv.wired"

    def __init__(self, wire, rate=12, groups=4, kernel=1):
        super().__init__()
        self.a = nn.Conv2d(4, 4, 3, padding=rate, dilation=rate, groups=groups)
        self.b = nn.Conv2d(4, 6, kernel, padding=kernel // 2)
        self.relu = nn.ReLU(inplace=True)
        self.wire = wire

    def forward(self, x):
        return self.wire(self, x)


@pytest.fixture
def separable_calls(monkeypatch):
    """How often the op is called, and with what activation between."""
    calls, op = [], fastcv.ops.atrous_separable_conv2d

    def noted(*args):
        calls.append(args[8])
        return op(*args)

    monkeypatch.setattr("fastcv.deploy.fused_conv.atrous_separable_conv2d", noted)
    return calls


@pytest.mark.parametrize(
    ("wire", "options", "found"),
    [
        (lambda s, x: s.b(s.a(x)), {}, [None]),
        (lambda s, x: s.b(s.relu(s.a(x))), {}, ["relu"]),
        (lambda s, x: s.b(s.a(x).relu()).relu(), {}, ["relu"]),
        (lambda s, x: s.relu(s.b(s.a(x))) + 1, {}, [None]),
        (lambda s, x: s.b(s.a(x)) + s.b(x), {}, [None]),
        (lambda s, x: s.b(s.a(s.a(x))), {}, [None]),
        (lambda s, x: (y := s.b(s.a(x))).relu() + y, {}, [None]),
        (lambda s, x: s.b(s.a(x).sigmoid()), {}, []),
        (lambda s, x: s.b(s.a(x) + x), {}, []),
        (lambda s, x: s.b(y := s.a(x)) + y.sum(), {}, []),  # the map between is read elsewhere
        (lambda s, x: s.b(y := s.relu(s.a(x))) + y.sum(), {}, []),
        (lambda s, x: s.b(s.a(x)), {"rate": 8}, []),  # as fast in two
        (lambda s, x: s.b(s.a(x)), {"groups": 2}, []),
        (lambda s, x: s.b(s.a(x)), {"kernel": 3}, []),
    ],
)
def test_which_separable_convolutions_are_one_call(wire, options, found, separable_calls):
    model, x = Separable(wire, **options).eval(), torch.randn(2, 4, 20, 16)
    fast, kept = fastcv.optimize(model), x.clone()
    close(fast(x), model(x))
    assert separable_calls == found
    close(copy.deepcopy(fast)(x), model(x))
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    "layer",
    [
        AtrousSeparableConv2d(4, 6, dilation=12),
        AtrousSeparableConv2d(4, 6, dilation=12, stride=2, relu=False),
        nn.Sequential(SeparableConv2d(4, 6, 12), nn.BatchNorm2d(6), nn.ReLU()),
    ],
    ids=["with ReLUs", "without", "norm behind"],
)
def test_norms_of_separable_convolutions_are_folded_first(layer, separable_calls):
    for m in layer.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(), m.running_var.uniform_(0.5, 1.5), m.weight.normal_()
    x, layer = torch.randn(2, 4, 20, 16), layer.eval()
    fast = fastcv.optimize(layer)
    expected = layer(x)
    close(fast(x), expected)
    assert len(separable_calls) == 1
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    # Where there is a gradient, and in an export, they are torch's two.
    with torch.enable_grad():
        y = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(fast(y).sum(), y)
        (want,) = torch.autograd.grad(layer(y).sum(), y)
    close(grad, want)
    program = torch.export.export(fast, (x,))
    close(program.module()(x), expected)
    assert "fastcv" not in str(program.graph) and len(separable_calls) == 1
    close(fast.double()(x.double()).float(), expected)


def test_a_slice_of_a_sequential_calls_its_own_layers():
    layers = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, 1), nn.ReLU())
    fast, x = fastcv.optimize(layers), torch.randn(1, 4, 5, 5)
    close(fast[:3](x), layers[:3](x))
    close(fast[0](x), layers[0](x))


def test_a_slice_has_a_layer_as_often_as_it_occurs():
    pool = nn.MaxPool2d(2)
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), pool, nn.Conv2d(4, 4, 1), pool)
    fast, x = fastcv.optimize(layers), torch.randn(1, 3, 8, 8)
    for part in (slice(0, 5), slice(2, 5), slice(0, 3)):
        y = x if part.start == 0 else layers[: part.start](x)
        close(fast[part](y), layers[part](y))
