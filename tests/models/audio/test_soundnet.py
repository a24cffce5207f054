"""SoundNet by its table, its loss by hand, and the names that ports give its layers."""

import math

import pytest
import torch
from torch.nn import functional as F

import fastcv
from fastcv.models.audio.soundnet import SoundLogits

# Channels, kernel, padding, pool of each layer; the heads have kernels of 8 without padding.
TABLE = (
    (16, 64, 32, 8),
    (32, 32, 16, 8),
    (64, 16, 8, 1),
    (128, 8, 4, 1),
    (256, 4, 2, 4),
    (512, 4, 2, 1),
    (1024, 4, 2, 1),
)
SECONDS = 20
SHORT = {"num_classes": 3, "num_scenes": 2, "width": 2, "pools": (4, 4, 4), "head_kernel": 2}


@pytest.fixture(scope="module")
def large():
    with torch.device("meta"):
        return fastcv.create_model("soundnet8")


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return fastcv.create_model("soundnet8", **SHORT, rate=16000).eval()


def test_parameters(large):
    count, inputs = 0, 1
    for channels, kernel, _, _ in TABLE:
        count += channels * inputs * kernel + channels + 2 * channels  # the norm's two
        inputs = channels
    count += (1000 + 401) * (inputs * 8 + 1)
    assert count == 14_352_713
    assert sum(p.numel() for p in large.parameters()) == count


def test_the_table(large):
    """Lengths of all layers for 20 s, by the arithmetic of convolutions."""
    assert large.rate == 22050
    waves, length = torch.empty(1, SECONDS * large.rate, device="meta"), SECONDS * large.rate
    for number, (channels, kernel, padding, pool) in enumerate(TABLE, 1):
        length = (length + 2 * padding - kernel) // 2 + 1
        assert large.features(waves, f"conv{number}").shape == (1, channels, length)
        if pool > 1:
            length //= pool
            assert large.features(waves, f"pool{number}").shape == (1, channels, length)
        assert (f"pool{number}" in large.layers) == (pool > 1)
    assert (length - 8) // 2 + 1 == 4
    output = large(waves)
    assert output.objects.shape == (1, 1000, 4) and output.scenes.shape == (1, 401, 4)


