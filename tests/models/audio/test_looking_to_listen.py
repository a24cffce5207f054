"""Looking to Listen: sizes, masks that recover sources, its loss by hand, the order of faces."""

import cmath
import math

import pytest
import torch

import fastcv
from fastcv.audio.complex_mask import compress, ideal_mask, uncompress
from fastcv.data import SoundAndFaces, TwoVoices
from fastcv.metrics import improvement, si_sdr
from fastcv.models.audio.looking_to_listen import LookingToListen

SMALL = {
    "rate": 8000,
    "channels": 4,
    "face_channels": 6,
    "face_size": 8,
    "hidden": 10,
    "width": 12,
}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return fastcv.create_model("looking_to_listen_2", **SMALL).eval()


@pytest.fixture(scope="module")
def voices():
    return TwoVoices(2, rate=8000, seconds=1, face_size=8)


@pytest.fixture
def batch(voices):
    items = [voices[i] for i in range(2)]
    waves, faces = (torch.stack(parts) for parts in zip(*(x for x, _ in items), strict=True))
    return SoundAndFaces(waves, faces), torch.stack([sources for _, sources in items])


# Sizes.


def test_parameters_by_hand():
    with torch.device("meta"):
        model = fastcv.create_model("looking_to_listen_2")

    def conv(inputs, outputs, cells):  # with a bias, and a batch norm of two numbers
        return inputs * outputs * cells + outputs + 2 * outputs

    def count(module):
        return sum(p.numel() for p in module.parameters() if p.requires_grad)

    audio = conv(2, 96, 7) + conv(96, 96, 7) + 12 * conv(96, 96, 25) + conv(96, 8, 1)
    visual = conv(1792, 256, 7) + 5 * conv(256, 256, 5)
    direction = 4 * 400 * (8 * 257 + 2 * 256 + 400 + 1)
    layers = (400 + 1) * 600 + 2 * (600 + 1) * 600
    assert count(model.audio) == audio and count(model.visual) == visual
    assert count(model.lstm) == 2 * direction and count(model.fc) == layers
    assert count(model.complex_mask) == (600 + 1) * 257 * 2 * 2
    assert count(model) == 18_770_180
    # torch's LSTM adds a second bias; it stays zero.
    assert sum(p.numel() for p in model.parameters()) == 18_770_180 + 2 * 4 * 400


def test_kernels_and_dilations():
    with torch.device("meta"):
        model = LookingToListen()
    convs = [layer for layer in model.audio if isinstance(layer, torch.nn.Conv2d)]
    sizes = [(c.kernel_size, c.dilation) for c in convs]
    assert sizes[:3] == [((1, 7), (1, 1)), ((7, 1), (1, 1)), ((5, 5), (1, 1))]
    assert sizes[2:8] == [((5, 5), (2**i, 1)) for i in range(6)]  # time is the first axis
    assert sizes[8:14] == [((5, 5), (2**i, 2**i)) for i in range(6)]
    assert sizes[14] == ((1, 1), (1, 1)) and len(sizes) == 15
    faces = [layer for layer in model.visual if isinstance(layer, torch.nn.Conv1d)]
    assert [(c.kernel_size, c.dilation) for c in faces] == [
        ((7,), (1,)),
        *(((5,), (2**i,)) for i in range(5)),
    ]


def test_spectrum_of_3_seconds():
    model = LookingToListen(channels=1, face_channels=1, face_size=1, hidden=1, width=1)
    wave = torch.randn(1, 48_000, generator=torch.Generator().manual_seed(0))
    spectrum = model.spectrum(wave)
    assert spectrum.shape == (1, 257, 301) and model.fft == 512 and len(model.window) == 400
    # Frame 100 by hand: Hann's window of 400 in the middle of 512, around sample 16,000.
    frame = wave[0, 16_000 - 200 : 16_000 + 200].tolist()
    windowed = [x * (0.5 - 0.5 * math.cos(2 * math.pi * i / 400)) for i, x in enumerate(frame)]
    for k in (0, 3, 200, 256):
        terms = (x * cmath.exp(-2j * math.pi * k * (i + 56) / 512) for i, x in enumerate(windowed))
        assert cmath.isclose(sum(terms), spectrum[0, k, 100].item(), abs_tol=1e-3)
    torch.testing.assert_close(model.waves(spectrum, 48_000), wave, atol=1e-5, rtol=0)
    odd = wave[:, :12_345]
    torch.testing.assert_close(model.waves(model.spectrum(odd), 12_345), odd, atol=1e-5, rtol=0)


# Masks.


