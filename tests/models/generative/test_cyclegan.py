"""The ResNet's keys, losses by hand, the pool, and a run that goes on to the bit."""

from functools import partial

import pytest
import torch
from torch import nn

import fastcv
from fastcv.data import Unpaired, pair_of_batches
from fastcv.learn import fit
from fastcv.learn.schedules import constant_then_linear
from fastcv.models._weights import Source, load_weights
from fastcv.models.generative._image_pool import ImagePool
from fastcv.models.generative._patch_discriminator import PatchDiscriminator
from fastcv.models.generative.cyclegan import CycleGAN
from fastcv.models.generative.resnet_generator import ResNetGenerator


def small(**options):
    torch.manual_seed(0)
    return ResNetGenerator(2, width=4, **options)


# The generator.


def test_count_and_keys():
    with torch.device("meta"):
        model = fastcv.create_model("cyclegan_resnet9")
    assert sum(p.numel() for p in model.parameters()) == 11_378_179
    layers = ["1", "4", "7", "19", "22", "26"]
    layers += [f"{i}.conv_block.{j}" for i in range(10, 19) for j in (1, 5)]
    expected = {f"model.{layer}.{name}" for layer in layers for name in ("weight", "bias")}
    assert set(model.state_dict()) == expected


def test_forward_by_its_keys():
    model = small().eval()
    state = {key.removeprefix("model."): value for key, value in model.state_dict().items()}
    x = torch.rand(2, 3, 16, 24) * 2 - 1

    def norm(x):
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction=0)
        return (x - mean) / (variance + 1e-5).sqrt()

    def conv(key, x, reflect=0, f=nn.functional.conv2d, **options):
        x = nn.functional.pad(x, [reflect] * 4, mode="reflect")
        return f(x, state[f"{key}.weight"], state[f"{key}.bias"], **options)

    y = norm(conv("1", x, 3)).relu()
    for key in ("4", "7"):
        y = norm(conv(key, y, stride=2, padding=1)).relu()
    for block in ("10", "11"):
        z = norm(conv(f"{block}.conv_block.1", y, 1)).relu()
        y = y + norm(conv(f"{block}.conv_block.5", z, 1))  # no ReLU after the sum
    for key in ("12", "15"):
        up = nn.functional.conv_transpose2d
        y = norm(conv(key, y, f=up, stride=2, padding=1, output_padding=1)).relu()
    expected = conv("19", y, 3).tanh()
    torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("of_file", [False, True])
@pytest.mark.parametrize("of_model", [False, True])
def test_files_with_and_without_dropout(norm, of_file, of_model):
    """Dropout moves a block's second convolution from 5 to 6, and its batch norm to 7."""
    file, model = (
        small(norm=norm, dropout=of_file).eval(),
        small(norm=norm, dropout=of_model).eval(),
    )
    second = {False: "5", True: "6"}
    assert f"model.10.conv_block.{second[of_file]}.weight" in file.state_dict()
    assert f"model.10.conv_block.{second[of_model]}.weight" in model.state_dict()
    model.load_state_dict({key: value + 0.01 for key, value in file.state_dict().items()})
    file.load_state_dict({key: value + 0.01 for key, value in file.state_dict().items()})
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(file(x), model(x))


def test_a_public_file_is_one_generator(tmp_path):
    """Old ones hold statistics; the system gets another generator, and discriminators."""
    state = {key: value + 0.01 for key, value in small().state_dict().items()}
    norms = [name for name, m in small().named_modules() if isinstance(m, nn.InstanceNorm2d)]
    old = {f"{n}.{s}": torch.ones(4) for n in norms for s in ("running_mean", "running_var")}
    torch.save({**state, **old}, tmp_path / "latest_net_G_A.pth")
    model = small()
    load_weights(model, Source(tmp_path / "latest_net_G_A.pth"))
    system = model.gan(image_size=16)
    assert system.generator_a is model
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    there, back = system.generator_a.state_dict(), system.generator_b.state_dict()
    assert not torch.equal(there["model.1.weight"], back["model.1.weight"])
    assert abs(back["model.10.conv_block.1.weight"].std().item() - 0.02) < 0.002


def test_another_way_back():
    there, back = small(in_channels=1), small(out_channels=1)
    system = there.gan(back, image_size=32, identity_weight=0)
    output = system((torch.rand(2, 1, 32, 32), torch.rand(2, 3, 32, 32)))
    assert [x.shape[1] for x in output] == [1, 3, 3, 1, 1, 3]
    for player in system.players:
        assert all(term.isfinite() for term in system.loss(output, None, player=player).values())
    with pytest.raises(ValueError, match="back is needed: this generator makes 3 channels of 1"):
        there.gan()


