"""fastcv.optimize: what may be folded is, what may not is left, and outputs stay the same."""

import pytest
import torch
from torch import nn

import fastcv
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, FrozenBatchNorm2d)


def with_statistics(model):
    """Weights and statistics as after training: no mean 0, no variance 1, no scale 1."""
    g = torch.Generator().manual_seed(0)
    for m in model.modules():
        if isinstance(m, NORMS):
            for name, low in [("running_mean", -1), ("running_var", 0.5), ("weight", 0.5)]:
                t = getattr(m, name, None)
                if t is not None:
                    t.data.copy_(torch.rand(t.shape, generator=g) + low)
            if m.bias is not None:
                m.bias.data.copy_(torch.rand(m.bias.shape, generator=g) - 0.5)
    return model.eval()


def norms_left(model):
    return sum(isinstance(m, NORMS) for m in model.modules())


def check(model, x, left):
    model = with_statistics(model)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    fast = fastcv.optimize(model)
    # float32 rounds at 6e-8; a few hundred additions in another order stay below 1e-5.
    torch.testing.assert_close(fast(x), model(x), rtol=1e-5, atol=1e-5)
    assert norms_left(fast) == left
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    assert not any(p.requires_grad for p in fast.parameters()) and not fast.training


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, bias=False),
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Conv2d(4, 6, 3, padding=2, dilation=2, padding_mode="reflect"),
        nn.ConvTranspose2d(4, 6, 3, stride=2),
        nn.ConvTranspose2d(4, 6, 2, groups=2, bias=False),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(6), nn.BatchNorm2d(6, affine=False, eps=1e-3), FrozenBatchNorm2d(6)]
)
def test_folds(layer, norm):
    check(nn.Sequential(layer, norm, nn.ReLU()), torch.randn(2, 4, 7, 7), left=0)


def test_folds_linear():
    check(nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), torch.randn(5, 4), left=0)


class Wired(nn.Module):
    """One convolution or two, one norm or two, wired as `wire` says."""

    def __init__(self, wire):
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.n, self.m = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.wire = wire

    def forward(self, x):
        return self.wire(self, x)


@pytest.mark.parametrize(
    ("wire", "left"),
    [
        (lambda s, x: s.n(s.a(x)) + s.m(s.b(x)), 0),
        (lambda s, x: s.n(s.a(x)) + s.n(s.a(2 * x)), 1),  # the pair, twice; m is never called
        (lambda s, x: s.n(s.a(x)) + s.m(s.a(2 * x)), 2),  # one convolution, two norms
        (lambda s, x: s.n(s.a(x)) + s.n(s.b(x)), 2),  # two convolutions, one norm
        (lambda s, x: s.n(y := s.a(x)) + y, 2),  # the convolution's output is read elsewhere
        (lambda s, x: s.n(s.a(x) + x), 2),  # something lies between
        (lambda s, x: s.n(x) + s.m(s.a(x)), 1),
    ],
)
def test_only_where_nothing_else_sees_it(wire, left):
    check(Wired(wire), torch.randn(2, 4, 5, 5), left)


def test_inside_what_cannot_be_traced():
    def wire(s, x):
        y = s.block(x)
        return y if y.sum() > 0 else -y  # asks for a value

    model = Wired(wire)
    model.block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    check(model, torch.randn(2, 4, 5, 5), left=2)


def test_leaves_hooks_and_parametrized_weights_alone():
    seen = []
    hooked = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    hooked[0].register_forward_hook(lambda m, i, o: seen.append(o))
    check(hooked, torch.randn(2, 4, 5, 5), left=1)
    normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
    check(nn.Sequential(normed, nn.BatchNorm2d(4)), torch.randn(2, 4, 5, 5), left=1)


def test_is_channels_last():
    fast = fastcv.optimize(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)))
    out = fast(torch.randn(2, 4, 7, 7))
    assert out.is_contiguous(memory_format=torch.channels_last) and not out.is_contiguous()


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", [(2, 6, 7, 5), (6, 7, 5), (1, 6, 1, 2)])
def test_instance_norms_keep_the_layout(affine, shape):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(6, 6, 1), nn.InstanceNorm2d(6, eps=0.01, affine=affine))
    for parameter in model.parameters():
        nn.init.uniform_(parameter, 0.5, 2)
    x = torch.randn(shape) * 3 + 10  # a mean that is not small beside the deviation
    made, expected = fastcv.optimize(model)(x), model.double()(x.double())
    torch.testing.assert_close(made.double(), expected, rtol=1e-4, atol=1e-4)
    if len(shape) == 4 and shape[2] > 1:
        assert made.is_contiguous(memory_format=torch.channels_last) and not made.is_contiguous()


def test_instance_norms_that_stay():
    """With statistics of their own, hooked, or of a class of somebody's own."""

    class Own(nn.InstanceNorm2d):
        def forward(self, input):
            return super().forward(input) * 2

    hooked = nn.InstanceNorm2d(6)
    hooked.register_forward_hook(lambda m, i, o: o + 1)
    counting = nn.InstanceNorm2d(6, track_running_stats=True)
    counting.running_mean.fill_(0.5)
    for norm in (Own(6), hooked, counting):
        model, x = nn.Sequential(nn.Conv2d(6, 6, 1), norm).eval(), torch.randn(2, 6, 8, 8)
        fast = fastcv.optimize(model)
        assert type(fast[1]) is type(norm)
        torch.testing.assert_close(fast(x), model(x), rtol=1e-5, atol=1e-5)


def test_refuses_what_is_no_module():
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got str"):
        fastcv.optimize("resnet50")


def test_a_detector_finds_the_same():
    torch.manual_seed(0)
    model = fastcv.create_model(
        "fasterrcnn_resnet18_fpn", num_classes=3, width=8, fpn_channels=16, head_channels=16
    ).eval()
    images = [torch.rand(3, 120, 160), torch.rand(3, 100, 90)]
    expected = model.predict(images, score_threshold=0.0)
    found = fastcv.optimize(model).predict(images, score_threshold=0.0)
    for a, b in zip(found, expected, strict=True):
        assert len(a) == len(b) > 0
        torch.testing.assert_close(a.scores, b.scores, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(a.boxes, b.boxes, rtol=1e-4, atol=1e-2)


def test_a_norm_that_stays_is_where_it_was():
    """And in its dtype: the device of a model is that of its first parameter."""
    model = nn.Sequential(nn.MaxPool2d(2), nn.BatchNorm2d(3)).double().to("meta")
    fast = fastcv.optimize(model)
    assert len(list(fast.parameters())) == 2
    assert {p.device.type for p in fast.parameters()} == {"meta"}
    assert {p.dtype for p in fast.parameters()} == {torch.float64}
