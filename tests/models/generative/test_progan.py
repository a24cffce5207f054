"""ProGAN's generator: the count, its keys old and new, each layer by hand, samples."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from fastcv import create_model, load_model, save_model
from fastcv.models.generative._progan_discriminator import ProGANDiscriminator, batch_deviation
from fastcv.models.generative.progan import CHANNELS_256, NormConv, ProGAN, pixel_norm

SMALL = (12, 8, 6, 4)


def small():
    torch.manual_seed(0)
    model = ProGAN(SMALL)
    for key, parameter in model.named_parameters():
        if key.endswith(".b"):
            torch.nn.init.normal_(parameter)
    return model


def test_count_and_keys():
    with torch.device("meta"):
        model = create_model("progan_256")
    assert sum(p.numel() for p in model.parameters()) == 18_344_995
    names = [*(f"layer{i}" for i in range(1, 15)), "output_256x256"]
    assert list(model.state_dict()) == [
        f"{name}.{part}" for name in names for part in ("conv.weight", "wscale.b")
    ]
    widths = [512, *(c for c in CHANNELS_256[1:] for _ in range(2))]
    shapes = [tuple(v.shape) for k, v in model.state_dict().items() if k.endswith("weight")]
    kernels = [4, *[3] * 13]
    assert shapes == [
        *((b, a, k, k) for a, b, k in zip(widths, widths[1:], kernels, strict=False)),
        (3, 32, 1, 1),
    ]
    with torch.device("meta"):
        assert model(torch.rand(1, 512)).shape == (1, 3, 256, 256)


def test_every_layer_by_hand():
    model = small().double()
    z = torch.randn(3, 12, dtype=torch.double)

    def norm(x):
        return x / (x.pow(2).mean(dim=1, keepdim=True) + 1e-8).sqrt()

    state = model.state_dict()
    # A vector times a matrix for each of the 16 cells; the kernel lies over them turned round.
    weight = state["layer1.conv.weight"].flip(2, 3)
    x = torch.einsum("bi,oihw->bohw", norm(z), weight) * math.sqrt(2) / (4 * math.sqrt(12))
    x = F.leaky_relu(x + state["layer1.wscale.b"].view(1, -1, 1, 1), 0.2)
    torch.testing.assert_close(model.layer1(z[:, :, None, None]), x)
    for i, inputs in enumerate((8, 8, 6, 6, 4), start=2):
        x = norm(x)
        if i % 2 == 1:  # the first of a size
            x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        x = F.conv2d(x, state[f"layer{i}.conv.weight"], padding=1)
        x = x * math.sqrt(2) / (3 * math.sqrt(inputs))
        x = x + state[f"layer{i}.wscale.b"].view(1, -1, 1, 1)
        x = torch.where(x > 0, x, 0.2 * x)
    x = torch.einsum("bihw,oi->bohw", norm(x), state["output_16x16.conv.weight"][:, :, 0, 0])
    x = x / math.sqrt(4) + state["output_16x16.wscale.b"].view(1, -1, 1, 1)
    torch.testing.assert_close(model(z), x)
    torch.testing.assert_close(model(z[:, :, None, None]), x)


def test_pixel_norm():
    x = pixel_norm(torch.randn(2, 64, 5, 5) * 100)
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(2, 5, 5))
    assert pixel_norm(torch.zeros(1, 4, 2, 2)).eq(0).all()  # and nothing divides by 0


def test_signals_keep_their_size_at_the_beginning():
    torch.manual_seed(0)
    layer = NormConv(128, 128, 3, padding=1)
    before = layer.wscale(layer.conv(pixel_norm(torch.randn(4, 128, 16, 16))))[..., 1:-1, 1:-1]
    assert before.std().item() == pytest.approx(math.sqrt(2), rel=0.05)  # He's, for the ReLU


def test_old_keys(tmp_path):
    model, other = small(), ProGAN(SMALL)
    old = {}
    for key, value in model.state_dict().items():
        layer, _, rest = key.partition(".")
        number = layer.removeprefix("layer")
        old[f"features.{int(number) - 1}.{rest}" if number.isdecimal() else f"output.{rest}"] = (
            value
        )
    assert "features.5.wscale.b" in old and "output.conv.weight" in old
    other.load_state_dict(old)
    z = model.latents(2)
    assert torch.equal(other(z), model(z))


def test_weights_from_a_file(tmp_path):
    torch.manual_seed(0)
    model = create_model("progan_256")
    torch.save({"state_dict": model.state_dict()}, tmp_path / "church.pth")
    loaded = create_model("progan_256", str(tmp_path / "church.pth"))
    assert torch.equal(loaded.layer9.conv.weight, model.layer9.conv.weight)
    torch.save(small().state_dict(), tmp_path / "small.pth")
    with pytest.raises(ValueError, match=r"small.pth does not fit progan_256: missing: layer7"):
        create_model("progan_256", str(tmp_path / "small.pth"))


def test_samples():
    model = small()
    made = model.sample(5, seed=3, batch_size=2).pictures
    assert made.shape == (5, 3, 16, 16) and model.training
    assert made.min() >= 0 and made.max() <= 1 and made.std() > 0
    again = model.sample(5, seed=3).pictures
    torch.testing.assert_close(again, made)  # batches do not matter
    fewer = model.sample(2, seed=3).pictures
    torch.testing.assert_close(fewer, made[:2])  # nor how many more there are
    assert not torch.equal(model.sample(5, seed=4).pictures, made)
    with torch.no_grad():
        raw = model(model.latents(5, seed=3))
    torch.testing.assert_close(made, ((raw + 1) / 2).clamp(0, 1))
    given = model.sample(model.latents(5, seed=3))
    torch.testing.assert_close(given.pictures, made)
    assert (given.seed, model.sample(seed=7).seed) == (None, 7)


def test_layers_can_be_changed_from_outside():
    model = small()
    before = model.sample(1).pictures
    hook = model.layer4.register_forward_hook(lambda _m, _i, output: output * 0)
    assert not torch.equal(model.sample(1).pictures, before)
    hook.remove()
    assert torch.equal(model.sample(1).pictures, before)


def test_a_file_of_ours_names_it(tmp_path):
    model = create_model("progan_256", channels=SMALL)
    save_model(tmp_path / "small.safetensors", model)
    loaded = load_model(tmp_path / "small.safetensors")
    assert loaded.channels == SMALL
    torch.testing.assert_close(loaded.sample(2).pictures, model.sample(2).pictures)


def test_the_discriminator_by_hand():
    torch.manual_seed(0)
    model = ProGANDiscriminator(SMALL).double()
    pictures = torch.randn(3, 3, 16, 16).double()
    weights = iter(model.state_dict().values())

    def layer(x, padding, gain=2**0.5):
        weight, bias = next(weights), next(weights)
        x = F.conv2d(x, weight, padding=padding) * gain / math.sqrt(weight[0].numel())
        return x + bias.view(1, -1, 1, 1)

    def leaky(x):
        return torch.where(x > 0, x, 0.2 * x)

    x = leaky(layer(pictures, 0))
    for _ in range(2):
        x = leaky(layer(x, 1))
        x = leaky(layer(x, 1))
        x = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    assert x.shape == (3, 8, 4, 4)
    deviation = (((x - x.mean(0)) ** 2).mean(0) + 1e-8).sqrt().mean()
    torch.testing.assert_close(batch_deviation(x), deviation.expand(3, 1, 4, 4))
    x = torch.cat([x, deviation.expand(3, 1, 4, 4)], dim=1)
    x = leaky(layer(leaky(layer(x, 1)), 0))
    x = layer(x, 0, gain=1.0)
    assert x.shape == (3, 1, 1, 1)
    torch.testing.assert_close(model(pictures), x.flatten())
    widths = [3, 4, 4, 6, 6, 8]
    shapes = [tuple(v.shape) for k, v in model.state_dict().items() if k.endswith("weight")]
    assert shapes[:5] == [
        (b, a, k, k) for (a, b), k in zip(itertools.pairwise(widths), (1, 3, 3, 3, 3), strict=True)
    ]
    assert shapes[5:] == [(8, 9, 3, 3), (8, 8, 4, 4), (1, 8, 1, 1)]


@pytest.mark.parametrize("shape", [(2, 11), (12,), (1, 12, 2, 2), (1, 3, 12)])
def test_wrong_vectors(shape):
    with pytest.raises(ValueError, match=r"latents must be \[B, 12\], got"):
        small()(torch.rand(shape))


def test_wrong_numbers():
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        small().sample(0)
    with pytest.raises(ValueError, match="channels must be those of the vector and of one size"):
        ProGAN((512,))
