"""ResDAVEnet's nets against the published code's keys, shapes, counts and arithmetic."""

import math

import pytest
import torch
from torch.nn import functional as F

import fastcv
from fastcv.models.audio.resdavenet import ResDAVEnet

VQ2_AND_VQ3 = (0, 1024, 1024, 0, 0)
SMALL = {"widths": (4, 4, 6, 8, 10), "depths": (2, 1, 2, 1), "kernel": 5}


def norm(name, channels):
    of_channels = {
        f"{name}.{part}": [channels] for part in ("weight", "bias", "running_mean", "running_var")
    }
    return {**of_channels, f"{name}.num_batches_tracked": []}


def published_audio_keys(codebooks=VQ2_AND_VQ3):
    """Written from the published modules: widths 128 to 1024, two blocks of kernel 9 each."""
    widths = (128, 128, 256, 512, 1024)
    shapes = {"conv1.weight": [128, 1, 40, 1], **norm("batchnorm1", 1), **norm("bn1", 128)}
    for n in range(1, 5):
        for block in range(2):
            inputs, outputs = widths[n - 1 if block == 0 else n], widths[n]
            name = f"layer{n}.{block}"
            shapes[f"{name}.conv1.weight"] = [outputs, inputs, 1, 9]
            shapes[f"{name}.conv2.weight"] = [outputs, outputs, 1, 9]
            shapes |= {**norm(f"{name}.bn1", outputs), **norm(f"{name}.bn2", outputs)}
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = [outputs, inputs, 1, 1]
                shapes |= norm(f"{name}.downsample.1", outputs)
    for n, codes in enumerate(codebooks, 1):
        if codes:
            shapes[f"quant{n}._embedding.weight"] = [codes, widths[n - 1]]
            shapes[f"quant{n}._ema_w"] = [codes, widths[n - 1]]
            shapes[f"quant{n}._ema_cluster_size"] = [codes]
    return shapes


def published_image_keys():
    """torchvision's ResNet-50 without its classifier, and a convolution to 1024 channels."""
    torchvision = pytest.importorskip("torchvision", reason="pip install torchvision")
    with torch.device("meta"):
        resnet = torchvision.models.resnet50()
    shapes = {key: list(value.shape) for key, value in resnet.state_dict().items()}
    shapes = {key: shape for key, shape in shapes.items() if not key.startswith("fc.")}
    return {**shapes, "embedder.weight": [1024, 2048, 1, 1], "embedder.bias": [1024]}


def shapes_of(module):
    return {key: list(value.shape) for key, value in module.state_dict().items()}


@pytest.fixture(scope="module")
def published():
    with torch.device("meta"):
        return fastcv.create_model("resdavenet_vq")


def test_every_key_and_shape(published):
    assert shapes_of(published.audio_model) == published_audio_keys()
    assert shapes_of(published.image_model) == published_image_keys()


def test_counts(published):
    """The published code has codebooks and their running means as parameters, we as buffers."""

    def count(module):
        return sum(p.numel() for p in module.parameters())

    books = sum(
        value.numel()
        for key, value in published.audio_model.named_buffers()
        if key.endswith(("_embedding.weight", "_ema_w"))
    )
    assert count(published.audio_model) == 44_670_978
    assert count(published.audio_model) + books == 45_457_410
    assert count(published.image_model) == 25_606_208
    with torch.device("meta"):
        plain = fastcv.create_model("resdavenet")
    assert shapes_of(plain.audio_model) == published_audio_keys((0,) * 5)


