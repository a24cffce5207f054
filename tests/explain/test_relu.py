"""The other gradients of ReLU, in every form in which a model may have one."""

import pytest
import torch
from small_models import make_small
from torch import nn
from torch.nn import functional as F

from fastcv import explain
from fastcv.explain._relu import BACKPROP, relu_rule

SHAPE = (2, 3, 6, 6)


class Through(nn.Module):
    """Two convolutions around a ReLU in some form, and fixed weights that give both signs."""

    def __init__(self, relu):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu = relu
        self.fc = nn.Linear(4 * 36, 3)

    def forward(self, images):
        x = self.relu(self.one(images))
        return self.fc(self.relu(self.two(x)).flatten(1))


def module_in_place(x):
    return nn.ReLU(inplace=True)(x)


def changed_and_dropped(x):
    F.relu_(x)  # what it returns is not used
    return x


def of_a_view(x):
    x = x + 0
    x[:, :2].relu_()
    return torch.cat([x[:, :2], F.relu(x[:, 2:])], dim=1)


RELUS = {
    "module": nn.ReLU(),
    "module in place": module_in_place,
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x, True),
    "F.relu_": changed_and_dropped,
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.relu_(),
    "of a view": of_a_view,
    "aten": torch.ops.aten.relu,
    "aten, of an exported program": torch.ops.aten.relu.default,
    "aten in place": lambda x: torch.ops.aten.relu_.default(x),
    "aten clamp": lambda x: torch.ops.aten.clamp.default(x, 0),
    "aten clamp_min": lambda x: torch.ops.aten.clamp_min.default(x, 0),
    "clamp": lambda x: x.clamp(min=0),
    "torch.clamp": lambda x: torch.clamp(x, 0),
    "clamp_": lambda x: x.clamp_(0.0),
    "clamp_min": lambda x: x.clamp_min(0),
    "clip": lambda x: torch.clip(x, min=0, max=None),
    "threshold": lambda x: F.threshold(x, 0, 0),
    "nn.Threshold": nn.Threshold(0.0, 0.0),
    "hardtanh": lambda x: F.hardtanh(x, 0, 1e9),
}


def by_hand(net, images, label, rule):
    """Backwards through the same weights, written out."""
    one = net.one(images)
    two = net.two(one.relu())
    g = net.fc.weight[label].view(1, 4, 6, 6).expand(len(images), -1, -1, -1)
    for h, conv in ((two, net.two), (one, net.one)):
        if rule != "deconvnet":
            g = g * (h > 0)
        if rule != "backprop":
            g = g * (g > 0)
        g = F.conv_transpose2d(g, conv.weight, padding=1)
    return g.detach()


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_every_form(relu):
    net, images = Through(relu), torch.randn(SHAPE)
    for method in (explain.deconvnet, explain.guided_backprop):
        found = method(net, images, 1)
        expected = by_hand(net, images, 1, method.__name__)
        torch.testing.assert_close(found.values, expected, atol=1e-6, rtol=1e-4)
    plain = explain.saliency(net, images, 1, mode="signed")
    torch.testing.assert_close(plain.values, by_hand(net, images, 1, "backprop"))


@pytest.mark.parametrize(
    "relu6",
    [nn.ReLU6(), nn.ReLU6(inplace=True), F.relu6, lambda x: x.clamp(0, 6)],
    ids=["module", "in place", "function", "clamp"],
)
def test_relu6_has_no_gradient_above_6(relu6):
    images = torch.tensor([-1.0, 2.0, 7.0, 3.0]).view(1, 1, 2, 2)
    signs = torch.tensor([1.0, 1.0, 1.0, -1.0])

    class Net(nn.Module):
        def forward(self, x):
            return (relu6(x + 0).flatten(1) * signs).sum(1, keepdim=True)

    def gradient(method):
        return method(Net(), images, 0).values.flatten().tolist()

    assert gradient(explain.guided_backprop) == [0, 1, 0, 0]
    assert gradient(explain.deconvnet) == [1, 1, 1, 0]


@pytest.mark.parametrize(
    "not_relu",
    [
        lambda x: x.clamp(min=0.5),
        lambda x: x.clamp(max=0),
        lambda x: x.clamp(-1, 1),
        lambda x: F.threshold(x, 0.1, 0),
        lambda x: F.hardtanh(x),
        lambda x: torch.sigmoid(x),
        lambda x: x.abs(),
    ],
)
def test_what_is_no_relu_keeps_its_gradient(not_relu):
    net, images = Through(not_relu), torch.randn(SHAPE)
    plain = explain.saliency(net, images, 1, mode="signed")
    guided = explain.guided_backprop(net, images, 1)
    assert torch.equal(plain.values, guided.values)


def test_the_derivatives_own_rule_changes_nothing():
    net, images = Through(F.relu_), torch.randn(SHAPE, requires_grad=True)
    expected = net(images)
    with relu_rule(net, BACKPROP):
        found = net(images)
    assert torch.equal(found, expected)
    one, other = (torch.autograd.grad(x[:, 0].sum(), images)[0] for x in (found, expected))
    assert torch.equal(one, other)


class Gelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU())

    def forward(self, images):
        return self.body(images).relu().mean(dim=(2, 3))


@pytest.mark.parametrize("method", [explain.deconvnet, explain.guided_backprop])
def test_other_activations(method):
    images = torch.rand(1, 3, 64, 64)
    with pytest.raises(ValueError, match=r"layer 'body\.1' has gelu: force=True leaves"):
        method(Gelu(), images)
    assert method(Gelu(), images, force=True).maps.max() > 0
    with pytest.raises(ValueError, match=r"layer '.*' has silu"):
        method(make_small("efficientnet"), images)
    with pytest.raises(ValueError, match="the model itself has tanh"):
        method(make_small("lenet5"), images[:, :1, :32, :32])


def test_gates_are_no_activations():
    """The sigmoids of squeeze and excitation stay as they are."""
    model = make_small("se_resnet50")
    assert explain.guided_backprop(model, torch.rand(1, 3, 64, 64)).maps.max() > 0


def test_a_deconvnet_skips_local_response_normalisation():
    norm = nn.LocalResponseNorm(3, alpha=5.0)
    net = nn.Sequential(norm, nn.Flatten(), nn.Linear(12, 2))
    image = torch.rand(1, 3, 2, 2)
    weights = net[2].weight[1].view(3, 2, 2)
    assert torch.allclose(explain.deconvnet(net, image, 1).values[0], weights.detach())
    assert not torch.allclose(explain.guided_backprop(net, image, 1).values[0], weights.detach())


def test_a_deconvnet_unpools_by_switches():
    """As ``F.max_unpool2d`` does, where windows do not overlap."""
    net = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3 * 9, 2))
    image = torch.randn(1, 3, 6, 6)
    weights = net[2].weight[1].view(1, 3, 3, 3).detach()
    _, switches = F.max_pool2d(image, 2, return_indices=True)
    found = explain.deconvnet(net, image, 1)
    assert torch.equal(found.values, F.max_unpool2d(weights, switches, 2))


def test_zfnet_as_its_paper_has_it():
    """The whole way back by hand, from a channel of its second layer."""
    torch.manual_seed(0)
    model = make_small("zfnet").eval()
    image = torch.randn(1, 3, 64, 64)
    layers = model.features

    found = explain.deconvnet(nn.Sequential(*layers[:6]), image, 7, layer="4")
    conv1, conv2 = layers[0], layers[4]
    with torch.no_grad():
        first = conv1(image).relu()
        pooled, switches = F.max_pool2d(first, 3, 2, ceil_mode=True, return_indices=True)
        second = conv2(layers[3](pooled))
        top = torch.zeros_like(second)
        place = int(second[0, 7].argmax())
        top[0, 7].view(-1)[place] = 1
        back = F.conv_transpose2d(top, conv2.weight, stride=2)
        back = F.pad(back, (0, pooled.shape[3] - back.shape[3], 0, pooled.shape[2] - back.shape[2]))
        added = torch.zeros_like(first).flatten(2)  # windows overlap, and add up
        added.scatter_add_(2, switches.flatten(2), back.flatten(2))
        rectified = added.view_as(first).relu()
        padding = [(n + 2 - 7) % 2 for n in (64, 64)]
        image_back = F.conv_transpose2d(
            rectified, conv1.weight, stride=2, padding=1, output_padding=padding
        )
    torch.testing.assert_close(found.values, image_back, atol=1e-7, rtol=1e-3)


@pytest.mark.parametrize("method", [explain.deconvnet, explain.guided_backprop])
def test_an_exported_program(method):
    """Its functions are the overloads that torch calls inside."""
    model, images = Through(nn.ReLU()).eval(), torch.randn(SHAPE)
    exported = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(method(exported, images, 1).values, method(model, images, 1).values)
    other = torch.export.export(Through(nn.SiLU()).eval(), (images,)).module()
    with pytest.raises(ValueError, match=r"must have no activations but ReLU, and .* has silu"):
        method(other, images, 1)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.parametrize(
    "make", [torch.jit.script, lambda m: torch.jit.trace(m, torch.ones(SHAPE))]
)
@pytest.mark.parametrize("whole", [True, False])
def test_what_torch_jit_hides(make, whole):
    """A map would be of other gradients, or of another layer, and nothing would tell."""
    plain, images = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.randn(SHAPE)
    model = make(plain) if whole else nn.Sequential(make(plain))
    model = nn.Sequential(model, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    calls = (
        explain.deconvnet,
        explain.guided_backprop,
        explain.cam,
        explain.grad_cam,
        explain.activations,
        explain.neighbours,
        lambda model, images: explain.grad_cam(model, images, layer="0"),
        lambda model, images: explain.top_patches(model, images, "0"),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"model must not be scripted or traced by torch\.jit"):
            call(model, images)
    found = explain.saliency(model, images, 1)  # which needs no layers
    assert found.maps.shape == (2, 6, 6) and bool((found.maps > 0).any())
