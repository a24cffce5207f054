"""The players: every term by hand, who a loss reaches, networks by shape, resume to the bit."""

import itertools
import math
from functools import partial

import pytest
import torch
from torch import nn

import fastcv
from fastcv.learn import fit
from fastcv.learn.schedules import constant_then_linear
from fastcv.models.generative._identity_judges import KINDS, KindsDiscriminator, PasswordReader
from fastcv.models.generative.face_identity_gan import (
    FaceIdentityGAN,
    IdentityOutput,
    IdentityWeights,
)
from fastcv.models.generative.face_identity_transformer import FaceIdentityTransformer
from fastcv.nn.backbones.sphereface import FaceEmbedding, SphereFace20a

PEOPLE = torch.tensor([0, 2])


def make_system(**options):
    torch.manual_seed(0)
    recogniser = SphereFace20a(3, image_size=(16, 16), width=4, embedding_size=6)
    generator = FaceIdentityTransformer(password_length=8, blocks=1, width=4)
    sizes = {"image_size": 32, "judge_width": 4, "judge_layers": 2, "pool_size": 3}
    return generator.gan(recogniser, **{**sizes, **options})


# Terms.


class Recogniser(nn.Module):
    """An embedding is the mean of red and that of green; people stand at 0, 90, 180 degrees."""

    def forward(self, faces):
        embeddings = (faces[:, :2] * 2 - 1).mean(dim=(2, 3))
        directions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        units = embeddings / embeddings.norm(dim=1)[:, None]
        return FaceEmbedding(embeddings, units @ directions.T)


FACTORS = dict(zip(KINDS, (1.0, 2.0, 3.0), strict=True))


class Scores(nn.Module):
    """At both sizes: the mean of blue, times a factor of the kind, and that plus one."""

    def forward(self, faces, kind):
        score = FACTORS[kind] * faces[:, 2].mean(dim=(1, 2))
        return [score, score + 1]


class Sure(nn.Module):
    """Gives the class 5 of every group a logit of one, and zeros to the others."""

    def forward(self, both):
        logits = torch.zeros(len(both), 2, 16)
        logits[:, :, 5] = 1.0
        return logits


def by_colours(**options):
    """A system with networks whose answers are plain, and faces of one colour each."""
    system = make_system(**options)
    system.recogniser, system.discriminator, system.reader = Recogniser(), Scores(), Sure()

    def face(*colours):
        return torch.tensor(colours)[:, :, None, None].expand(-1, -1, 32, 32)

    bits = torch.tensor([[0.0, 1, 0, 1, 0, 0, 0, 0], [1.0, 1, 1, 1, 0, 1, 0, 1]])
    output = IdentityOutput(
        real=face((0.5, 0.1, 0.2), (-0.4, 0.2, 0.0)),
        anonymised=face((0.1, 0.4, 0.3), (0.3, 0.3, -0.1)),
        anonymised_2=face((0.4, 0.1, 0.0), (-0.2, 0.2, 0.2)),
        recovered=face((0.4, 0.1, 0.2), (-0.5, 0.1, 0.1)),
        wrong=face((-0.1, 0.2, 0.5), (0.2, 0.1, 0.3)),
        wrong_2=face((0.2, 0.2, 0.1), (0.1, -0.3, 0.4)),
        password=bits,
        inverse=1 - bits,
        wrong_password=torch.tensor([[0.0, 1, 0, 1] * 2] * 2),
    )
    return system, output


def colours(faces):
    return faces[:, :, 0, 0].tolist()


def angle(faces):
    """The mean angle loss written out: m = 4, lambda = 5."""
    total = 0.0
    for (red, green, _), person in zip(colours(faces), PEOPLE.tolist(), strict=True):
        norm, turn = math.hypot(red, green), math.atan2(green, red)
        cosines = [math.cos(turn), math.cos(turn - math.pi / 2), math.cos(turn - math.pi)]
        t = math.acos(cosines[person])
        k = min(int(4 * t / math.pi), 3)
        logits = [norm * c for c in cosines]
        logits[person] = norm * ((-1) ** k * math.cos(4 * t) - 2 * k + 5 * cosines[person]) / 6
        total += math.log(sum(map(math.exp, logits))) - logits[person]
    return total / 2