def by_definition(net, mels):
    """Eval mode without codebooks, from the weights alone."""
    state = net.state_dict()

    def norm(x, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / (var + 1e-5).sqrt()
        return (x - mean[:, None]) * scale[:, None] + state[f"{name}.bias"][:, None]

    def conv(x, name, stride=1):
        kernel = state[f"{name}.weight"][:, :, 0]
        return F.conv1d(x, kernel, stride=stride, padding=kernel.shape[2] // 2)

    x = torch.einsum("ck,bkt->bct", state["conv1.weight"][:, 0, :, 0], mels)
    x = norm(x, "bn1").relu()
    for n, depth in enumerate((2, 1, 2, 1), 1):
        for block in range(depth):
            name, stride = f"layer{n}.{block}", 2 if block == 0 else 1
            past = x
            if block == 0:
                past = norm(conv(x, f"{name}.downsample.0", 2), f"{name}.downsample.1")
            out = norm(conv(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
            x = (norm(conv(out, f"{name}.conv2"), f"{name}.bn2") + past).relu()
    return x


def a_net(**config):
    torch.manual_seed(0)
    net = ResDAVEnet(**{**SMALL, **config})
    for key, value in net.state_dict().items():  # norms that do something
        if ("bn" in key or "downsample.1" in key) and value.is_floating_point():
            value.copy_(torch.rand(value.shape) + 0.5)
    return net.eval()


def test_forward_by_definition():
    net, mels = a_net(), torch.randn(2, 40, 48)
    heard = net(mels)
    assert heard.frames.shape == (2, 10, 3) and heard.lengths is None
    torch.testing.assert_close(heard.frames, by_definition(net, mels), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(heard.vectors(), heard.frames.mean(dim=2))


def test_vectors_are_of_a_sounds_own_frames():
    heard = a_net()(torch.randn(3, 40, 64), torch.tensor([64, 47, 3]))
    assert heard.lengths.tolist() == [4, 2, 1]
    for row, frames, own in zip(heard.vectors(), heard.frames, (4, 2, 1), strict=True):
        torch.testing.assert_close(row, frames[:, :own].mean(dim=1))


def test_frames_behind_a_codebook_are_of_it():
    net, mels = a_net(codebooks=(0, 7, 5, 0, 0)), torch.randn(2, 40, 48)
    heard = net(mels)
    assert {n: list(codes.shape) for n, codes in heard.codes.items()} == {2: [2, 24], 3: [2, 12]}
    x = net.bn1(net.conv1(mels[:, None])).relu()
    first = net.layer1(x)[:, :, 0]
    book = net.quant2.codebook
    codes = (first.transpose(1, 2)[:, :, None] - book).square().sum(dim=3).argmin(dim=2)
    assert torch.equal(heard.codes[2], codes)
    second = net.layer2(book[codes].transpose(1, 2)[:, :, None])[:, :, 0]
    of_second = net.quant3.codebook
    codes = (second.transpose(1, 2)[:, :, None] - of_second).square().sum(dim=3).argmin(dim=2)
    assert torch.equal(heard.codes[3], codes)


def test_starts_as_published():
    """Normal, of variance 2 / (kernel * channels out)."""
    torch.manual_seed(0)
    weight = ResDAVEnet().layer4[1].conv2.weight.detach()
    expected = math.sqrt(2 / (9 * 1024))
    assert float(weight.std()) == pytest.approx(expected, rel=0.01)


def test_the_norm_that_is_not_used_does_nothing():
    net, mels = a_net(), torch.randn(1, 40, 32)
    before = net(mels).frames
    net.batchnorm1.weight.fill_(7)
    net.batchnorm1.running_mean.fill_(3)
    assert torch.equal(net(mels).frames, before)
    assert not any(p.requires_grad for p in net.batchnorm1.parameters())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ResDAVEnet(codebooks=(1, 2)), "must be 5, 4 and 5 numbers"),
        (lambda: ResDAVEnet(codebooks=(0, -1, 0, 0, 0), **SMALL), "0 or more codes each"),
        (lambda: a_net()(torch.ones(2, 39, 50)), r"mels must be \[B, 40, T\], got \[2, 39, 50\]"),
        (lambda: a_net()(torch.ones(2, 40, 50), torch.ones(3)), r"lengths must be \[2\], got"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