def test_ideal_masks_recover_the_sources(model, batch):
    (waves, _), sources = batch
    mixture = model.spectrum(waves)[:, None]
    masks = ideal_mask(mixture, model.spectrum(sources.flatten(0, 1)).unflatten(0, (2, 2)))
    for given, least in ((masks, 60), (uncompress(compress(masks)), 30)):
        made = model.waves((mixture * given).flatten(0, 1), 8000).unflatten(0, (2, 2))
        assert si_sdr(made, sources).min() > least
        assert improvement(made, sources, waves).min() > 25


class Told(LookingToListen):
    """Says the ideal masks of sources that it is told; all else is its own."""

    def forward(self, batch):
        output = super().forward(batch)
        scaled = self.sources / output.peaks[:, None, None]
        spectra = self.spectrum(scaled.flatten(0, 1)).unflatten(0, scaled.shape[:2])
        return output._replace(masks=compress(ideal_mask(output.mixture[:, None], spectra)))


def test_separate_gives_what_the_masks_say(batch):
    (waves, faces), sources = batch
    told = Told(**SMALL)
    told.sources = sources[:1] * 0.1  # a quiet sound: the peak is taken off and put back
    made = told.separate((waves[0] * 0.1, 8000), list(faces[0]))
    assert len(made) == 2 and all(audio.rate == 8000 for audio in made)
    for audio, source in zip(made, sources[0], strict=True):
        assert audio.samples.shape[-1] == 8000
        assert si_sdr(audio.samples.reshape(-1), source) > 30
        ratio = audio.samples.square().mean() / source.square().mean()
        assert ratio.sqrt().item() == pytest.approx(0.1, rel=0.05)
    assert told.loss(told(SoundAndFaces(waves[:1] * 0.1, faces[:1])), told.sources)["mask"] < 1e-9


def test_loss_by_hand(model, batch):
    inputs, sources = batch
    output = model(inputs)
    assert output.masks.shape == (2, 2, 129, 101, 2)
    got = model.loss(output, sources)
    spectra = model.spectrum((sources / output.peaks[:, None, None]).flatten(0, 1))
    squares = []
    for b in range(2):
        for n in range(2):
            for f in range(0, 129):
                for t in (0, 17, 100):
                    y, s = output.mixture[b, f, t].item(), spectra[2 * b + n, f, t].item()
                    mask = s * y.conjugate() / (abs(y) ** 2 + 1e-8)
                    for part, said in zip(
                        (mask.real, mask.imag), output.masks[b, n, f, t].tolist(), strict=True
                    ):
                        right = 10 * math.tanh(0.1 * part / 2)
                        squares.append((said - right) ** 2)
    # Those three frames by the code under test, and all frames as the mean of all such means.
    kept = [0, 17, 100]
    right = compress(ideal_mask(output.mixture[:, None], spectra.unflatten(0, (2, 2))))
    errors = (output.masks - right).square()
    assert errors[:, :, :, kept].mean().item() == pytest.approx(
        sum(squares) / len(squares), rel=1e-3
    )
    assert list(got) == ["mask"]
    assert got["mask"].item() == pytest.approx(errors.mean().item(), rel=1e-5)


# The order of faces.


def test_one_set_of_weights_sees_all_faces(model, batch):
    faces = batch[0].faces
    seen = model.visual(faces)
    assert seen.shape == (2, 2, 25, 6)
    torch.testing.assert_close(model.visual(faces.flip(1)), seen.flip(1))
    torch.testing.assert_close(model.visual(faces[:, :1]), seen[:, :1])


def swapped_slots(model):
    """The same model whose slots for the two faces have changed places, in and out."""
    other = fastcv.create_model("looking_to_listen_2", **SMALL).eval()
    other.load_state_dict(model.state_dict())
    heard, faces = 8 * 129, 6
    order = [*range(heard), *range(heard + faces, heard + 2 * faces), *range(heard, heard + faces)]
    for weight in (other.lstm.weight_ih_l0, other.lstm.weight_ih_l0_reverse):
        weight.data = weight.data[:, order]
    for parameter in other.complex_mask.parameters():
        parameter.data = parameter.data.unflatten(0, (2, -1)).flip(0).flatten(0, 1)
    return other


def test_swapped_faces(model, batch):
    # An LSTM reads the faces side by side, so nothing makes swapped faces swap the outputs: a
    # slot has weights of its own. What holds is that faces and slots swapped together do.
    (waves, faces), _ = batch
    masks = model(SoundAndFaces(waves, faces)).masks
    swapped = model(SoundAndFaces(waves, faces.flip(1))).masks
    assert not torch.allclose(swapped, masks) and not torch.allclose(swapped.flip(1), masks)
    together = swapped_slots(model)(SoundAndFaces(waves, faces.flip(1))).masks
    torch.testing.assert_close(together.flip(1), masks, atol=1e-5, rtol=1e-4)


