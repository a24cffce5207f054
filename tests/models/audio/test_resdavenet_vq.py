"""ResDAVEnet-VQ: pictures and speech in one space, units, its loss by hand, its files."""

import math

import pytest
import torch

import fastcv
from fastcv.models.audio.resdavenet_mel import resdavenet_mel
from fastcv.models.audio.resdavenet_vq import SpokenBatch
from fastcv.sounds import BrokenSoundError

SMALL = {
    "depth": 18,
    "width": 4,
    "widths": (4, 4, 6, 8, 10),
    "kernel": 3,
    "frames": 64,
    "codebooks": (0, 12, 8, 0, 0),
}
RATE = 16000


def make(name="resdavenet_vq", **config):
    torch.manual_seed(0)
    return fastcv.create_model(name, **{**SMALL, **config}).eval()


@pytest.fixture(scope="module")
def model():
    return make()


def spoken(seconds=0.5, seed=0, rate=RATE):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(round(seconds * rate), generator=g) - 0.5, rate


def pictures(count=3):
    g = torch.Generator().manual_seed(9)
    return [torch.rand(3, 40, 50, generator=g) for _ in range(count)]


# Both ways.


def test_search_and_predict_rank_by_products(model):
    sounds, images = [spoken(0.3, 1), spoken(0.6, 2)], pictures()
    seen, heard = model.embed_images(images), model.embed_texts(sounds)
    products = [
        [math.fsum(a * b for a, b in zip(s, i, strict=True)) for i in seen.tolist()]
        for s in heard.tolist()
    ]
    for ranking, row in zip(model.search(sounds, images), products, strict=True):
        order = sorted(range(3), key=lambda i: -row[i])
        assert ranking.indices.tolist() == order
        assert ranking.scores.tolist() == pytest.approx([row[i] for i in order], rel=1e-4)
    for i, ranking in enumerate(model.predict(images, texts=sounds)):
        order = sorted(range(2), key=lambda s: -products[s][i])
        assert ranking.indices.tolist() == order


def test_titles(model):
    (ranking,) = model.predict(pictures(1), texts=[spoken(0.5), spoken(0.25)], k=1)
    assert ranking.name(0) in (
        "Sound(0.50 s, 1 channel, 16000 Hz)",
        "Sound(0.25 s, 1 channel, 16000 Hz)",
    )


def test_one_sound_is_not_two(model):
    """(samples, rate) is a tuple, as two sounds would be."""
    assert model.embed_texts(spoken()).shape == (1, 10)
    assert model.embed_texts((spoken(), spoken())).shape == (2, 10)
    index = model.index_texts([spoken()])
    assert model.index_texts(index) is index


def test_a_sounds_vector_is_the_same_in_any_company(model):
    alone = torch.cat([model.embed_texts(spoken(s)) for s in (0.2, 0.5)])
    together = model.embed_texts([spoken(0.2), spoken(0.5)])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-6)


def test_prepare_texts(model):
    batch = model.prepare_texts([spoken(0.2), spoken(0.5, rate=8000)])
    assert batch.mels.shape == (2, 40, 64) and batch.lengths.tolist() == [21, 51]
    torch.testing.assert_close(batch.mels[0, :, :21], resdavenet_mel(spoken(0.2)[0]))
    assert not batch.mels[0, :, 21:].any()


# Units.


