"""Every method leaves the model as it was, also where that raises; and no tensor behind."""

import gc
import inspect
import threading

import pytest
import torch
from explained import (
    DOES_NOT_RUN_IT,
    METHODS,
    OWN_MODELS,
    Net,
    assert_same,
    net_in_use,
    state_of,
)
from small_models import make_small
from torch import nn

from fastcv import explain
from fastcv.models._mode import evaluating

MAPS = [name for name in METHODS if name not in ("receptive_field", *OWN_MODELS)]
every_method = pytest.mark.parametrize("name", METHODS)
every_map = pytest.mark.parametrize("name", MAPS)


def test_every_method_is_here():
    """All of ``fastcv.explain`` that takes a model."""
    functions = {name: getattr(explain, name) for name in explain.__all__}
    take_a_model = {
        name
        for name, function in functions.items()
        if inspect.isfunction(function) and "model" in inspect.signature(function).parameters
    }
    assert take_a_model - DOES_NOT_RUN_IT.keys() <= METHODS.keys()


@every_method
@pytest.mark.parametrize("breaks", [False, True], ids=["", "and breaks"])
def test_state(name, breaks):
    method, (net, images) = METHODS[name], net_in_use(name, breaks)
    before, copy = state_of(net), images.clone()
    if breaks:
        with pytest.raises(KeyError, match="the model's own fault"):
            method(net, images)
    else:
        method(net, images)
    assert_same(before, state_of(net))
    assert torch.equal(images, copy) and not images.requires_grad and images.grad is None


def tensor_of(found):
    """What a method gives, of those that give a tensor for each image."""
    return getattr(found, "maps", getattr(found, "images", None))


@every_map
def test_frozen_inference_and_no_grad(name):
    """The same map of a model without gradients, under no_grad, and of inference weights."""

    def run(net, images):
        return tensor_of(METHODS[name](net, images))

    net, images = net_in_use()
    expected = run(net, images)
    net.requires_grad_(False)
    with torch.no_grad():
        frozen = run(net, images)
    with torch.inference_mode():
        copy = Net()
        copy.load_state_dict(net.state_dict())
        inferred = run(copy, images.clone())
        assert next(copy.parameters()).is_inference()
    for found in (frozen, inferred):
        if expected is not None:
            torch.testing.assert_close(found, expected)
            assert not found.requires_grad


@every_map
def test_200_maps_in_a_row_leave_no_tensor(name):
    method, (net, images) = METHODS[name], net_in_use()
    images = images[:, :, :10, :10].repeat(2, 1, 1, 1)
    method(net, images)

    def alive():
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    gc.collect()
    before = alive()
    for _ in range(200 // len(images)):
        method(net, images)
    gc.collect()
    assert alive() <= before


def test_without_the_garbage_collector():
    """Nothing of a map waits in a cycle: on a GPU that is what fills the memory."""
    net, images = net_in_use()
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())
        for _ in range(20):
            explain.grad_cam(net, images)
            explain.guided_backprop(net, images)
        after = sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert after <= before


@pytest.mark.parametrize("name", ["grad_cam", "guided_backprop", "cam", "saliency"])
def test_threads(name):
    net, _ = net_in_use()
    net.eval()
    torch.manual_seed(1)
    batches = [torch.randn(2, 3, 16, 16) for _ in range(4)]
    expected = [METHODS[name](net, batch).maps for batch in batches]
    net.train()
    before = state_of(net)
    found, errors = {}, []

    def work(i):
        try:
            for _ in range(10):
                found[i] = METHODS[name](net, batches[i]).maps
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for i in range(4):
        torch.testing.assert_close(found[i], expected[i])
    after = state_of(net)
    before["random"] = after["random"]  # one generator for all threads
    assert_same(before, after)


@every_map
def test_autocast_and_half(name):
    method, (net, images) = METHODS[name], net_in_use()
    expected = method(net, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = method(net, images)
    half = method(net.to(torch.bfloat16), images)
    if tensor_of(expected) is not None:
        for found in map(tensor_of, (mixed, half)):
            assert found.dtype == torch.float32
            assert found.isfinite().all() and found.shape == tensor_of(expected).shape


@pytest.mark.parametrize("name", ["saliency", "guided_backprop", "grad_cam", "occlusion", "cam"])
def test_a_batch_is_its_images(name):
    """Each map of a batch, with its own target, is that of the image alone."""
    model, images = make_small("resnet18"), torch.randn(3, 3, 64, 64)
    method, targets = getattr(explain, name), [2, 0, 1]
    whole = method(model, images, targets)
    assert whole.targets == ("class 2", "class 0", "class 1")
    for i, target in enumerate(targets):
        alone = method(model, images[i : i + 1], target)
        torch.testing.assert_close(whole[i].maps, alone.maps, atol=1e-6, rtol=1e-3)
        torch.testing.assert_close(whole.scores[i], alone.scores[0])


def test_recomputed_layers():
    """Of a model that computes layers again for the gradient, the same."""
    images = torch.randn(1, 3, 64, 64)
    plain, again = (make_small("densenet121", memory_efficient=m) for m in (False, True))
    again.load_state_dict(plain.state_dict())
    for method in (explain.grad_cam, explain.guided_backprop, explain.deconvnet):
        one, other = method(plain, images, 1), method(again, images, 1)
        torch.testing.assert_close(one.maps, other.maps)


class FrozenTrunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

    def forward(self, images):
        with torch.no_grad():
            maps = self.trunk(images)
        return self.head(maps.relu()).mean(dim=(2, 3))


def test_a_trunk_without_gradients():
    """No gradient reaches the image; a layer behind, or the trunk's own end, has its map."""
    model, images = FrozenTrunk(), torch.randn(2, 3, 12, 12)
    with pytest.raises(ValueError, match=r"gradient by the image: .* runs a part under"):
        explain.saliency(model, images)
    for layer in ("head", "trunk"):
        found = explain.grad_cam(model, images, 1, layer=layer)
        with evaluating(model):
            maps = model.trunk(images).detach()
        leaf = maps.clone().requires_grad_()
        score = model.head(leaf.relu()).mean(dim=(2, 3))[:, 1]
        if layer == "trunk":
            weights = torch.autograd.grad(score.sum(), leaf)[0].mean(dim=(2, 3), keepdim=True)
            torch.testing.assert_close(found.cells, (weights * maps).sum(1).relu())
        torch.testing.assert_close(found.scores, score.detach())
