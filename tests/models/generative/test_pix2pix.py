"""The U-Net's keys and layers, the discriminator's patch, and both losses by hand."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

import fastcv
from fastcv.learn import fit
from fastcv.learn._batches import Order
from fastcv.learn.schedules import constant_then_linear
from fastcv.models._weights import Source, load_weights
from fastcv.models.generative._gan_layers import draw_weights
from fastcv.models.generative._patch_discriminator import PatchDiscriminator
from fastcv.models.generative.pix2pix import Pix2Pix
from fastcv.models.generative.unet_generator import UNetGenerator


def count(module):
    return sum(p.numel() for p in module.parameters())


def small(**options):
    torch.manual_seed(0)
    return UNetGenerator(5, width=4, **options)


# Networks.


@pytest.mark.parametrize(
    ("name", "expected", "dropouts"),
    [
        ("pix2pix_unet256", 54_413_955, 3),
        ("pix2pix_unet128", 41_828_995, 2),
        ("pix2pix_unet64", 29_244_035, 1),
    ],
)
def test_counts(name, expected, dropouts):
    with torch.device("meta"):
        model = fastcv.create_model(name)
    assert count(model) == expected
    assert sum(isinstance(m, nn.Dropout) for m in model.modules()) == dropouts


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("downs", [5, 6, 8])
def test_keys(downs, norm):
    """As the published code nests them: from each level the next is its module 1, or 3."""
    with torch.device("meta"):
        found = {k for k, _ in UNetGenerator(downs, width=4, norm=norm).named_parameters()}
    expected = {"model.model.0.weight", "model.model.3.weight", "model.model.3.bias"}
    biases, norms = norm == "instance", norm == "batch"
    expected |= {"model.model.0.bias"} if biases else set()
    prefix = "model.model.1."
    for level in range(1, downs):
        innermost = level == downs - 1
        convolutions, of_norms = ((1, 3), (4,)) if innermost else ((1, 5), (2, 6))
        for i in convolutions:
            expected.add(f"{prefix}model.{i}.weight")
            expected |= {f"{prefix}model.{i}.bias"} if biases else set()
        for i in of_norms if norms else ():
            expected |= {f"{prefix}model.{i}.weight", f"{prefix}model.{i}.bias"}
        prefix += "model.3."
    assert found == expected


def by_keys(state, downs, x):
    """The U-Net in eval mode, written from the list of keys: ReLUs write over their input."""

    def norm(key, x):
        statistics = [state[f"{key}.{name}"] for name in ("running_mean", "running_var")]
        return F.batch_norm(x, *statistics, state[f"{key}.weight"], state[f"{key}.bias"])

    def conv(key, x):
        return F.conv2d(x, state[f"{key}.weight"], stride=2, padding=1)

    def up(key, x, bias=None):
        return F.conv_transpose2d(x, state[f"{key}.weight"], bias, stride=2, padding=1)

    def level(prefix, depth, x):
        F.leaky_relu_(x, 0.2)  # the skip below has it too
        y = conv(f"{prefix}model.1", x)
        if depth == downs - 1:
            y = norm(f"{prefix}model.4", up(f"{prefix}model.3", F.relu_(y)))
        else:
            y = level(f"{prefix}model.3.", depth + 1, norm(f"{prefix}model.2", y))
            y = norm(f"{prefix}model.6", up(f"{prefix}model.5", F.relu_(y)))
        return torch.cat([x, y], 1)

    y = F.relu(level("model.model.1.", 1, conv("model.model.0", x)))
    return up("model.model.3", y, state["model.model.3.bias"]).tanh()


def test_forward_by_its_keys():
    model = small().eval()
    for module in model.modules():  # statistics of a net that has learned
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    x = torch.rand(2, 3, 64, 32) * 2 - 1
    expected = by_keys(model.state_dict(), 5, x.clone())
    torch.testing.assert_close(model(x), expected)
    assert expected.std() > 1e-4


def test_gradients_through_what_is_written_over():
    model = small(dropout=False).double()
    x = (torch.rand(1, 3, 32, 32, dtype=torch.double) - 0.5).requires_grad_()
    model.eval()
    direction = torch.randn_like(x)
    model(x).square().sum().backward()
    step = 1e-6
    with torch.no_grad():
        sides = [model(x + sign * step * direction).square().sum() for sign in (1, -1)]
    slope = (sides[0] - sides[1]) / (2 * step)
    torch.testing.assert_close((x.grad * direction).sum(), slope, rtol=1e-5, atol=1e-9)


def test_first_weights():
    torch.manual_seed(0)
    model = PatchDiscriminator(6)
    kernels = torch.cat([m.weight.flatten() for m in model.modules() if isinstance(m, nn.Conv2d)])
    assert kernels.mean().abs() < 1e-4 and abs(kernels.std().item() - 0.02) < 1e-4
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    weights = torch.cat([m.weight for m in norms])
    assert abs(weights.mean().item() - 1) < 3e-3 and abs(weights.std().item() - 0.02) < 2e-3
    assert not any(p.any() for key, p in model.named_parameters() if key.endswith("bias"))


def test_refuses_what_it_cannot_take():
    for wrong in ((1, 3, 48, 32), (1, 4, 32, 32), (1, 3, 32, 1)):
        with pytest.raises(ValueError, match=r"images must be \[B, 3, H, W\] .*multiples of 32"):
            small()(torch.zeros(wrong))
    with pytest.raises(ValueError, match="downs must be at least 5, got 4"):
        UNetGenerator(4)
    with pytest.raises(ValueError, match="norm must be 'batch' or 'instance', got 'group'"):
        UNetGenerator(5, norm="group")


# The discriminator.


def test_discriminator_of_patches():
    with torch.device("meta"):
        assert count(PatchDiscriminator(6)) == 2_768_705
        assert count(PatchDiscriminator(3, norm="instance")) == 2_764_737
        assert PatchDiscriminator(6)(torch.rand(1, 6, 256, 256)).shape == (1, 1, 30, 30)
        keys = dict(PatchDiscriminator(6).named_parameters())
    convolutions = {k for k, p in keys.items() if p.ndim == 4}
    assert convolutions == {f"model.{i}.weight" for i in (0, 2, 5, 8, 11)}
    assert {"model.0.bias", "model.11.bias"} <= keys.keys() and "model.5.bias" not in keys


def test_a_score_sees_70_pixels():
    model = PatchDiscriminator(3, width=2).double().eval()
    draw_weights(model)
    x = torch.randn(1, 3, 256, 256, dtype=torch.double, requires_grad=True)
    model(x)[0, 0, 15, 15].backward()
    for dim in (2, 3):
        seen = x.grad.abs().sum([d for d in range(4) if d != dim]).nonzero()
        assert seen.max() - seen.min() + 1 == 70


# Losses.


class Score(nn.Module):
    """A score of each pixel: the sum of the channels by a weight."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 2, channels))

    def forward(self, x):
        return (x * self.weight[:, None, None]).sum(1, keepdim=True)