@pytest.mark.parametrize(("layer", "stride", "codes"), [(2, 2, 12), (3, 4, 8), (None, 4, 8)])
def test_units_are_the_codes_of_a_sounds_own_frames(model, layer, stride, codes):
    sound = spoken(0.5)
    units = model.units(sound, layer=layer)
    batch = model.prepare_texts([sound])
    with torch.inference_mode():
        of_frames = model.audio_model(*batch).codes[layer or 3][0, : 51 // stride].tolist()
    expected = [c for i, c in enumerate(of_frames) if i == 0 or of_frames[i - 1] != c]
    assert units.units.tolist() == expected and units.codes == codes
    assert float(units.ends[-1]) == pytest.approx(51 // stride * stride * 0.01)


def test_planted_units():
    """A codebook that is the frames of one sound gives their numbers."""
    model = make()
    batch = model.prepare_texts([spoken(0.4)])
    with torch.inference_mode():
        net = model.audio_model
        first = net.layer1(net.bn1(net.conv1(batch.mels[:, None])).relu())[0, :, 0].T
        net.quant2.codebook.copy_(first[:12])
    codes = net(*batch).codes[2][0]
    assert codes[:12].tolist() == list(range(12))


def test_no_units_without_codebooks():
    model = make("resdavenet", codebooks=(0,) * 5)
    with pytest.raises(ValueError, match="the model has no codebook"):
        model.units(spoken())


def test_units_of_a_layer_without_codebook(model):
    with pytest.raises(ValueError, match="layer must be one that has a codebook, 2, 3, got 4"):
        model.units(spoken(), layer=4)


# Learning.


def hinges(rows, impostor):
    return sum(max(0.0, impostor(i, row) - row[i] + 1) for i, row in enumerate(rows)) / len(rows)


def semi_hard(i, row):
    return max([0.0] + [score for score in row if score < row[i]])


def test_loss_by_hand():
    model = make()
    seen = 4 * torch.randn(2, 10)
    batch = model.prepare_texts([spoken(0.3, 1), spoken(0.6, 2)])
    heard = model.audio_model(*batch)
    rows = (seen.double() @ heard.vectors().double().T).tolist()
    columns = [list(column) for column in zip(*rows, strict=True)]
    terms = {name: term.detach() for name, term in model.loss(seen, batch).items()}
    assert list(terms) == ["sampled", "semi_hard", "commitment"]
    other = hinges(rows, lambda i, row: row[1 - i]) + hinges(columns, lambda i, row: row[1 - i])
    assert float(terms["sampled"]) == pytest.approx(other, rel=1e-4)
    below = hinges(rows, semi_hard) + hinges(columns, semi_hard)
    assert float(terms["semi_hard"]) == pytest.approx(below, rel=1e-4)
    commitment = 0.0
    x = model.audio_model.bn1(model.audio_model.conv1(batch.mels[:, None])).relu()
    for n, lengths in ((2, (15, 30)), (3, (7, 15))):
        x = model.audio_model.get_submodule(f"layer{n - 1}")(x)
        book = model.audio_model.get_submodule(f"quant{n}").codebook
        chosen = book[heard.codes[n]].transpose(1, 2)
        away = (x[:, :, 0] - chosen).square()
        own = torch.cat(
            [row[:, :length].flatten() for row, length in zip(away, lengths, strict=True)]
        )
        commitment += own.mean().item()
        x = chosen[:, :, None]
    assert float(terms["commitment"]) == pytest.approx(commitment, rel=1e-4)


def test_a_step_moves_codebooks_and_both_nets():
    model = make().train()
    images = model.prepare(pictures(4))
    sounds = [spoken(0.4, seed) for seed in range(4)]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    sum(model.loss(model(images), sounds).values()).backward()
    optimizer.step()
    moved = {
        key for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    for key in (
        "quant2._embedding.weight",
        "quant3._ema_w",
        "conv1.weight",
        "layer4.0.conv1.weight",
    ):
        assert f"audio_model.{key}" in moved
    assert {"image_model.conv1.weight", "image_model.embedder.weight"} <= moved
    assert not any("batchnorm1" in key for key in moved)


def test_learns_which_picture_a_sound_is_about():
    model = make(codebooks=(0,) * 5, jitter=0.0).train()
    images = model.prepare([torch.full((3, 40, 40), level) for level in (0.0, 0.5, 1.0)])
    time = torch.arange(8000) / RATE
    batch = model.prepare_texts(
        [(0.5 * torch.sin(2 * math.pi * hz * time), RATE) for hz in (300.0, 1000.0, 3000.0)]
    )
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        terms = model.loss(model(images), batch)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        losses.append(sum(terms.values()).item())
    assert losses[-1] < 0.25 * losses[0]


def test_codebooks_are_turned_on_after_a_warm_start():
    plain, quantised = make("resdavenet", codebooks=(0,) * 5), make()
    before = quantised.audio_model.quant2.codebook.clone()
    left = quantised.load_state_dict(plain.state_dict(), strict=False)
    assert not left.unexpected_keys
    assert all(".quant" in key for key in left.missing_keys) and len(left.missing_keys) == 6
    assert torch.equal(quantised.audio_model.quant2.codebook, before)


@pytest.mark.parametrize(
    ("targets", "kind", "message"),
    [
        ([spoken()], ValueError, "a sound for each of two pictures or more, got 1 for 2"),
        ("a.wav", TypeError, "targets must be a list of sounds or a SpokenBatch, got str"),
        (SpokenBatch([1], [2]), TypeError, "targets must be a SpokenBatch of tensors"),
        ([spoken(), (torch.zeros(0), RATE)], ValueError, "targets: .* has no samples"),
    ],
)
def test_wrong_targets(model, targets, kind, message):
    with pytest.raises(kind, match=message):
        model.loss(torch.randn(2, 10), targets)


# Bad sounds.


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        ((torch.zeros(0), RATE), "has no samples"),
        ((torch.zeros(1), RATE), "more than 200 samples at 16000 Hz, 12.5 ms, got"),
        ((torch.tensor([0.1] * 500 + [math.nan]), RATE), "samples that are NaN or infinite"),
    ],
)
def test_bad_sounds(model, sound, message):
    for call in (model.units, model.embed_texts, lambda s: model.search(s, pictures())):
        with pytest.raises(ValueError, match=message):
            call(sound)


def test_broken_files(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no sound"):
        model.units(tmp_path / "none.wav")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(BrokenSoundError, match=r"a\.wav"):
        model.units(tmp_path / "a.wav")


def test_long_sounds_are_cut_with_a_warning(model):
    with pytest.warns(UserWarning, match="a sound of 101 frames is cut to 64"):
        units = model.units(spoken(1.0))
    assert float(units.ends[-1]) == pytest.approx(0.64)


# Files.


def test_published_files(tmp_path):
    model, other = make(), make()
    for value in other.state_dict().values():
        value.add_(1)
    for part in ("audio_model", "image_model"):
        state = other.get_submodule(part).state_dict()
        torch.save({f"module.{key}": v for key, v in state.items()}, tmp_path / f"{part}.pth")
    model.load_published(tmp_path / "audio_model.pth", tmp_path / "image_model.pth")
    for key, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_published_files_that_do_not_fit(tmp_path):
    model, other = make(), make(codebooks=(0, 12, 9, 0, 0))
    torch.save(other.audio_model.state_dict(), tmp_path / "audio.pth")
    torch.save({"conv1.weight": torch.ones(3)}, tmp_path / "image.pth")
    sizes = r"codebooks of \[0, 12, 9, 0, 0\] codes, and this model's have \[0, 12, 8, 0, 0\]"
    with pytest.raises(ValueError, match=sizes):
        model.load_published(tmp_path / "audio.pth", tmp_path / "image.pth")
    before = model.audio_model.conv1.weight.clone()
    with pytest.raises(ValueError, match=r"image\.pth does not fit resdavenet_vq: missing"):
        other.load_published(tmp_path / "audio.pth", tmp_path / "image.pth")
    assert torch.equal(model.audio_model.conv1.weight, before)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        other.load_published(tmp_path / "audio.pth", tmp_path / "none.pth")


def test_saves_and_loads(model, tmp_path):
    path = tmp_path / "m.safetensors"
    fastcv.save_model(path, model)
    again = fastcv.create_model("resdavenet_vq", weights=str(path)).eval()
    assert again.units(spoken()).units.tolist() == model.units(spoken()).units.tolist()
    with pytest.raises(ValueError, match=r"build it with codebooks=\(0, 12, 8, 0, 0\)"):
        make(codebooks=(0, 12, 16, 0, 0), weights=str(path))


def test_wrong_config():
    with pytest.raises(ValueError, match="frames must be at least 16 and margin at least 0"):
        make(frames=8)