def cosine(a, b):
    total = 0.0
    for (r, g, _), (s, h, _) in zip(colours(a), colours(b), strict=True):
        total += max(0.0, (r * s + g * h) / math.hypot(r, g) / math.hypot(s, h))
    return total / 2


def distance(a, b):
    pairs = zip(colours(a), colours(b), strict=True)
    return sum(abs(x - y) for p, q in pairs for x, y in zip(p, q, strict=True)) / 6


def squares(faces, kind, wanted):
    """The least squares of both sizes, summed."""
    scores = [FACTORS[kind] * blue for _, _, blue in colours(faces)]
    return sum((s - wanted) ** 2 + (s + 1 - wanted) ** 2 for s in scores) / len(scores)


def assert_terms(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_generators_terms_by_hand():
    system, o = by_colours()
    found = system.loss(o, PEOPLE, player="generator")
    # Of the groups of the three passwords: how many have the class 5, of 2 x 2 each.
    misread = math.log(15 + math.e)
    groups = {"password": [5, 0, 15, 5], "inverse": [10, 15, 0, 10], "wrong": [5, 5, 5, 5]}
    read = sum(sum(misread - (g == 5) for g in of) / 4 * 2 for of in groups.values())
    made = [o.anonymised, o.recovered, o.wrong]
    expected = {
        "gan": sum(squares(x, kind, 1.0) for x, kind in zip(made, KINDS, strict=True)) / 3,
        "password": read,
        "recognition": 2 * (-angle(o.anonymised) + angle(o.recovered) - angle(o.wrong)) / 3,
        "feature": 2 * cosine(o.anonymised, o.anonymised_2),
        "wrong_feature": cosine(o.wrong, o.wrong_2),
        "false_reconstruction": cosine(o.anonymised, o.wrong),
        "l1": 10 * distance(o.anonymised, o.real),
        "random_reconstruction": 10 * distance(o.wrong, o.real),
        "reconstruction": 100 * distance(o.recovered, o.real),
    }
    assert_terms(found, expected)


def test_discriminators_terms_by_hand():
    """Of anonymised and wrong faces there are two each; the pools fill, and give them back."""
    system, o = by_colours(pool_size=4)
    found = system.loss(o, PEOPLE, player="discriminator")
    made = {
        "anonymised": torch.cat([o.anonymised, o.anonymised_2]),
        "recovered": o.recovered,
        "wrong": torch.cat([o.wrong, o.wrong_2]),
    }
    expected = {}
    for kind, faces in made.items():
        expected[f"real_{kind}"] = squares(o.real, kind, 1.0) / 6
        expected[f"fake_{kind}"] = squares(faces, kind, 0.0) / 6
    assert_terms(found, expected)
    assert [int(system.pools[kind].filled) for kind in KINDS] == [4, 2, 4]


def test_recognisers_terms_by_hand():
    """It learns to know real and anonymised faces and those of wrong passwords, not recovered."""
    system, o = by_colours()
    expected = {
        "real": angle(o.real),
        "anonymised": angle(o.anonymised) / 3,
        "recovered": -angle(o.recovered) / 3,
        "wrong": angle(o.wrong) / 3,
    }
    assert_terms(system.loss(o, PEOPLE, player="recogniser"), expected)


def test_each_weight_is_of_its_terms():
    base, o = by_colours()
    before = {p: base.loss(o, PEOPLE, player=p) for p in base.players}
    for name in vars(IdentityWeights()):
        system, o = by_colours(weights=IdentityWeights(**{name: 0.0}))
        for player, terms in before.items():
            found = system.loss(o, PEOPLE, player=player)
            for term, value in found.items():
                gone = term == name or (name, player) in (
                    ("gan", "discriminator"),
                    ("recognition", "recogniser"),
                )
                assert value.item() == pytest.approx(0 if gone else terms[term].item(), rel=1e-5)
    with pytest.raises(ValueError, match="the weight of l1 must be 0 or more, got -1"):
        make_system(weights=IdentityWeights(l1=-1))


def test_the_papers_weights():
    assert vars(IdentityWeights()) == {
        "gan": 1,
        "recognition": 2,
        "password": 1,
        "feature": 2,
        "wrong_feature": 1,
        "false_reconstruction": 1,
        "l1": 10,
        "random_reconstruction": 10,
        "reconstruction": 100,
    }
    with torch.device("meta"):
        recogniser = SphereFace20a(3)
        system = fastcv.create_model("face_identity_transformer").gan(recogniser)
    assert [system.pools[kind].size for kind in KINDS] == [500] * 3
    assert system.pools["wrong"].pictures.shape == (500, 3, 128, 128)
    assert list(system.players) == ["discriminator", "recogniser", "generator"]


# What is made.


def test_what_is_made_of_what():
    system = make_system().eval()
    torch.manual_seed(3)
    images = torch.rand(4, 3, 32, 32)
    o = system(images)
    torch.testing.assert_close(o.real, images * 2 - 1)
    make = system.generator
    for found, before, password in (
        (o.anonymised, o.real, o.password),
        (o.recovered, o.anonymised, 1 - o.password),
        (o.wrong, o.anonymised, o.wrong_password),
    ):
        torch.testing.assert_close(found, make(before, password))
    assert torch.equal(o.inverse, 1 - o.password)
    for i in range(20):
        torch.manual_seed(i)
        o = system(images)
        assert (o.wrong_password != o.inverse).any(dim=1).all()
    assert len({tuple(row) for row in o.password.tolist()}) > 1  # one for each face


def test_who_a_loss_reaches():
    system = make_system()
    images = torch.rand(2, 3, 32, 32)
    players = {
        "discriminator": [system.discriminator],
        "recogniser": [system.recogniser],
        "generator": [system.generator, system.reader],
    }
    for player, own in players.items():
        system.zero_grad()
        sum(system.loss(system(images), PEOPLE, player=player).values()).backward()
        for module in own:
            for key, parameter in module.named_parameters():
                assert parameter.grad is not None and parameter.grad.any(), (player, key)
        if player != "generator":
            assert all(p.grad is None for p in system.generator.parameters())


def test_wrong_arguments():
    system = make_system()
    output = system(torch.rand(2, 3, 32, 32))
    with pytest.raises(ValueError, match="player must be one of discriminator, recogniser, gener"):
        system.loss(output, PEOPLE, player="judge")
    for player in ("recogniser", "generator"):
        with pytest.raises(ValueError, match=r"labels must be 0 to 2, got \[0, 3\]"):
            system.loss(output, torch.tensor([0, 3]), player=player)
        with pytest.raises(TypeError, match="labels must be a tensor"):
            system.loss(output, [0, 1], player=player)
    other = system(torch.rand(2, 3, 40, 40))
    with pytest.raises(ValueError, match=r"the pool keeps pictures \[3, 32, 32\], got \[3, 40, 40"):
        system.loss(other, PEOPLE, player="discriminator")


# Networks.


def test_discriminators_by_kind():
    """Three PatchGANs at full size, one at half; the kind chooses among the three."""
    with torch.device("meta"):
        count = sum(p.numel() for p in KindsDiscriminator().parameters())
    assert count == 4 * 2_765_633  # CycleGAN's 2,764,737, and 896 for norms in place of biases
    judge = KindsDiscriminator(width=4).eval()
    faces = torch.rand(2, 3, 64, 64)
    outputs = {kind: judge(faces, kind) for kind in KINDS}
    for a, b in itertools.pairwise(KINDS):
        assert not torch.equal(outputs[a][0], outputs[b][0])
        assert torch.equal(outputs[a][1], outputs[b][1])
    padded = nn.functional.pad(faces, [1] * 4)
    ones = nn.functional.pad(torch.ones(1, 1, 64, 64), [1] * 4)
    windows = padded.unfold(2, 3, 2).unfold(3, 3, 2).sum((-2, -1))
    windows = windows / ones.unfold(2, 3, 2).unfold(3, 3, 2).sum((-2, -1))
    torch.testing.assert_close(outputs["wrong"][1], judge.small(windows))


def test_reader_has_a_head_for_each_four_bits():
    with torch.device("meta"):
        reader = PasswordReader(16)
        assert reader(torch.rand(3, 6, 128, 128)).shape == (3, 4, 16)
    widths = [(6, 64), (64, 128), (128, 256), (256, 512), (512, 512)]
    expected = sum(16 * a * b for a, b in widths) + 64 + 2 * (128 + 256 + 512 + 512)
    expected += 4 * (512 * 16 + 16)
    assert sum(p.numel() for p in reader.parameters()) == expected
    assert PasswordReader(8, width=2, layers=3)(torch.rand(2, 6, 32, 32)).shape == (2, 2, 16)


# In the loop.


class Faces:
    """Random ones of three people."""

    def __init__(self):
        self.values = torch.rand(14, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index], index % 3


class Interrupted(Exception):
    pass


def train(system, out, **options):
    adam = partial(torch.optim.Adam, betas=(0.5, 0.999))
    return fit(
        system,
        Faces(),
        epochs=2,
        batch_size=2,
        optimizer={
            "discriminator": partial(adam, lr=1e-4),
            "recogniser": partial(adam, lr=1e-5),
            "generator": partial(adam, lr=1e-4),
        },
        scheduler=constant_then_linear(),
        out=out,
        devices="cpu",
        progress=False,
        tensorboard=False,
        **options,
    )


def test_an_interrupted_run_goes_on_to_the_bit(tmp_path, monkeypatch):
    """Cut off in an epoch: weights, pools and the state of three optimisers are as in one go."""
    monkeypatch.setattr(fastcv.learn.History, "draw", lambda self, path: path.touch())
    told = train(make_system(), tmp_path / "whole")
    cut = make_system()
    turns, loss = [], cut.loss

    def loses_power(*args, player):
        turns.append(player)
        if len(turns) > 3 * 4 + 1:  # in the second turn of the fifth step
            raise Interrupted
        return loss(*args, player=player)

    cut.loss = loses_power
    with pytest.raises(Interrupted):
        train(cut, tmp_path / "cut", save_every=4)
    assert turns[:3] == ["discriminator", "recogniser", "generator"]
    position = torch.load(tmp_path / "cut/last.pt", weights_only=True)["position"]
    assert position == (0, 4)  # of the first epoch's seven steps
    told_again = train(make_system(), tmp_path / "cut")

    assert told.steps == told_again.steps and len(told.steps) == 14
    a, b = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "cut"))
    assert {f"pools.{kind}.pictures" for kind in KINDS} <= a["model"].keys() == b["model"].keys()
    assert all(a["model"][f"pools.{kind}.filled"] == 3 for kind in KINDS)
    assert all(torch.equal(a["model"][key], b["model"][key]) for key in a["model"])
    assert len(a["optimizers"]) == 3
    for ours, theirs in zip(a["optimizers"], b["optimizers"], strict=True):
        assert ours["param_groups"] == theirs["param_groups"]
        assert ours["state"].keys() == theirs["state"].keys() and ours["state"]
        for key, state in ours["state"].items():
            assert all(torch.equal(state[name], theirs["state"][key][name]) for name in state)


def test_one_forward_a_step_of_five_faces(tmp_path, monkeypatch):
    monkeypatch.setattr(fastcv.learn.History, "draw", lambda self, path: path.touch())
    system, runs = make_system(), []
    system.generator.register_forward_hook(lambda *_: runs.append(1))
    told = train(system, tmp_path)
    assert len(runs) == 5 * len(told.steps)
    assert isinstance(system, FaceIdentityGAN)
