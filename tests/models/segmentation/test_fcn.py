"""FCN on VGG-16: counts, the published nets from their layer tables, sizes, stages of training."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.models import create_model
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.models.segmentation.fcn import FCN

NAMES = ("fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16")
COUNTS = dict(zip(NAMES, (136_152_917, 134_815_994, 134_489_759), strict=True))


def make(name, **config):
    """A narrow one with no zero among its weights."""
    model = create_model(name, width=2, num_classes=4, **config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            fan_in = p[0].numel() if p.ndim > 1 else 1
            p.copy_(torch.randn(p.shape, generator=generator) * (2 / fan_in) ** 0.5)
    return model.eval()


def caffe_keys(model):
    """A state dict with the keys of wkentaro/pytorch-fcn, which are the layers' names in Caffe."""
    convolutions = [
        f"conv{s}_{i}" for s, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)
    ]
    indices = [i for i, layer in enumerate(model.features) if isinstance(layer, nn.Conv2d)]
    names = {f"features.{i}": name for i, name in zip(indices, convolutions, strict=True)}
    state = {}
    for key, value in model.state_dict().items():
        layer, kind = key.rsplit(".", 1)
        state[f"{names.get(layer, layer)}.{kind}"] = value.clone()
    return state


def as_published(x, w, name, at_once=False):
    """The scores by the layer tables of the published nets."""

    def conv(layer, x, padding=0):
        return F.conv2d(x, w[f"{layer}.weight"], w[f"{layer}.bias"], padding=padding)

    def deconv(layer, x, stride):
        return F.conv_transpose2d(x, w[f"{layer}.weight"], stride=stride)

    def crop(x, offset, like):
        return x[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

    image, pools = x, {}
    for stage, convolutions in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, convolutions + 1):
            first = stage == i == 1
            x = F.relu(conv(f"conv{stage}_{i}", x, padding=100 if first else 1))
        x = pools[stage] = F.max_pool2d(x, 2, 2, ceil_mode=True)
    x = conv("score_fr", F.relu(conv("fc7", F.relu(conv("fc6", x)))))
    if name == "fcn32s_vgg16":
        return crop(deconv("upscore", x, 32), 19, image)
    x = deconv("upscore2", x, 2)
    x = x + crop(conv("score_pool4", pools[4] * (0.01 if at_once else 1)), 5, x)
    if name == "fcn16s_vgg16":
        return crop(deconv("upscore16", x, 16), 27, image)
    x = deconv("upscore_pool4", x, 2)
    x = x + crop(conv("score_pool3", pools[3] * (0.0001 if at_once else 1)), 9, x)
    return crop(deconv("upscore8", x, 8), 31, image)


@pytest.mark.parametrize("name", NAMES)
def test_parameters(name):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name]
    assert model.classes[8] == "cat" and len(model.classes) == 21


@pytest.mark.parametrize("config", [{}, {"at_once": True}])
@pytest.mark.parametrize("name", NAMES)
def test_as_published(name, config):
    if config and name != "fcn8s_vgg16":
        with pytest.raises(TypeError, match="does not take 'at_once'"):
            make(name, **config)
        return
    model = make(name, **config)
    weights = caffe_keys(model)
    fresh = create_model(name, width=2, num_classes=4, **config).eval()
    fresh.load_state_dict(weights)  # by Caffe's names, strictly
    x = torch.randn(1, 3, 45, 70)
    want = as_published(x, weights, name, **config)
    torch.testing.assert_close(fresh(x), want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))


@pytest.mark.parametrize("size", [(1, 1), (2, 33), (31, 32), (65, 50)])
@pytest.mark.parametrize("name", NAMES)
def test_any_size_gives_its_own_back(name, size):
    assert make(name)(torch.randn(1, 3, *size)).shape == (1, 4, *size)