def test_the_loss_knows_the_order(model, batch):
    (waves, faces), sources = batch
    output = model(SoundAndFaces(waves, faces))
    right = compress(
        ideal_mask(
            output.mixture[:, None],
            model.spectrum((sources / output.peaks[:, None, None]).flatten(0, 1)).unflatten(
                0, (2, 2)
            ),
        )
    )
    perfect = output._replace(masks=right)
    assert model.loss(perfect, sources)["mask"] < 1e-9
    assert model.loss(perfect, sources.flip(1))["mask"] > 0.01
    assert model.loss(perfect._replace(masks=right.flip(1)), sources.flip(1))["mask"] < 1e-9


def test_a_few_steps_lower_the_loss(batch):
    torch.manual_seed(0)
    model = LookingToListen(**SMALL)
    inputs, sources = batch
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        loss = model.loss(model(inputs), sources)["mask"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(not model.lstm.get_parameter(f"bias_hh_l0{end}").any() for end in ("", "_reverse"))


def test_three_speakers():
    model = LookingToListen(3, **SMALL).eval()
    made = model.separate((torch.rand(4000), 8000), torch.rand(3, 12, 8))
    assert len(made) == 3


# Separating.


def test_separate_any_sound(model, voices):
    (wave, faces), _ = voices[0]
    one = model.separate((wave, 8000), faces)
    assert all(audio.samples.isfinite().all() for audio in one) and not model.training
    stereo = model.separate((torch.stack([wave, wave]), 8000), [face.numpy() for face in faces])
    for a, b in zip(one, stereo, strict=True):
        torch.testing.assert_close(a.samples, b.samples)
    model.train()
    other = model.separate((torch.rand(16_001), 16_000), faces)
    assert model.training and other[0].samples.shape[-1] == 8001
    model.eval()
    silent = model.separate((torch.zeros(8000), 8000), faces)
    assert all(audio.samples.eq(0).all() for audio in silent)


@pytest.mark.parametrize(
    ("samples", "faces", "kind", "words"),
    [
        (8000, torch.rand(3, 25, 8), ValueError, "faces must be 2, for so many speakers was the"),
        (8000, torch.rand(1, 25, 8), ValueError, "model made, got 1"),
        (8000, [], ValueError, "got 0"),
        (8000, torch.rand(2, 25, 9), ValueError, "each of faces must be [V, 8], got [[25, 9], "),
        (8000, [torch.rand(25, 8), torch.rand(24, 8)], ValueError, "each of faces must be [V, 8]"),
        (8000, torch.rand(2, 75, 8), ValueError, "faces must be 25 a second, 25 for 1.00 s of"),
        (8000, torch.full((2, 25, 8), torch.nan), ValueError, "faces must be finite"),
        (8000, ["a", "b"], TypeError, "faces must be tensors or arrays [V, 8], one for each who"),
        (8000, None, TypeError, "faces must be tensors or arrays"),
        (319, torch.rand(2, 1, 8), ValueError, "the sound must have 320 samples at 8000 Hz or"),
    ],
)
def test_refused(model, samples, faces, kind, words):
    with pytest.raises(kind) as error:
        model.separate((torch.rand(samples), 8000), faces)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_samples_that_are_not_finite(model):
    wave = torch.rand(8000)
    wave[7] = torch.nan
    with pytest.raises(ValueError, match=r"NaN|finite"):
        model.separate((wave, 8000), torch.rand(2, 25, 8))


def test_wrong_batches(model, batch):
    (waves, faces), sources = batch
    output = model(SoundAndFaces(waves, faces))
    for call, kind, words in (
        (lambda: model(waves), TypeError, "batch must be a SoundAndFaces, got Tensor"),
        (lambda: model(SoundAndFaces(waves[0], faces)), ValueError, r"waves must be \[B, S\]"),
        (lambda: model(SoundAndFaces(waves, faces[:, :1])), ValueError, r"\[2, 2, V, 8\], for 2"),
        (lambda: model.loss(output, None), TypeError, "targets must be a tensor"),
        (lambda: model.loss(output, sources[:, :1]), ValueError, r"targets must be \[2, 2, S\]"),
        (lambda: model.loss(output, sources[..., :99]), ValueError, "as long as the mixture, 101"),
        (lambda: LookingToListen(0), ValueError, "speakers must be at least 1, got 0"),
        (lambda: LookingToListen(rate=8), ValueError, "rate must be at least 1000 Hz, got 8"),
    ):
        with pytest.raises(kind, match=words):
            call()