def test_start():
    torch.manual_seed(0)
    model = fastcv.create_model("soundnet8", num_classes=5, num_scenes=5)
    assert float(model.conv6.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    assert not model.conv6.bias.any() and not model.conv8_objs.bias.any()
    assert float(model.batchnorm7.weight.detach().mean()) == pytest.approx(1, abs=0.01)
    assert float(model.batchnorm7.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_the_waveform_is_scaled(small):
    """The first convolution sees +-256: its output by hand, at one place."""
    torch.manual_seed(1)
    waves = torch.rand(1, 16000) * 2 - 1
    conv, norm = small.conv1, small.batchnorm1
    at, channel = 500, 1
    window = 256 * waves[0, 2 * at - 32 : 2 * at + 32]
    with torch.no_grad():
        value = float((window * conv.weight[channel, 0]).sum() + conv.bias[channel])
        value = value / math.sqrt(1 + norm.eps) * float(norm.weight[channel])
        found = small.features(waves, "conv1")[0, channel, at]
    assert float(found) == pytest.approx(max(value, 0), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", ["conv1", "pool1", "pool2", "conv5", "pool5", "conv7", "scenes"])
def test_the_least_length(small, name):
    """So many samples give one time step; one fewer is told in a sentence."""
    least = small.min_samples(name)
    assert small.features(torch.zeros(1, least), name).shape[2] == 1
    with pytest.raises(ValueError, match=rf"a sound must be at least .* s \({least} samples at"):
        small.features(torch.zeros(1, least - 1), name)


def test_bad_arguments(small):
    for waves in (torch.zeros(16000), torch.zeros(1, 1, 16000)):
        with pytest.raises(ValueError, match=r"waves must be \[B, N\], got"):
            small(waves)
    with pytest.raises(ValueError, match=r"layer must be one of conv1, pool1, .* got 'pool3'"):
        small.features(torch.zeros(1, 16000), "pool3")
    with pytest.raises(ValueError, match="pools must be 3 numbers, got"):
        fastcv.create_model("soundnet8", pools=(8, 8))


def test_loss_by_hand():
    """KL(teacher || student) of both heads; here of two time steps, and a batch of one."""
    model = fastcv.create_model("soundnet8", **SHORT)
    objects = torch.tensor([[[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]])
    scenes = torch.tensor([[[0.0, 0.0], [math.log(3.0), 0.0]]])
    of_objects = torch.tensor([[[0.5, 0.0], [0.25, 1.0], [0.25, 0.0]]])
    of_scenes = torch.tensor([[[0.25, 0.5], [0.75, 0.5]]])
    losses = model.loss(SoundLogits(objects, scenes), (of_objects, of_scenes))

    def divergence(teacher, logits):
        total = sum(math.exp(x) for x in logits)
        return sum(
            t * (math.log(t) - math.log(math.exp(x) / total))
            for t, x in zip(teacher, logits, strict=True)
            if t > 0
        )

    first = divergence((0.5, 0.25, 0.25), (0.0, 0.0, 0.0))
    second = divergence((0.0, 1.0, 0.0), (1.0, 2.0, 3.0))
    assert float(losses["objects"]) == pytest.approx(250 * (first + second) / 2, rel=1e-5)
    assert float(losses["scenes"]) == pytest.approx(0, abs=1e-4)  # the student says the same


def test_targets_that_are_no_probabilities(small):
    output = SoundLogits(torch.zeros(1, 3, 2), torch.zeros(1, 2, 2))
    good = torch.full((1, 3, 2), 1 / 3), torch.full((1, 2, 2), 0.5)
    for wrong, words in (
        ((good[0][..., :1], good[1]), "targets of objects must be floating"),
        ((good[0], good[1].long()), "targets of scenes must be floating"),
        ((good[0] * 2, good[1]), "add up to 1"),
        ((good[0], good[1] * float("nan")), "add up to 1"),
    ):
        with pytest.raises(ValueError, match=words):
            small.loss(output, wrong)
    with pytest.raises(TypeError, match="targets must be two tensors, of objects and of scenes"):
        small.loss(output, good[0])


def numbered(key):
    """The key as ports have it whose blocks are lists."""
    block, _, name = key.partition(".")
    heads = {"conv8_objs": "conv8.0", "conv8_scns": "conv8_2.0"}
    if block in heads:
        return f"{heads[block]}.{name}"
    layer, number = (1, block[-1]) if block.startswith("batchnorm") else (0, block[-1])
    return f"conv{number}.{layer}.{name}"


@pytest.mark.parametrize("rename", [str, numbered])
@pytest.mark.parametrize("dim", [2, 3])
def test_keys_of_ports(small, rename, dim, tmp_path):
    """Named or numbered layers, and kernels of pictures that are one pixel wide or high."""
    state = {
        rename(key): value.unsqueeze(dim) if value.ndim == 3 else value
        for key, value in small.state_dict().items()
    }
    torch.save(state, tmp_path / "port.pth")
    config = {**SHORT, "rate": 16000}
    loaded = fastcv.create_model("soundnet8", str(tmp_path / "port.pth"), **config)
    ours = small.state_dict()
    assert all(torch.equal(ours[key], value) for key, value in loaded.state_dict().items())


def test_features_teach_another_task(small):
    """The lecture's use: a linear layer on pool5, which a gradient reaches."""
    waves = torch.rand(4, 16000) - 0.5
    found = small.features(waves, "pool5").flatten(1)
    layer = torch.nn.Linear(found.shape[1], 2)
    F.cross_entropy(layer(found), torch.tensor([0, 1, 0, 1])).backward()
    assert layer.weight.grad.any() and small.conv1.weight.grad.any()
    small.zero_grad()


# Predicting.


def test_predict(small):
    torch.manual_seed(2)
    waves = torch.rand(2, 40000) - 0.5
    found = small.predict([(wave, 16000) for wave in waves], batch_size=2)
    with torch.no_grad():
        output = small(waves)
    for i, result in enumerate(found):
        expected = output.objects.softmax(dim=1)[i].mean(dim=1)
        torch.testing.assert_close(result.objects.scores, expected)
        expected = output.scenes.softmax(dim=1)[i].mean(dim=1)
        torch.testing.assert_close(result.scenes.scores, expected)
    stereo = torch.stack([waves[0] * 1.5, waves[0] * 0.5])
    (same,) = small.predict((stereo, 16000))
    torch.testing.assert_close(same.objects.scores, found[0].objects.scores)


def test_bad_sounds(small):
    long, short = (torch.zeros(40000), 16000), (torch.zeros(500), 16000)
    for wrong, kind, words in (
        (short, ValueError, "a sound must be at least .* got 500 samples"),
        ((torch.zeros(0), 16000), ValueError, "has no samples"),
        ((torch.zeros(1), 16000), ValueError, "a sound must be at least .* got 1 samples"),
        ((torch.full((40000,), float("nan")), 16000), ValueError, "NaN or infinite"),
        (torch.zeros(40000), TypeError, "needs its rate"),
        ("no_such.wav", FileNotFoundError, "there is no sound no_such.wav"),
    ):
        with pytest.raises(kind, match=words) as error:
            small.predict(wrong)
        assert "\n" not in str(error.value)
    found = [r for _, r in small.predict_iter([short, long], on_error="yield", batch_size=2)]
    assert isinstance(found[0], ValueError) and found[1].objects.scores.shape == (3,)
    with pytest.raises(ValueError, match="sounds of a batch must have one length, got 16000 to 40"):
        small.predict([long, (torch.zeros(16000), 16000)], batch_size=2)


def test_the_rate_comes_back(small, tmp_path):
    fastcv.save_model(tmp_path / "a.safetensors", small)
    assert fastcv.load_model(tmp_path / "a.safetensors").rate == 16000
