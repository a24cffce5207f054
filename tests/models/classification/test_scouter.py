"""SCOUTER: the authors' counts, keys and order of computation, written anew with loops."""

import math

import pytest
import torch
from torch import nn

from fastcv.explain import class_maps
from fastcv.models import create_model
from fastcv.models.classification.scouter import Scouter, ScouterOutput

SMALL = {"width": 8, "num_classes": 3}


def small(**config):
    torch.manual_seed(0)
    return create_model("scouter_resnet18", **{**SMALL, **config})


@pytest.mark.parametrize(
    ("classes", "per_class", "layers", "count"),
    [
        (10, 1, 1, 33_920),
        (10, 1, 3, 42_240),
        (10, 3, 1, 33_920 + 20 * 64),
        (100, 1, 3, 42_240 + 90 * 64),
    ],
)
def test_parameters_of_the_slots(classes, per_class, layers, count):
    with torch.device("meta"):
        model = create_model(
            "scouter_resnet18", num_classes=classes, slots_per_class=per_class, key_layers=layers
        )
    assert sum(p.numel() for p in model.slot.parameters()) == count
    # torchvision's ResNet-18 without its classifier, and the 1x1 convolution.
    rest = 11_689_512 - 513_000 + 512 * 64 + 64
    assert sum(p.numel() for p in model.parameters()) == rest + count


def test_keys():
    with torch.device("meta"):
        model = create_model("scouter_resnet18", num_classes=10, key_layers=3)
        trunk = create_model("resnet18").state_dict()
    expected = {f"backbone.{key}" for key in trunk if not key.startswith("fc.")}
    linear = ("slot.to_q.0", "slot.to_k.0", "slot.to_k.2", "slot.to_k.4", "conv1x1")
    expected |= {f"{layer}.{part}" for layer in linear for part in ("weight", "bias")}
    gru = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    expected |= {f"slot.gru.{part}" for part in gru} | {"slot.initial_slots"}
    assert set(model.state_dict()) == expected
    assert model.slot.initial_slots.shape == (1, 10, 64)


def test_maps_of_the_papers_size():
    with torch.device("meta"):
        model = create_model("scouter_resnet18", num_classes=10)
        assert model.class_maps(torch.rand(1, 3, 260, 260)).shape == (1, 10, 9, 9)
    assert model.preprocessing["crop"] == 260


def gru_step(gru, x, h):
    """Cho et al. (2014), in torch's order of gates: reset, update, new."""
    of_x = gru.weight_ih_l0 @ x + gru.bias_ih_l0
    of_h = gru.weight_hh_l0 @ h + gru.bias_hh_l0
    reset, update = ((of_x[i : i + 64] + of_h[i : i + 64]).sigmoid() for i in (0, 64))
    new = (of_x[128:] + reset * of_h[128:]).tanh()
    return (1 - update) * new + update * h


def position_of(row, column, rows, columns):
    """DETR's sine position: 32 numbers of the row, then 32 of the column."""
    numbers = []
    for at, of in ((row, rows), (column, columns)):
        angle = (at + 1) / (of + 1e-6) * 2 * math.pi
        for i in range(16):
            wave = angle / 10000 ** (2 * i / 32)
            numbers += [math.sin(wave), math.cos(wave)]
    return torch.tensor(numbers, dtype=torch.double)


