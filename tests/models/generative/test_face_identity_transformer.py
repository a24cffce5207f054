"""The transformer: its count and keys, forward by them, passwords, and what it refuses."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.models._weights import Source, load_weights
from fastcv.models.generative.face_identity_transformer import FaceIdentityTransformer
from fastcv.models.generative.passwords import inverse_password, password_bits

OPEN, OTHER = password_bits("open"), password_bits("other")


def small(**options):
    torch.manual_seed(0)
    return FaceIdentityTransformer(**{"blocks": 2, "width": 4, **options})


def picture(height=16, width=24):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))


def test_count_and_keys():
    with torch.device("meta"):
        model = fastcv.create_model("face_identity_transformer")
        assert model(torch.rand(2, 3, 128, 128), torch.rand(2, 16)).shape == (2, 3, 128, 128)
    assert sum(p.numel() for p in model.parameters()) == 11_433_603
    convs = ["1", "5", "9", "23", "28", "32"]
    convs += [f"{i}.conv_block.{j}" for i in range(12, 21) for j in (1, 5)]
    norms = ["2", "6", "10", "24", "29"]
    norms += [f"{i}.conv_block.{j}" for i in range(12, 21) for j in (2, 6)]
    expected = {f"model.{layer}.weight" for layer in convs + norms}
    expected |= {f"model.{layer}.bias" for layer in [*norms, "32"]}
    assert set(model.state_dict()) == expected  # no running statistics


@pytest.mark.parametrize("amplitude", [0.5, 0.25])
def test_forward_by_its_keys(amplitude):
    model = small(amplitude=amplitude).eval()
    state = {key.removeprefix("model."): value for key, value in model.state_dict().items()}
    images = torch.rand(3, 3, 16, 24) * 2 - 1
    passwords = torch.randint(2, (3, 16)).float()

    def norm(x, key):  # over the batch, in eval mode too
        mean = x.mean((0, 2, 3), keepdim=True)
        x = (x - mean) / (x.var((0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
        return x * state[f"{key}.weight"][:, None, None] + state[f"{key}.bias"][:, None, None]

    def conv(x, key, stride=1):
        weight = state[f"{key}.weight"]
        x = F.pad(x, [weight.shape[-1] // 2] * 4, mode="reflect")
        return F.conv2d(x, weight, state.get(f"{key}.bias"), stride)

    planes = torch.where(passwords > 0, amplitude, -amplitude)[:, :, None, None]
    y = torch.cat([images, planes * torch.ones(3, 16, 16, 24)], dim=1)
    for key, stride in ((1, 1), (5, 2), (9, 2)):
        y = norm(conv(y, key, stride), key + 1).relu()
    for block in ("12.conv_block", "13.conv_block"):
        z = norm(conv(y, f"{block}.1"), f"{block}.2").relu()
        y = y + norm(conv(z, f"{block}.5"), f"{block}.6")
    for key in (16, 21):
        y = y.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        y = norm(conv(y, key), key + 1).relu()
    expected = conv(y, "25").tanh()
    torch.testing.assert_close(model(images, passwords), expected, rtol=1e-3, atol=1e-5)


def test_a_batch_of_one_password_norms_it_away():
    """So says the arithmetic of the paper's norms, and why ``predict`` takes the inverse along."""
    model = small().eval()
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    zeros, ones = torch.zeros(2, 16), torch.ones(2, 16)
    torch.testing.assert_close(model(images, zeros), model(images, ones), atol=1e-4, rtol=0)
    mixed = torch.stack([zeros[0], ones[0]])
    assert (model(images, mixed) - model(images, 1 - mixed)).abs().max() > 1e-3
    a, b = (model.predict(picture(), password=p)[0].pictures for p in (OPEN, OTHER))
    assert (a - b).abs().max() > 1e-3


def test_predict_is_forward_with_the_inverse():
    model, image = small().eval(), picture()
    bits = torch.tensor([[float(b) for b in OPEN]])
    both = model((image * 2 - 1).expand(2, -1, -1, -1), torch.cat([bits, 1 - bits]))
    (made,) = model.predict(image, password=OPEN)
    torch.testing.assert_close(made.pictures[0], (both[0] + 1) / 2)
    (inverse,) = model.predict(image, password=inverse_password(OPEN))
    torch.testing.assert_close(inverse.pictures[0], (both[1] + 1) / 2)


