"""A frozen body stays what it was, to the bit; head and body learn at their own rates."""

import copy

import pytest
import torch
from torch import nn

from fastcv.learn import fit, freeze, new_head, normalised_batches, two_rates, unfreeze
from fastcv.models import create_model, load_model, save_model

pytestmark = pytest.mark.usefixtures("quick_curves")


def data(classes=2, length=16):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(length, 3, 32, 32, generator=generator)
    labels = torch.arange(length) % classes
    images[:, 0] = labels.view(-1, 1, 1) / classes  # the red says it
    return torch.utils.data.TensorDataset(images, labels)


def train(model, out, optimizer, **options):
    given = dict(epochs=2, batch_size=8, devices="cpu", progress=False, tensorboard=False)
    return fit(
        model,
        data(),
        optimizer=optimizer,
        collate_fn=normalised_batches(model),
        out=out,
        **{**given, **options},
    )


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    model = create_model("resnet18", num_classes=5, width=4)
    model(torch.rand(4, 3, 32, 32))  # so that norms have statistics
    return model


def adam(parameters):
    return torch.optim.AdamW(parameters, lr=0.02, weight_decay=0.1)


def test_frozen_body(trained, tmp_path):
    model = copy.deepcopy(trained)
    freeze(model)
    head = new_head(model, ("cat", "dog"))
    initial = head.weight.clone()
    history = train(model, tmp_path, adam, ema_decay=0.9, epochs=8)
    after = model.state_dict()
    for name, before in trained.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(after[name], before), name
    assert any(name.endswith("running_mean") for name in after)
    assert not torch.equal(head.weight, initial)
    assert history.steps[-1]["loss"] < history.steps[0]["loss"]


def test_without_freezing_statistics_move(trained, tmp_path):
    """What the test above would not see if norms had nothing to learn here."""
    model = copy.deepcopy(trained)
    model.requires_grad_(False)
    new_head(model, ("cat", "dog"))
    train(model, tmp_path, adam)
    assert not torch.equal(model.bn1.running_mean, trained.bn1.running_mean)


def test_frozen_layers_are_in_eval_mode_whatever_train_says():
    layers = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3), nn.Linear(3, 3))
    x = torch.rand(8, 3)
    expected = copy.deepcopy(layers).eval()(x)
    freeze(layers)
    assert torch.equal(layers.train()(x), expected)
    assert torch.equal(copy.deepcopy(layers).train()(x), expected)
    unfreeze(layers)
    assert not torch.equal(layers.train()(x), expected)
    assert layers[1].num_batches_tracked == 1
    assert all(p.requires_grad for p in layers.parameters())


def test_two_rates(trained, tmp_path):
    """One step of SGD: each parameter moves by its rate times its gradient."""
    model = copy.deepcopy(trained)
    head = new_head(model, ("cat", "dog"))
    before = copy.deepcopy(model)
    train(
        model,
        tmp_path,
        two_rates(head, torch.optim.SGD, head_lr=0.1, body_lr=0.001),
        epochs=1,
        batch_size=16,
    )
    before.train()
    images, labels = normalised_batches(before)(list(data()))
    before.loss(before(images), labels)["cross_entropy"].backward()
    for (name, old), new in zip(before.named_parameters(), model.parameters(), strict=True):
        rate = 0.1 if name.startswith("fc.") else 0.001
        torch.testing.assert_close(old - new, rate * old.grad, atol=1e-6, rtol=2e-3)


def test_other_body_rate_is_another_run(trained, tmp_path):
    for rate, complaint in ((0.001, None), (0.002, r"lr by group \[0.001, 0.1\].* and is now")):
        model = copy.deepcopy(trained)
        head = new_head(model, ("cat", "dog"))
        optimizer = two_rates(head, torch.optim.SGD, head_lr=0.1, body_lr=rate)
        if complaint is None:
            train(model, tmp_path, optimizer, epochs=1)
        else:
            with pytest.raises(ValueError, match=complaint):
                train(model, tmp_path, optimizer, epochs=1)


def test_resumed_is_the_same(trained, tmp_path):
    def run(folder, epochs):
        model = copy.deepcopy(trained)
        freeze(model)
        torch.manual_seed(1)
        new_head(model, ("cat", "dog"))
        train(model, folder, adam, epochs=epochs)
        return model.state_dict()

    whole = run(tmp_path / "whole", 3)
    run(tmp_path / "parts", 1)
    assert all(torch.equal(v, whole[k]) for k, v in run(tmp_path / "parts", 3).items())


def test_saved_with_its_new_head(trained, tmp_path):
    model = copy.deepcopy(trained)
    new_head(model, ("cat", "dog", "cow"))
    save_model(tmp_path / "animals.safetensors", model)
    again = load_model(tmp_path / "animals.safetensors")
    assert again.classes == ("cat", "dog", "cow")
    assert torch.equal(again.fc.weight, model.fc.weight)


def test_which_head():
    model = create_model("resnet18", num_classes=5, width=4)
    model.classes = ("a", "b")
    with pytest.raises(
        ValueError, match=r"which layer of ResNet is the head.* pass head, one of fc"
    ):
        new_head(model, ("cat",))
    with pytest.raises(ValueError, match="head must be one of fc, got 'top'"):
        new_head(model, ("cat",), head="top")
    assert new_head(model, ("cat",), head="fc").out_features == 1
