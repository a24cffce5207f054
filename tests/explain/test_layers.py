"""Recording leaves a model as it was, and records what the layer returned."""

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fastcv.explain._layers import explaining, recording, the_map


class Net(nn.Module):
    """In-place and functional ReLUs, a layer called twice, a pool, two linear layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 5))

    def forward(self, images):
        x = F.relu(self.first(images), inplace=True)
        x = self.again(self.again(x))
        x = F.relu_(x)
        return self.head(self.pool(x).mean(dim=(2, 3)))


def test_a_record_is_what_the_layer_returned():
    """Also where the next function changes it in place; the gradient is by that, too."""
    torch.manual_seed(0)
    net, images = Net().eval(), torch.rand(2, 3, 10, 10)
    with recording(net, ["first", "again"], gradients=True) as records:
        output = net(images)
    first = net.first(images)
    assert torch.equal(records["first"], first)
    second = net.again(net.again(first.relu()))
    torch.testing.assert_close(records["again"], second)
    assert torch.equal(output, net(images))
    (grad,) = torch.autograd.grad(output[:, 2].sum(), records["again"])
    leaf = second.detach().requires_grad_()
    score = net.head(net.pool(leaf.relu()).mean(dim=(2, 3)))[:, 2].sum()
    torch.testing.assert_close(grad, torch.autograd.grad(score, leaf)[0])
    assert not net.first._forward_hooks and not net.again._forward_hooks


def test_gradients_of_several_layers_at_once():
    torch.manual_seed(0)
    net, images = Net().eval().requires_grad_(False), torch.rand(2, 3, 10, 10)
    with recording(net, ["first.0", "again"], gradients=True) as records:
        output = net(images)
    early, late = torch.autograd.grad(output.sum(), list(records.values()))
    assert early.abs().sum() > 0 and late.abs().sum() > 0


@pytest.mark.parametrize(
    ("layer", "hint"),
    [("firts", "did you mean 'first'"), ("head.9", "'head'"), ("zzz", "it has first, first.0")],
)
def test_an_unknown_layer(layer, hint):
    with pytest.raises(ValueError, match=rf"layer: the model has no '{layer}'.*{hint}"):  # noqa: SIM117
        with recording(Net(), [layer]):
            pass


@pytest.mark.parametrize("layer", [None, 3, b"first", ["first"], nn.ReLU()])
def test_a_layer_that_is_no_name(layer):
    got = rf"layer must be a name out of model\.named_modules\(\), got {type(layer).__name__}"
    with pytest.raises(TypeError, match=got):  # noqa: SIM117
        with recording(Net(), [layer]):
            pass


def last_map(model, images):
    with explaining(model), recording(model) as records:
        model(images.clone().requires_grad_())
    return the_map(records, "auto", len(images))


class VGGLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(True), nn.MaxPool2d(2))
        self.fc = nn.Linear(4 * 9, 5)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.features(x), 3).flatten(1))


class WithGate(nn.Module):
    """Squeeze and excitation: its 1x1 maps are no maps."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 5)

    def forward(self, x):
        x = self.conv(x)
        x = x * self.gate(F.adaptive_avg_pool2d(x, 1)).sigmoid()
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("model", "name", "shape"),
    [
        (Net(), "the last map", (4, 8, 8)),  # of a function, no layer
        (VGGLike(), "features.1", (4, 8, 8)),
        (WithGate(), "the last map", (4, 8, 8)),
        (nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 2, 1)), "0", (6, 8, 8)),  # a segmenter
    ],
)
def test_auto_is_the_last_map_before_the_pool(model, name, shape):
    found, maps = last_map(model, torch.rand(2, 3, 10, 10))
    assert (found, maps.shape) == (name, (2, *shape))
    assert maps.requires_grad


def test_threads_explain_one_model():
    """Flags come back after the last; records are a thread's own."""
    net = Net().train()
    net.first[1].eval()
    flags = [module.training for module in net.modules()]
    images = [torch.full((1, 3, 10, 10), float(i)) for i in range(6)]
    barrier, found, errors = threading.Barrier(6), {}, []

    def work(i):
        try:
            barrier.wait()
            for _ in range(20):
                with explaining(net), recording(net, ["first"]) as records:
                    assert not any(module.training for module in net.modules())
                    net(images[i])
                found[i] = records["first"]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [module.training for module in net.modules()] == flags
    net.eval()
    for i in range(6):
        torch.testing.assert_close(found[i], net.first(images[i]))


def test_weights_of_inference_mode():
    with torch.inference_mode():
        net = Net()
        images = torch.rand(2, 3, 10, 10)
    with torch.inference_mode(), explaining(net), recording(net, ["first"], gradients=True) as maps:
        output = net(images.clone())
        (grad,) = torch.autograd.grad(output.sum(), maps["first"])
    assert grad.shape == (2, 4, 8, 8) and not grad.is_inference()


def test_what_is_no_map():
    net = Net().eval()
    for layer, why in (("head", r"must give maps \[2, C, H, W\]"), ("zzz", "is not called")):
        if layer == "zzz":
            net.zzz = nn.Identity()
        with recording(net, [layer]) as records:
            net(torch.rand(2, 3, 10, 10))
        with pytest.raises(ValueError, match=why):
            the_map(records, layer, 2)
    with pytest.raises(ValueError, match="layer 'x' must return a tensor, got tuple"):
        the_map({"x": (1, 2)}, "x", 2)
    net = nn.Sequential(nn.Linear(3, 2))
    with recording(net) as records:
        net(torch.rand(2, 3))
    with pytest.raises(ValueError, match="found no map"):
        the_map(records, "auto", 2)