def test_running_statistics_need_no_batch():
    model = small(running_statistics=True)
    assert sum("running_mean" in key for key in model.state_dict()) == 9
    for _ in range(40):  # until they fit the weights
        model(torch.rand(4, 3, 16, 24) * 2 - 1, torch.randint(2, (4, 16)).float())
    model.eval()
    image, bits = picture(), torch.tensor([[float(b) for b in OPEN]])
    expected = (model(image[None] * 2 - 1, bits)[0] + 1) / 2
    many = model.predict([image, picture(20, 8)], password=OPEN, batch_size=2)
    torch.testing.assert_close(many[0].pictures[0], expected)
    assert (expected - model.predict(image, password=OTHER)[0].pictures[0]).abs().max() > 1e-4


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (30, 21), (32, 32)])
def test_faces_of_any_size(size):
    (made,) = small().predict(picture(*size), password=OPEN)
    assert made.image_size == size
    assert made.pictures.min() >= 0 and made.pictures.max() <= 1


def test_a_public_file_has_biases_that_come_to_nothing(tmp_path):
    """Before a norm of the batch's own a bias is taken off again: they are left out."""
    model = small()
    state = {key: value + 0.01 for key, value in model.state_dict().items()}
    torch.save(
        {**state, "model.16.bias": torch.ones(8), "model.21.bias": torch.ones(4)},
        tmp_path / "g.pth",
    )
    load_weights(model, Source(tmp_path / "g.pth"))
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    x, conv = torch.rand(2, 8, 8, 8), nn.Conv2d(8, 4, 3, bias=False)
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    shifted = norm(conv(x) + torch.arange(4.0)[:, None, None])
    torch.testing.assert_close(norm(conv(x)), shifted, atol=1e-4, rtol=0)


def test_wrong_passwords():
    model = small()
    for wrong in ("", "0101", OPEN + "0", "2" * 16):
        with pytest.raises(ValueError) as error:
            model.predict(picture(), password=wrong)
        assert str(error.value).startswith(f"password must be 16 bits of 0 and 1, got {wrong!r}")
    for options in ({}, {"password": None}):
        with pytest.raises(ValueError, match="a password is needed: 16 bits such as 0101"):
            model.predict(picture(), **options)
    with pytest.raises(TypeError, match="password must be text of 16 bits such as"):
        model.predict(picture(), password=7)
    longer = small(password_length=20)
    with pytest.raises(ValueError, match="password must be 20 bits of 0 and 1"):
        longer.predict(picture(), password=OPEN)


def test_refuses_what_it_cannot_take():
    for length in (0, 3, 10, -4):
        with pytest.raises(ValueError, match="password_length must be a multiple of 4, got"):
            FaceIdentityTransformer(password_length=length)
    model, bits = small(), torch.zeros(1, 16)
    for wrong in ((1, 3, 18, 16), (1, 4, 16, 16), (1, 3, 4, 16)):
        with pytest.raises(ValueError, match="multiples of 4, at least 8, got"):
            model(torch.zeros(wrong), bits)
    for wrong in (None, torch.zeros(2, 16), torch.zeros(1, 8), torch.zeros(16)):
        with pytest.raises(ValueError, match=r"passwords must be \[1, 16\], one for each image"):
            model(torch.zeros(1, 3, 16, 16), wrong)
    with pytest.raises(ValueError, match=r"passwords must be \[1, 16\].* got none"):
        model.translate(picture())


def test_it_saves_and_says_why_it_is_no_onnx(tmp_path):
    model = fastcv.create_model("face_identity_transformer", blocks=1, width=4)
    fastcv.save_model(tmp_path / "m.safetensors", model)
    loaded = fastcv.load_model(tmp_path / "m.safetensors")
    a, b = (m.predict(picture(), password=OPEN)[0].pictures for m in (model, loaded))
    assert torch.equal(a, b)
    with pytest.raises(NotImplementedError, match="a password goes in beside the picture"):
        fastcv.export_onnx(model, tmp_path / "m.onnx", (32, 32))
