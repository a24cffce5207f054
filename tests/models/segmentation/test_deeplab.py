"""DeepLab v1 to v3+: the papers' sizes, rates and losses; folded and exported they say the same."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.models import create_model
from fastcv.models._registry import find_model

COUNTS = {  # with 21 classes
    "deeplabv1_vgg16": 20_505_429,
    "deeplabv2_resnet101": 44_048_532,
    "deeplabv3_resnet50": 42_004_074,
    "deeplabv3_resnet101": 60_996_202,
    "deeplabv3plus_resnet50": 39_761_845,
    "deeplabv3plus_resnet101": 58_753_973,
    "deeplabv3plus_xception": 37_050_525,
    "deeplabv3plus_xception65": 41_042_005,
}

SMALL = {
    "deeplabv1_vgg16": {},
    "deeplabv2_resnet101": {"layers": (1, 1, 2, 1), "width": 8},
    "deeplabv3_resnet50": {"width": 8, "aspp_channels": 16, "output_stride": 16},
    "deeplabv3plus_resnet50": {"width": 8, "decoder_channels": 16},
    "deeplabv3plus_xception": {"decoder_channels": 16},
    "deeplabv3plus_xception65": {"middle": 1, "decoder_channels": 16},
}


def small(name, **config):
    """Few classes and channels; statistics as after training."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, **SMALL[name], **config)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(std=0.1)
            m.running_var.uniform_(0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_size(name):
    with torch.device("meta"):
        model = create_model(name).eval()
        logits = model(torch.rand(2, 3, 97, 70))
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name]
    assert logits.shape == (2, 21, 97, 70)
    assert model.classes[15] == "person" and len(model.classes) == 21


def test_forms_with_other_counts():
    with torch.device("meta"):
        plain = create_model("deeplabv3_resnet101", aux_loss=False)
        separable = create_model("deeplabv3plus_resnet50", separable=True)
    assert sum(p.numel() for p in plain.parameters()) == 58_630_997
    assert sum(p.numel() for p in separable.parameters()) == 26_682_725