def naive(model, maps, sign, per_class):
    """Logits, maps of classes and the mean attention, one image, one slot, one cell at a time."""
    logits, of_classes, attentions = [], [], []
    for image in maps:
        _, rows, columns = image.shape
        values, keys = [], []
        for row in range(rows):
            for column in range(columns):
                weight = model.conv1x1.weight[:, :, 0, 0]
                value = (weight @ image[:, row, column] + model.conv1x1.bias).clamp(min=0)
                values.append(value)
                keys.append(model.slot.to_k(value + position_of(row, column, rows, columns)))
        slots = list(model.slot.initial_slots[0])
        for _ in range(3):
            scores = [[float(s @ k) / 8 for k in keys] for s in slots]
            total = sum(map(sum, scores))
            attention = [[1 / (1 + math.exp(-d / sum(row) * total)) for d in row] for row in scores]
            seen = [sum(a * v for a, v in zip(row, values, strict=True)) / 64 for row in attention]
            slots = [gru_step(model.slot.gru, x, h) for x, h in zip(seen, slots, strict=True)]
        sums = [sign * float(update.sum()) for update in seen]
        classes = range(0, len(slots), per_class)
        logits.append([sum(sums[i : i + per_class]) for i in classes])
        of_classes.append(torch.tensor([attention[i : i + per_class] for i in classes]).sum(dim=1))
        attentions.append(torch.tensor(attention))
    maps_of_classes = torch.stack(of_classes).unflatten(2, (rows, columns))
    return torch.tensor(logits), maps_of_classes, torch.stack(attentions).mean()


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize(("per_class", "layers"), [(1, 1), (2, 3)])
def test_by_definition(positive, per_class, layers):
    model = small(positive=positive, slots_per_class=per_class, key_layers=layers).double().eval()
    x = torch.randn(2, 3, 64, 96, dtype=torch.double)
    with torch.no_grad():
        maps = model.backbone(x)[-1]
        sign = 1 if positive else -1
        logits, of_classes, area = naive(model, maps, sign, per_class)
        torch.testing.assert_close(model(x), logits.double(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(model.class_maps(x), of_classes.double(), rtol=1e-5, atol=1e-6)
        # The batch norms' statistics stay as they are: the same maps.
        output = ScouterOutput(model(x), model.slot(*cells_of(model, maps))[1])
        loss = model.loss(output, torch.tensor([2, 0]))
    log_softmax = logits.log_softmax(dim=1)
    expected = -(log_softmax[0, 2] + log_softmax[1, 0]) / 2
    torch.testing.assert_close(loss["cross_entropy"].float(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss["area"].float(), area.float() ** 2, rtol=1e-5, atol=1e-6)


def cells_of(model, maps):
    cells = model.conv1x1(maps).relu()
    inside = torch.zeros(len(cells), *cells.shape[2:], dtype=torch.bool)
    return [x.flatten(2).transpose(1, 2) for x in (cells, model.position(inside).double())]


def test_the_map_is_what_the_logit_is_made_of():
    model = small().double().eval()
    x = torch.randn(2, 3, 96, 64, dtype=torch.double)
    with torch.no_grad():
        cells = model.conv1x1(model.backbone(x)[-1]).relu()
        weighed = (model.class_maps(x) * cells.sum(dim=1, keepdim=True)).sum(dim=(2, 3)) / 64
        torch.testing.assert_close(model(x), weighed)


def test_negative_counts_down():
    positive, negative = small().eval(), small(positive=False).eval()
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(negative(x), -positive(x))
    torch.testing.assert_close(negative.class_maps(x), positive.class_maps(x))
    assert bool((positive(x) > 0).all())  # sums of what is never negative


def test_what_nothing_reads_changes_nothing():
    model = small().eval()
    x = torch.rand(1, 3, 64, 64)
    before = model(x)
    nn.init.normal_(model.slot.to_q[0].weight)
    assert torch.equal(model(x), before)
    assert not any(p.requires_grad for p in model.slot.to_q.parameters())


def test_terms_of_the_loss():
    model = small(area_weight=0.5, area_power=3)
    output = model(torch.rand(2, 3, 64, 64))
    assert isinstance(output, ScouterOutput) and output.attention.shape == (2, 3, 4)
    labels = torch.tensor([0, 2])
    loss = model.loss(output, labels)
    torch.testing.assert_close(loss["area"], 0.5 * output.attention.mean() ** 3)
    # In eval mode there is the cross-entropy alone.
    terms = model.loss(output.logits, labels)
    assert list(terms) == ["cross_entropy"]
    torch.testing.assert_close(terms["cross_entropy"], loss["cross_entropy"])


@pytest.mark.parametrize("positive", [True, False])
def test_learns_stripes_and_the_area_shrinks_the_maps(positive):
    wave = torch.arange(64).remainder(16).lt(8).float()
    images = torch.stack([wave.expand(3, 64, 64), wave[:, None].expand(3, 64, 64)] * 2)
    torch.manual_seed(0)
    images = (images + 0.2 * torch.randn(images.shape) - 0.5) * 2
    labels = torch.tensor([0, 1] * 2)
    areas = {}
    for weight in (0.0, 1.0):
        model = small(num_classes=2, positive=positive, area_weight=weight)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(40):
            optimizer.zero_grad()
            output = model(images)
            losses = model.loss(output, labels)
            sum(losses.values()).backward()
            optimizer.step()
        assert losses["cross_entropy"] < 0.5  # log 2 at the beginning
        areas[weight] = float(output.attention.detach().mean())
    assert 0.02 < areas[1.0] < 0.5 * areas[0.0]


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("resnext50_32x4d", {"width": 16}),
        ("vgg11", {}),
        ("densenet121", {"width": 8, "growth": 4}),
        ("mobilenet_v2", {"width": 0.25}),
    ],
)
def test_on_other_backbones(name, config):
    model = create_model("scouter", backbone=name, backbone_config=config, num_classes=3)
    x = torch.rand(2, 3, 64, 64)
    assert model.loss(model(x), torch.tensor([0, 1])).keys() == {"cross_entropy", "area"}
    assert model.eval()(x).shape == (2, 3) and model.class_maps(x).shape[:2] == (2, 3)
    # No weight of a classifier that is not there any more.
    assert not any("fc" in key or "classifier" in key for key in model.state_dict())


def test_backbone_weights_are_taken(tmp_path):
    torch.manual_seed(0)
    trained = create_model("mobilenet_v2", width=0.25, num_classes=1000)
    torch.save(trained.state_dict(), tmp_path / "m.pth")
    config = {"backbone_weights": str(tmp_path / "m.pth"), "backbone_config": {"width": 0.25}}
    model = create_model("scouter", num_classes=3, **config)
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(model.eval().backbone(x), trained.eval().features(x))


@pytest.mark.parametrize("name", ["alexnet", "lenet5", "googlenet"])
def test_backbones_that_cannot_be(name):
    with torch.device("meta"), pytest.raises(ValueError, match=f"backbone must be .* '{name}'$"):
        create_model("scouter", backbone=name, num_classes=3)


@pytest.mark.parametrize("name", ["slots_per_class", "key_layers"])
def test_wrong_numbers(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        Scouter(nn.Identity(), 3, **{name: 0})


def test_why_and_why_not():
    picture = torch.rand(3, 80, 90)
    for positive, words in ((True, "why class 2"), (False, "why not class 2")):
        found = class_maps(small(positive=positive), picture, [2])
        assert found.targets == (words,) and found.maps.shape == (1, 260, 260)
