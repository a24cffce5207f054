"""Every method of ``fastcv.explain`` that takes a model; a network in use, and its state."""

from __future__ import annotations

import functools

import torch
from small_models import make_small
from torch import nn
from torch.nn import functional as F

from fastcv import explain

METHODS = {
    "activations": lambda m, x: explain.activations(m, x),
    "activation_grid": lambda m, x: explain.activation_grid(m, x[:1]),
    "occlusion": lambda m, x: explain.occlusion(m, x, 1, window=8, stride=8),
    "saliency": lambda m, x: explain.saliency(m, x, 1),
    "smoothgrad": lambda m, x: explain.saliency(m, x, samples=3),
    "deconvnet": lambda m, x: explain.deconvnet(m, x),
    "guided_backprop": lambda m, x: explain.guided_backprop(m, x, [1] * len(x)),
    "cam": lambda m, x: explain.cam(m, x),
    "grad_cam": lambda m, x: explain.grad_cam(m, x, 1),
    "grad_cam of a layer": lambda m, x: explain.grad_cam(m, x, layer="first"),
    "guided_grad_cam": lambda m, x: explain.guided_grad_cam(m, x, 2),
    "dissect": lambda m, x: explain.dissect(
        m, "first", x, lambda pictures: (pictures[:, 0] > 0.5).long(), concepts=("dark", "red")
    ),
    "unit_quantiles": lambda m, x: explain.unit_quantiles(m, "first", x),
    "neighbours": lambda m, x: explain.neighbours(m, x, layer="second").query(x, 1),
    "neighbours, auto": lambda m, x: explain.neighbours(m, x),
    "top_patches": lambda m, x: explain.top_patches(m, x, ["first", "second"], 2),
    "top_patches, back": lambda m, x: explain.top_patches(m, x, "second", 2).gallery(
        "second", [1], deconvnet=True
    ),
    "faithfulness": lambda m, x: explain.faithfulness(m, x, {"a": x[:, 0]}, steps=2),
    "visualise_class": lambda m, x: explain.visualise_class(
        m, 1, start=list(x), steps=4, blur=0.5, jitter=1, octaves=2
    ),
    "receptive_field": lambda m, x: explain.receptive_field(m, "second", (16, 16)),
    "class_maps": lambda m, x: explain.class_maps(m, x[0], [1]),
    "detection_steps": lambda m, x: explain.detection_steps(m, x[0], score_threshold=0.0),
}
# What takes a model and does not run it; their own tests see that they leave it as it was.
DOES_NOT_RUN_IT = {
    "to_cam": "a new one is made",
    "filters": "weights are read",
    "edit_units": "the user runs it, inside the block",
}
# Methods of models of another kind than ``Net``.
OWN_MODELS = {"class_maps": "vgg16_cam", "detection_steps": "ssd_resnet18"}


class Net(nn.Module):
    """Batch norm, dropout, a random number, ReLUs of three kinds; and it may break."""

    def __init__(self, breaks=False):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(True))
        self.second = nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.Dropout2d())
        self.fc = nn.Linear(8, 5)
        self.breaks = breaks

    def forward(self, images):
        x = self.first(images)
        x = F.relu(self.second(x)).clamp(min=0) + 0 * torch.rand(1).to(x)
        if self.breaks:
            raise KeyError("the model's own fault")
        return self.fc(x.mean(dim=(2, 3)))


def state_of(model):
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "training": [module.training for module in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grad": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "tensors": {name: (id(t), t.detach().clone()) for name, t in tensors.items()},
        "hooks": [
            len(hooks)
            for module in model.modules()
            for hooks in (
                module._forward_hooks,
                module._forward_pre_hooks,
                module._backward_hooks,
                module._forward_hooks_always_called,
            )
        ],
        "random": torch.get_rng_state(),
        "grad mode": torch.is_grad_enabled(),
        "modes": torch._C._len_torch_function_stack(),
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in ("training", "requires_grad", "hooks", "grad mode", "modes"):
        assert a[name] == b[name], name
    assert torch.equal(a["random"], b["random"])
    for one, other in zip(a["grad"], b["grad"], strict=True):
        assert one is other is None or torch.equal(one, other)
    for name, (of, value) in a["tensors"].items():
        assert of == b["tensors"][name][0] and torch.equal(value, b["tensors"][name][1]), name


def net_in_use(name="", breaks=False):
    """In training, a part in eval, a part frozen, gradients on the rest; and images for it."""
    torch.manual_seed(0)
    if name in OWN_MODELS:
        net = make_small(OWN_MODELS[name]).train()
        if breaks:
            net.forward = functools.partial(break_behind, net.forward)
        images = torch.rand(2, 3, 96, 96)
    else:
        net, images = Net(breaks).train(), torch.randn(2, 3, 16, 16)
    first = next(module for module in net.modules() if not [*module.children()])
    first.eval().requires_grad_(False)
    for parameter in list(net.parameters())[-2:]:
        parameter.grad = torch.randn_like(parameter)
    return net, images


def break_behind(forward, *args, **kwargs):
    forward(*args, **kwargs)
    raise KeyError("the model's own fault")