class Tint(nn.Module):
    """Inputs times a number."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return self.factor * x


def test_losses_by_hand():
    system = Pix2Pix(Tint(), Score(6))
    a, b = torch.rand(2, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    output = system(a)
    x, y = a * 2 - 1, b * 2 - 1
    torch.testing.assert_close(output.inputs, x)
    torch.testing.assert_close(output.made, 0.5 * x)
    weight = system.discriminator.weight[:, None, None]
    real = (torch.cat([x, y], 1) * weight).sum(1).sigmoid()
    fake = (torch.cat([x, 0.5 * x], 1) * weight).sum(1).sigmoid()
    terms = system.loss(output, b, player="discriminator")
    assert list(terms) == ["real", "fake"]
    torch.testing.assert_close(terms["real"], -real.log().mean() / 2)
    torch.testing.assert_close(terms["fake"], -(1 - fake).log().mean() / 2)
    terms = system.loss(output, b, player="generator")
    assert list(terms) == ["adversarial", "l1"]
    torch.testing.assert_close(terms["adversarial"], -fake.log().mean())
    torch.testing.assert_close(terms["l1"], 100 * (y - 0.5 * x).abs().mean())
    assert list(system.players) == ["discriminator", "generator"]


def test_the_discriminators_loss_does_not_reach_the_generator():
    system = Pix2Pix(Tint(), Score(6))
    terms = system.loss(
        system(torch.rand(1, 3, 4, 4)), torch.rand(1, 3, 4, 4), player="discriminator"
    )
    sum(terms.values()).backward()
    assert system.generator.factor.grad is None and system.discriminator.weight.grad is not None


def test_a_weight_of_zero_leaves_out():
    a, b = torch.rand(2, 1, 3, 4, 4)
    alone = Pix2Pix(Tint(), Score(6), adversarial_weight=0)
    assert list(alone.players) == ["generator"]
    assert list(alone.loss(alone(a), b, player="generator")) == ["l1"]
    with pytest.raises(ValueError, match="player must be one of generator, got 'discriminator'"):
        alone.loss(alone(a), b, player="discriminator")
    adversarial = Pix2Pix(Tint(), Score(6), l1_weight=0)
    assert list(adversarial.loss(adversarial(a), b, player="generator")) == ["adversarial"]
    for wrong in ((0, 0), (-1, 1), (1, -1)):
        with pytest.raises(ValueError, match="l1_weight and adversarial_weight must be 0 or more"):
            Pix2Pix(Tint(), Score(6), l1_weight=wrong[0], adversarial_weight=wrong[1])


def test_wrong_targets():
    system = Pix2Pix(Tint(), Score(6))
    output = system(torch.rand(2, 3, 4, 4))
    for wrong in (
        None,
        7,
        [],
        torch.rand(2, 3, 4, 5),
        torch.rand(3, 4, 4),
        torch.ones(2, 3, 4, 4).long(),
    ):
        for player in system.players:
            with pytest.raises((TypeError, ValueError), match="targets must be"):
                system.loss(output, wrong, player=player)


# In the loop.


def pairs(n=12, side=32):
    torch.manual_seed(1)
    a = torch.rand(n, 3, 2, 2).repeat_interleave(side // 2, 2).repeat_interleave(side // 2, 3)
    return TensorDataset(a, 1 - a)


ADAM = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))


def train(system, data, out, *, optimizer=ADAM, **options):
    options = {"epochs": 2, "batch_size": 2, "progress": False, "tensorboard": False, **options}
    return fit(
        system,
        data,
        optimizer=dict.fromkeys(system.players, optimizer),
        out=out,
        devices="cpu",
        **options,
    )


@pytest.fixture
def quick_curves(monkeypatch):
    monkeypatch.setattr(fastcv.learn.History, "draw", lambda self, path: path.touch())


def make_system(**options):
    generator = small(**options)
    return generator.gan(PatchDiscriminator(6, width=4, layers=2))


def test_a_step_is_the_published_one(tmp_path, quick_curves):
    """Forward once; the discriminator's step on what was made; then the generator's, with the new
    discriminator. Written out, as the reference has it."""
    system = make_system(dropout=False)
    history = train(system, pairs(), tmp_path, scheduler=constant_then_linear())

    torch.manual_seed(0)
    net, judge = small(dropout=False), PatchDiscriminator(6, width=4, layers=2)
    of_net, of_judge = ADAM(net.parameters()), ADAM(judge.parameters())
    order = Order(12, batch_size=2, parts=1, seed=0)
    bce, data = nn.BCEWithLogitsLoss(), pairs()
    for step in range(12):
        rate = 2e-4 * min(1, (12 - step) / 6)
        for optimizer in (of_net, of_judge):
            optimizer.param_groups[0]["lr"] = rate
        order.epoch = step // 6
        a, b = (2 * x - 1 for x in data[[index for _, index in list(order)[step % 6]]])
        fake = net(a)
        told = judge(torch.cat([a, fake.detach()], 1)), judge(torch.cat([a, b], 1))
        loss = (
            bce(told[0], torch.zeros_like(told[0])) + bce(told[1], torch.ones_like(told[1]))
        ) / 2
        of_judge.zero_grad()
        loss.backward()
        of_judge.step()
        told = judge(torch.cat([a, fake], 1))
        wanted = bce(told, torch.ones_like(told)) + 100 * (fake - b).abs().mean()
        of_net.zero_grad()
        wanted.backward()
        of_net.step()
        row = history.steps[step]
        assert row["discriminator/loss"] == pytest.approx(loss.item(), rel=1e-5)
        assert row["generator/loss"] == pytest.approx(wanted.item(), rel=1e-5)
    ours, theirs = system.generator.state_dict(), net.state_dict()
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-3, atol=2e-5)


def test_it_learns(tmp_path, quick_curves):
    quick = partial(ADAM, lr=5e-3)
    history = train(make_system(), pairs(), tmp_path, epochs=8, optimizer=quick)
    first, last = history.steps[0]["generator/l1"], history.steps[-1]["generator/l1"]
    assert last < 0.8 * first


def test_a_nan_stops_both_and_keeps_the_last_good_checkpoint(tmp_path, quick_curves):
    data = pairs()
    train(make_system(), data, tmp_path, epochs=1)
    good = torch.load(tmp_path / "last.pt", weights_only=True)
    data.tensors[1][5] = float("nan")
    with pytest.raises(ValueError, match="the loss term discriminator/real is nan in epoch 2"):
        train(make_system(), data, tmp_path, epochs=2)
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    assert kept["position"] == good["position"] == (1, 0)
    assert all(torch.equal(kept["model"][key], value) for key, value in good["model"].items())


# Files.


def test_a_public_file_is_a_generator(tmp_path):
    """It loads into the generator, whatever wraps it; a system is made around that."""
    state = small().state_dict()
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "latest.pth")
    model = UNetGenerator(5, width=4)
    load_weights(model, Source(tmp_path / "latest.pth"))
    system = model.gan()
    assert system.generator is model
    assert all(torch.equal(v, state[k]) for k, v in system.generator.state_dict().items())


@pytest.mark.parametrize("make", [small, partial(PatchDiscriminator, 3, width=4)])
def test_old_files_of_instance_norms(make):
    """They hold statistics that no layer has; those of batch norms are read."""
    model = make(norm="instance")
    norms = [name for name, m in model.named_modules() if isinstance(m, nn.InstanceNorm2d)]
    state = {key: value + 1 for key, value in model.state_dict().items()}
    old = {f"{n}.{s}": torch.ones(4) for n in norms for s in ("running_mean", "running_var")}
    old |= {f"{name}.num_batches_tracked": torch.tensor(2) for name in norms}
    assert old
    model.load_state_dict({**state, **old})
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    with pytest.raises(RuntimeError, match="Unexpected key"):
        model.load_state_dict({**state, "model.99.weight": torch.zeros(1)})
    batch = make(norm="batch")
    state = {key: value + 1 for key, value in batch.state_dict().items()}
    batch.load_state_dict(state)
    assert all(torch.equal(v, state[k]) for k, v in batch.state_dict().items())