def test_refuses_what_it_cannot_take():
    for wrong in ((1, 3, 18, 16), (1, 4, 16, 16), (1, 3, 4, 16)):
        with pytest.raises(ValueError, match="multiples of 4, at least 8, got"):
            small()(torch.zeros(wrong))


# Losses.


class Scale(nn.Module):
    """Pictures times a number, which notes how often it ran."""

    in_channels = 3

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.runs = 0

    def forward(self, x):
        self.runs += 1
        return self.factor * x


def toy(**options):
    torch.manual_seed(0)
    return CycleGAN(
        Scale(0.5), Scale(-0.8), Scale(2.0), Scale(3.0), image_size=(4, 5), pool_size=3, **options
    )


def kinds(n=2):
    return torch.rand(2, n, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def test_losses_by_hand():
    system, (a, b) = toy(), kinds()
    output = system((a, b))
    x, y = a * 2 - 1, b * 2 - 1
    for found, expected in zip(output, (x, y, 0.5 * x, -0.4 * x, -0.8 * y, -0.4 * y), strict=True):
        torch.testing.assert_close(found, expected)
    terms = system.loss(output, None, player="generators")
    expected = {
        "adversarial_a": (2 * 0.5 * x - 1).square().mean(),  # discriminator_a judges b
        "adversarial_b": (3 * -0.8 * y - 1).square().mean(),
        "cycle_a": 10 * (1.4 * x).abs().mean(),
        "cycle_b": 10 * (1.4 * y).abs().mean(),
        "identity_a": 5 * (0.5 * y).abs().mean(),
        "identity_b": 5 * (1.8 * x).abs().mean(),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)
    terms = system.loss(output, None, player="discriminators")  # the pools are empty: as they are
    expected = {
        "real_a": (2 * y - 1).square().mean() / 2,
        "fake_a": x.square().mean() / 2,
        "real_b": (3 * x - 1).square().mean() / 2,
        "fake_b": (2.4 * y).square().mean() / 2,
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)
    assert list(system.players) == ["generators", "discriminators"]


def test_who_a_loss_reaches():
    system, images = toy(), tuple(kinds())
    sum(system.loss(system(images), None, player="discriminators").values()).backward()
    assert system.generator_a.factor.grad is system.generator_b.factor.grad is None
    assert system.discriminator_a.factor.grad and system.discriminator_b.factor.grad


def test_weights_of_zero_leave_out():
    images = tuple(kinds())
    for options, names in (
        ({"identity_weight": 0}, {"adversarial", "cycle"}),
        ({"cycle_weight": 0}, {"adversarial"}),  # the identity's weight is times that
    ):
        system = toy(**options)
        terms = system.loss(system(images), None, player="generators")
        assert {name.partition("_")[0] for name in terms} == names
    for name in ("cycle", "identity"):
        with pytest.raises(ValueError, match=f"{name}_weight must be 0 or more, got -1"):
            toy(**{f"{name}_weight": -1})


def test_wrong_arguments():
    system, (a, b) = toy(), kinds()
    for wrong in (a, [a], (a, 1), (a[0], b[0])):
        with pytest.raises(TypeError, match=r"images must be a pair \(a, b\) of batches"):
            system(wrong)
    with pytest.raises(
        ValueError, match="player must be one of generators, discriminators, got 'g"
    ):
        system.loss(system((a, b)), None, player="generator")
    with pytest.raises(ValueError, match=r"the pool keeps pictures \[3, 4, 5\], got \[3, 8, 8\]"):
        system.loss(system((torch.rand(1, 3, 8, 8),) * 2), None, player="discriminators")


# The pool.


def test_a_pool_by_its_definition():
    """Written out with a list: the first go in; then half give an old one, and take its place."""
    pool, kept, olds = ImagePool(5, (1, 1, 1)), [], 0
    for i in range(200):
        picture = torch.full((1, 1, 1, 1), float(i + 1))
        torch.manual_seed(i)
        found = pool(picture).item()
        torch.manual_seed(i)
        if len(kept) < 5:
            kept.append(i + 1)
            expected = i + 1
        elif torch.rand(()) > 0.5:
            place = int(torch.randint(5, ()))
            expected, kept[place] = kept[place], i + 1
            olds += 1
        else:
            expected = i + 1
        assert found == expected and pool.pictures.flatten()[: len(kept)].tolist() == kept
    assert 75 < olds < 120 and len(set(kept)) == 5


def test_a_pool_of_none_gives_back_what_it_gets():
    pictures = torch.rand(4, 3, 2, 2, requires_grad=True)
    found = ImagePool(0, (3, 2, 2))(pictures)
    assert torch.equal(found, pictures) and not found.requires_grad
    with pytest.raises(ValueError, match="size must be 0 or more, got -1"):
        ImagePool(-1, (3, 2, 2))


def test_what_a_pool_gave_does_not_change():
    pool = ImagePool(1, (1, 1, 1))
    given = [pool(torch.full((1, 1, 1, 1), float(i))) for i in range(30)]
    values = [x.item() for x in given]
    assert len(set(values)) > 10 and values[0] == 0
    assert all(x.item() == value for x, value in zip(given, values, strict=True))


# In the loop.


class Pictures:
    """Random ones, which differ by kind."""

    def __init__(self, n, shift):
        self.values = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(n)) / 2 + shift

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]