@pytest.mark.parametrize("depth", [50, 101])
def test_published_weights(depth):
    (weights,) = find_model(f"deeplabv3_resnet{depth}").weights
    file = f"deeplabv3_resnet{depth}_coco-{weights.sha256}.pth"
    assert weights.url == f"https://download.pytorch.org/models/{file}"
    assert len(weights.sha256) == 8 and weights.classes[8] == "cat"


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "deeplabv3plus_resnet50"])
@pytest.mark.parametrize(
    ("stride", "stages", "rates"), [(8, (1, 2), (12, 24, 36)), (16, (1, 1), (6, 12, 18))]
)
def test_output_stride(name, stride, stages, rates):
    with torch.device("meta"):
        model = create_model(name, output_stride=stride)
        c5 = model.backbone(torch.rand(1, 3, 128, 160))[-1]
    assert c5.shape == (1, 2048, 128 // stride, 160 // stride)
    aspp = model.classifier[0] if name == "deeplabv3_resnet50" else model.classifier.aspp
    assert tuple(aspp.convs[i][0].dilation[0] for i in (1, 2, 3)) == rates
    # As torchvision has it, a dilated stage's first block has the rate before.
    layers = model.backbone.layer3, model.backbone.layer4
    last = 16 // stride
    assert tuple(layer[0].conv2.dilation[0] for layer in layers) == (1, last)
    assert tuple(layer[1].conv2.dilation[0] for layer in layers) == (last, 2 * last)
    with pytest.raises(ValueError, match="output_stride must be one of 8, 16, got 32"):
        create_model(name, output_stride=32)


@pytest.mark.parametrize(("stride", "rates"), [(16, [2, 4, 8]), (8, [4, 8, 16])])
def test_multi_grid(stride, rates):
    """The example of the paper's section 3.1: rates 2 * (1, 2, 4) at output stride 16."""
    with torch.device("meta"):
        model = create_model("deeplabv3_resnet50", output_stride=stride, multi_grid=(1, 2, 4))
    assert [block.conv2.dilation[0] for block in model.backbone.layer4] == rates
    with pytest.raises(ValueError, match=r"multi_grid must have 3 entries, .*, got \(1, 2\)"):
        create_model("deeplabv3_resnet50", multi_grid=(1, 2))


@pytest.mark.parametrize(
    ("stride", "strides", "dilations"), [(16, [2, 2, 2, 1], [1, 2]), (8, [2, 2, 1, 1], [2, 4])]
)
def test_where_xception65_strides_and_dilates(stride, strides, dilations):
    with torch.device("meta"):
        model = create_model("deeplabv3plus_xception65", output_stride=stride)
        low, high = model.backbone(torch.rand(1, 3, 129, 129))
    assert low.shape == (1, 256, 33, 33) and high.shape[2] == 128 // stride + 1
    blocks = model.backbone.blocks
    last = [blocks[i].stack.conv3.depthwise for i in (0, 1, 2, 19)]
    assert [convolution.stride[0] for convolution in last] == strides
    assert [blocks[i].stack.conv1.depthwise.dilation[0] for i in (19, 20)] == dilations
    with pytest.raises(ValueError, match="output_stride must be one of 8, 16, got 4"):
        create_model("deeplabv3plus_xception65", output_stride=4)


@pytest.mark.parametrize("name", SMALL)
def test_optimized_and_exported_say_the_same(name):
    model, x = small(name), torch.randn(2, 3, 65, 81)
    exported = torch.export.export(model, (x,)).module()
    fast = fastcv.optimize(model)
    norms = [key for key, m in fast.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(key.startswith("aux") for key in norms)  # these run in training only
    with torch.no_grad():
        want = model(x)
        torch.testing.assert_close(exported(x), want)
        scale = float(want.abs().max())
        torch.testing.assert_close(fast(x), want, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize("name", ["deeplabv1_vgg16", "deeplabv2_resnet101", "deeplabv3_resnet50",
                                  "deeplabv3plus_resnet50"])  # fmt: skip
@pytest.mark.parametrize("size", [(1, 1), (33, 50), (64, 31)])
def test_any_size_gives_its_own_size_back(name, size):
    model = small(name)
    (predicted,) = model.predict(torch.rand(3, *size))
    assert predicted.labels.shape == size and predicted.scores.shape == (3, *size)
    torch.testing.assert_close(predicted.scores.sum(0), torch.ones(size))


@pytest.mark.parametrize(
    ("name", "config", "rate", "steps"),
    [
        ("deeplabv2_resnet101", {}, 3e-3, 12),
        ("deeplabv3_resnet50", {}, 1e-2, 15),
        ("deeplabv3plus_resnet50", {}, 3e-3, 12),
        ("deeplabv3plus_resnet50", {"separable": True}, 3e-3, 12),
        ("deeplabv3plus_xception65", {}, 1e-3, 12),
    ],
)
def test_learns_bright_and_dark(name, config, rate, steps):
    # Of maps an eighth or a quarter of the size, all but the border can be right.
    assert learned(small(name, **config), 4, 64, rate, steps) > 0.85


@pytest.mark.slow
def test_v1_learns_bright_and_dark():
    # Without norms it takes its time; half of the pixels are right at the beginning.
    assert learned(small("deeplabv1_vgg16", dropout=0.0), 2, 65, 5e-5, 24) > 0.75


def learned(model, batch, size, rate, steps):
    """The share of pixels that are right after some steps on pictures of two halves."""
    labels = torch.zeros(batch, size, size, dtype=torch.int64)
    labels[: batch // 2, :, size // 2 :] = labels[batch // 2 :, size // 2 :] = 1
    images = (labels[:, None] * 2.0 - 1).expand(batch, 3, size, size)
    images = images + 0.3 * torch.randn(images.shape)
    optimizer = torch.optim.Adam(model.train().parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(model.loss(model(images), labels).values()).backward()
        optimizer.step()
    output = model(images)
    logits = output if isinstance(output, torch.Tensor) else output.logits
    return (logits.argmax(1) == labels).float().mean()


def test_v1_layer_by_layer():
    """The published Caffe network, of its state dict: 3x3 pools, rates 2 and 12."""
    model = small("deeplabv1_vgg16")
    state, x = model.state_dict(), torch.randn(1, 3, 33, 49)

    def convolved(x, name, rate=1):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        padding = rate * (weight.shape[2] // 2)
        return F.conv2d(x, weight, bias, padding=padding, dilation=rate)

    indices = iter([0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28])  # torchvision's
    with torch.no_grad():
        y = x
        for convolutions, stride in zip((2, 2, 3, 3, 3), (2, 2, 2, 1, 1), strict=True):
            for _ in range(convolutions):
                index = next(indices)
                y = convolved(y, f"features.{index}", 2 if index > 23 else 1).relu()
            y = F.max_pool2d(y, 3, stride, 1)
        assert y.shape == (1, 512, 5, 7)
        y = F.avg_pool2d(y, 3, 1, 1)
        y = convolved(convolved(convolved(y, "fc6", 12).relu(), "fc7").relu(), "fc8")
        torch.testing.assert_close(model.scores(x), y, rtol=1e-4, atol=1e-6)
        # 33 and 49 are 8 k + 1: every eighth pixel has a score of its own.
        torch.testing.assert_close(model(x)[..., ::8, ::8], y, rtol=1e-4, atol=1e-6)


def plain_v2(state, x):
    """DeepLab v2 at one scale, of a state dict with the published names."""

    def convolved(x, name, stride=1, rate=1):
        weight = state[f"{name}.conv.weight"]
        padding = rate * (weight.shape[2] // 2)
        x = F.conv2d(x, weight, None, stride, padding, rate)
        statistics = (state[f"{name}.bn.{key}"] for key in ("running_mean", "running_var"))
        return F.batch_norm(x, *statistics, state[f"{name}.bn.weight"], state[f"{name}.bn.bias"])

    x = F.max_pool2d(convolved(x, "layer1.conv1", 2).relu(), 3, 2, 1, ceil_mode=True)
    for i, (stride, rate) in enumerate(((1, 1), (2, 1), (1, 2), (1, 4)), start=2):
        j = 1
        while f"layer{i}.block{j}.reduce.conv.weight" in state:
            name = f"layer{i}.block{j}"
            y = convolved(x, f"{name}.reduce", stride if j == 1 else 1).relu()
            y = convolved(convolved(y, f"{name}.conv3x3", 1, rate).relu(), f"{name}.increase")
            x = (y + (convolved(x, f"{name}.shortcut", stride) if j == 1 else x)).relu()
            j += 1
    return sum(
        F.conv2d(x, state[f"aspp.c{i}.weight"], state[f"aspp.c{i}.bias"], 1, rate, rate)
        for i, rate in enumerate((6, 12, 18, 24))
    )


def test_v2_layer_by_layer_and_scale_by_scale():
    model, x = small("deeplabv2_resnet101"), torch.randn(1, 3, 65, 81)
    state = model.state_dict()
    with torch.no_grad():
        scales = [plain_v2(state, x)]
        assert scales[0].shape == (1, 3, 9, 11)
        for size in ((32, 40), (48, 60)):
            smaller = F.interpolate(x, size, mode="bilinear")
            scales.append(F.interpolate(plain_v2(state, smaller), (9, 11), mode="bilinear"))
        fused = torch.stack(scales).amax(0)
        torch.testing.assert_close(model.scores(x), scales[0], rtol=1e-4, atol=1e-5)
        expected = F.interpolate(fused, (65, 81), mode="bilinear")
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
        model.extra_scales = ()
        plain = F.interpolate(scales[0], (65, 81), mode="bilinear")
        torch.testing.assert_close(model(x), plain, rtol=1e-4, atol=1e-5)


def test_v2_scores_of_the_papers_size():
    with torch.device("meta"):
        model = create_model("deeplabv2_resnet101")
        assert model.scores(torch.rand(1, 3, 513, 513)).shape == (1, 21, 65, 65)


def test_v2_loads_the_published_names():
    model, other = small("deeplabv2_resnet101"), small("deeplabv2_resnet101")
    state = {f"base.{key}": value + 1 for key, value in model.state_dict().items()}
    other.load_state_dict(state)
    assert torch.equal(other.aspp.c3.bias, model.aspp.c3.bias + 1)
    older = {
        "scale." + key.replace("aspp.", "aspp.stages.").replace(".shortcut.", ".proj."): value
        for key, value in model.state_dict().items()
    }
    other.load_state_dict(older)
    assert all(torch.equal(other.state_dict()[key], v) for key, v in model.state_dict().items())


def test_v2_sees_what_caffe_saw():
    image = torch.rand(3, 4, 5)
    (seen,) = small("deeplabv2_resnet101").prepare([image])
    expected = image.flip(0) * 255 - torch.tensor([104.008, 116.669, 122.675])[:, None, None]
    torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-4)


def test_v2_loss_of_every_scale():
    model = small("deeplabv2_resnet101").train()
    output = model(torch.randn(2, 3, 65, 65))
    targets = torch.randint(0, 3, (2, 65, 65))
    targets[:, :20] = 255
    losses = model.loss(output, targets)
    assert list(losses) == ["fused", "scale 1", "scale 0.5", "scale 0.75"]
    torch.testing.assert_close(
        losses["fused"], F.cross_entropy(output.logits, targets, ignore_index=255)
    )
    rows = torch.arange(5) * 65 // 5  # 32 pixels make 5 rows of scores
    labels = targets[:, rows][:, :, rows]
    expected = F.cross_entropy(output.scales[1], labels, ignore_index=255)
    torch.testing.assert_close(losses["scale 0.5"], expected)
    with pytest.raises(ValueError, match=r"targets must be int64 \[2, 65, 65\]"):
        model.loss(output, targets[:, :64])


def test_v3_loss_has_half_of_the_auxiliary():
    model = small("deeplabv3_resnet50").train()
    output = model(torch.randn(2, 3, 64, 64))
    targets = torch.randint(0, 3, (2, 64, 64))
    losses = model.loss(output, targets)
    torch.testing.assert_close(losses["cross_entropy"], F.cross_entropy(output.logits, targets))
    torch.testing.assert_close(losses["auxiliary"], F.cross_entropy(output.aux, targets) / 2)


@pytest.mark.parametrize(("separable", "calls"), [(True, 3), (False, 0)])
def test_optimized_separable_aspp_is_three_calls(separable, calls, monkeypatch):
    """One for each rate; the decoder's rate of 1 is oneDNN's."""
    fast = fastcv.optimize(small("deeplabv3plus_resnet50", separable=separable))
    seen = []
    op = fastcv.ops.atrous_separable_conv2d
    monkeypatch.setattr(
        "fastcv.deploy.fused_conv.atrous_separable_conv2d",
        lambda *args: seen.append(args[7]) or op(*args),
    )
    with torch.no_grad():
        fast(torch.randn(1, 3, 64, 64))
    assert seen == [(12, 12), (24, 24), (36, 36)][:calls]