@pytest.mark.parametrize("name", NAMES)
def test_starts_as_in_the_paper(name):
    model = create_model(name, width=2, num_classes=3)
    assert not model(torch.randn(1, 3, 20, 30)).any()  # no class is likelier at first
    upscores = {k: m for k, m in model.named_modules() if isinstance(m, nn.ConvTranspose2d)}
    *learned, last = upscores.values()
    assert not last.weight.requires_grad and all(m.weight.requires_grad for m in learned)
    ramp = torch.arange(6.0).expand(1, 3, 6, 6)
    for layer in upscores.values():
        stride, large = layer.stride[0], layer(ramp)[0, 1]
        inside = large[large.shape[0] // 2, stride:-stride]
        steps = inside.diff()
        torch.testing.assert_close(
            steps[stride:-stride], torch.full_like(steps, 1 / stride)[stride:-stride]
        )


def test_start_from_a_classifier():
    with torch.device("meta"):
        classifier, model = create_model("vgg16"), create_model("fcn32s_vgg16")
        model.start_from(classifier)  # the shapes of the real ones fit

    classifier = nn.Module()  # VGG-16 with two channels
    classifier.features = create_model("fcn32s_vgg16", width=2).features
    classifier.classifier = nn.Sequential(
        nn.Linear(16 * 49, 128),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(128, 10),
    )
    model = create_model("fcn8s_vgg16", width=2).eval()
    model.start_from(classifier.eval())
    maps = torch.rand(1, 16, 7, 7)
    want = F.relu(classifier.classifier[3](F.relu(classifier.classifier[0](maps.flatten(1)))))
    got = F.relu(model.fc7(F.relu(model.fc6(maps))))
    torch.testing.assert_close(got.flatten(1), want, rtol=1e-4, atol=1e-5)
    assert not model.score_fr.weight.any()
    assert model.preprocessing == Segmenter.preprocessing  # torchvision's say nothing of it


def test_stages_of_training():
    coarse = make("fcn32s_vgg16")
    middle, fine = create_model("fcn16s_vgg16", width=2, num_classes=4), make("fcn8s_vgg16")
    middle.start_from(coarse)
    fine.start_from(middle)
    for key in ("features.0.weight", "fc7.bias", "score_fr.weight"):
        assert torch.equal(fine.state_dict()[key], coarse.state_dict()[key])
    assert torch.equal(fine.upscore2.weight, middle.upscore2.weight)
    assert fine.preprocessing == FCN.preprocessing
    other = create_model("fcn16s_vgg16", width=2, num_classes=9)
    other.start_from(coarse)
    assert torch.equal(other.fc6.weight, coarse.fc6.weight) and not other.score_fr.weight.any()
    with pytest.raises(ValueError, match=r"same layers as FCN8s: of FCN32s features.0.weight is"):
        fine.start_from(create_model("fcn32s_vgg16", width=3))
    with pytest.raises(ValueError, match=r"of Linear features\.0\.weight is missing"):
        fine.start_from(nn.Linear(2, 2))


def test_pictures_are_prepared_as_for_caffe():
    red = torch.tensor([1.0, 0.5, 0.0])[:, None, None].expand(3, 2, 2)
    got = make("fcn32s_vgg16").prepare([red])[0, :, 0, 0]
    want = torch.tensor([0 - 104.00698793, 127.5 - 116.66876762, 255 - 122.67891434])
    torch.testing.assert_close(got, want, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_optimized_and_exported_say_the_same(name):
    model, x = make(name), torch.randn(2, 3, 33, 40)
    with torch.no_grad():
        want = model(x)
        torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), want)
        scale = float(want.abs().max())
        torch.testing.assert_close(fastcv.optimize(model)(x), want, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.slow
def test_learns_where_squares_are():
    torch.manual_seed(0)
    model = create_model("fcn8s_vgg16", width=4, num_classes=2, dropout=0)
    model.preprocessing = {"mean": (0, 0, 0), "std": (1 / 30,) * 3}  # about Caffe's contrast
    labels = torch.zeros(4, 32, 48, dtype=torch.int64)
    for i, left in enumerate((4, 12, 20, 28)):
        labels[i, 8:24, left : left + 16] = 1
    images = (0.3 + 0.4 * labels[:, None] + 0.05 * torch.randn(4, 3, 32, 48)).clamp(0, 1)
    inputs = model.prepare(list(images))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(model(inputs), labels)["cross_entropy"].backward()
        optimizer.step()
    found = model.predict(images)
    assert [x.labels.shape for x in found] == [(32, 48)] * 4
    right = torch.stack([x.labels for x in found]) == labels
    assert right.float().mean() > 0.93  # 5 of 6 pixels are background