class Interrupted(Exception):
    pass


def make_system():
    torch.manual_seed(0)
    judges = [PatchDiscriminator(3, width=4, layers=1, norm="instance") for _ in "ab"]
    generator = ResNetGenerator(1, width=4)
    return generator.gan(judges=judges, image_size=8, pool_size=3)


def train(system, out, **options):
    adam = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999))
    return fit(
        system,
        Unpaired(Pictures(7, 0), Pictures(4, 0.5)),
        epochs=3,
        batch_size=1,
        optimizer=dict.fromkeys(system.players, adam),
        scheduler=constant_then_linear(),
        collate_fn=pair_of_batches,
        out=out,
        devices="cpu",
        progress=False,
        tensorboard=False,
        **options,
    )


def test_an_interrupted_run_goes_on_to_the_bit(tmp_path, monkeypatch):
    """Cut off in an epoch: weights, pools and the state of both optimisers are as in one go."""
    monkeypatch.setattr(fastcv.learn.History, "draw", lambda self, path: path.touch())
    whole = make_system()
    told = train(whole, tmp_path / "whole")

    cut = make_system()
    steps, loss = [], cut.loss

    def loses_power(*args, player):
        steps.append(player)
        if len(steps) > 2 * 5:  # in the sixth step of the first epoch
            raise Interrupted
        return loss(*args, player=player)

    cut.loss = loses_power
    with pytest.raises(Interrupted):
        train(cut, tmp_path / "cut", save_every=5)
    position = torch.load(tmp_path / "cut/last.pt", weights_only=True)["position"]
    assert position == (0, 5)  # of the first epoch's seven steps; the eighth never was
    again = make_system()
    told_again = train(again, tmp_path / "cut")

    assert told.steps == told_again.steps and len(told.steps) == 21
    a, b = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "cut"))
    assert a["model"].keys() == b["model"].keys()
    assert {"pool_a.pictures", "pool_a.filled", "pool_b.pictures"} <= a["model"].keys()
    assert a["model"]["pool_b.filled"] == 3
    assert all(torch.equal(a["model"][key], b["model"][key]) for key in a["model"])
    for ours, theirs in zip(a["optimizers"], b["optimizers"], strict=True):
        assert ours["param_groups"] == theirs["param_groups"]
        assert ours["state"].keys() == theirs["state"].keys() and ours["state"]
        for key, state in ours["state"].items():
            assert all(torch.equal(state[name], theirs["state"][key][name]) for name in state)


def test_pools_matter_to_a_resumed_run(tmp_path, monkeypatch):
    """Or the test above would show nothing: with other pictures in the pools it ends elsewhere."""
    monkeypatch.setattr(fastcv.learn.History, "draw", lambda self, path: path.touch())
    told = train(make_system(), tmp_path / "whole")
    system = make_system()
    with torch.no_grad():
        for pool in (system.pool_a, system.pool_b):
            pool.pictures.fill_(0.5)
            pool.filled.fill_(3)
    other = train(system, tmp_path / "other")
    assert told.steps[-1] != other.steps[-1]


def test_each_generator_runs_twice_a_step_and_once_more_for_identity(tmp_path, monkeypatch):
    monkeypatch.setattr(fastcv.learn.History, "draw", lambda self, path: path.touch())
    system = make_system()
    runs = dict.fromkeys(("generator_a", "generator_b"), 0)
    for name in runs:

        def count(*_, name=name):
            runs[name] += 1

        getattr(system, name).register_forward_hook(count)
    told = train(system, tmp_path)
    assert runs == {"generator_a": 3 * len(told.steps), "generator_b": 3 * len(told.steps)}
    assert list(told.steps[0])[2].startswith("generators/")  # they go first


def test_a_nan_stops_all_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(fastcv.learn.History, "draw", lambda self, path: path.touch())
    system = make_system()
    loss = system.loss

    def breaks(output, targets, *, player):
        terms = loss(output, targets, player=player)
        broken = player == "discriminators" and len(seen) >= 9
        seen.append(player)
        return {name: term * float("nan") if broken else term for name, term in terms.items()}

    seen = []
    system.loss = breaks
    with pytest.raises(ValueError, match="the loss term discriminators/real_a is nan in epoch 1"):
        train(system, tmp_path, save_every=2)
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    assert kept["position"] == (0, 4)
    assert all(value.isfinite().all() for value in kept["model"].values())
