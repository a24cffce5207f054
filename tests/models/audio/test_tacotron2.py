"""Tacotron 2: sizes, keys, one step as many, its loss by hand, and what it refuses."""

import math
import warnings

import pytest
import torch

import fastcv
from fastcv.models.audio.tacotron2 import SpeechBatch

SMALL = {"embedding": 16, "hidden": 24, "prenet": 8, "attention": 6, "postnet": 12, "mels": 10}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = fastcv.create_model("tacotron2", **SMALL).eval()
    for parameter in model.parameters():  # away from what says nothing
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 148, (3, 7), generator=draw)
    lengths = torch.tensor([4, 7, 1])
    ids[torch.arange(7) >= lengths[:, None]] = 0
    return SpeechBatch(ids, lengths, torch.randn(3, 10, 6, generator=draw))


@pytest.fixture(scope="module")
def whole():
    with torch.device("meta"):
        return fastcv.create_model("tacotron2")


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters_by_hand(whole):
    def lstm(inputs, hidden):
        return 4 * hidden * (inputs + hidden + 2)

    assert count(whole.embedding) == 148 * 512
    assert count(whole.encoder) == 3 * (512 * 512 * 5 + 3 * 512) + 2 * lstm(512, 256)
    attention = 1024 * 128 + 512 * 128 + 128 + 2 * 32 * 31 + 32 * 128
    layers = 80 * 256 + 256 * 256 + (1536 + 1) * 80 + (1536 + 1)
    both = lstm(256 + 512, 1024) + lstm(1024 + 512, 1024)
    assert count(whole.decoder) == attention + layers + both
    between = 3 * (512 * 512 * 5 + 3 * 512)
    assert count(whole.postnet) == 2 * 80 * 512 * 5 + 3 * 512 + 3 * 80 + between
    assert count(whole) == 28_193_153


def nvidias(key):
    """A key of ours as NVIDIA's program has it, whose layers lie in layers of their own."""
    parts = key.split(".")
    if "convolutions" in parts and parts[-2] == "0":
        parts.insert(-1, "conv")
    if parts[-2] == "location_conv":
        parts.insert(-1, "conv")
    linear = ("query_layer", "memory_layer", "v", "location_dense", "linear_projection")
    if parts[-2] in (*linear, "gate_layer") or "prenet" in parts:
        parts.insert(-1, "linear_layer")
    return ".".join(parts)


def test_keys_of_nvidia_load(model):
    state = {nvidias(key): value for key, value in model.state_dict().items()}
    assert "encoder.convolutions.0.0.conv.weight" in state
    assert "decoder.prenet.layers.1.linear_layer.weight" in state
    assert "decoder.attention_layer.location_layer.location_conv.conv.weight" in state
    assert "decoder.attention_layer.v.linear_layer.weight" in state
    other = fastcv.create_model("tacotron2", **SMALL)
    other.load_state_dict(state)
    ours = model.state_dict()
    assert all(torch.equal(value, ours[key]) for key, value in other.state_dict().items())


def test_units_change_the_embedding_alone(whole):
    with torch.device("meta"):
        units = fastcv.create_model("tacotron2", symbols=[f"u{i}" for i in range(50)])
    shapes = {key: value.shape for key, value in whole.state_dict().items()}
    others = {key: value.shape for key, value in units.state_dict().items()}
    assert [key for key in shapes if shapes[key] != others.pop(key)] == ["embedding.weight"]
    assert not others and units.embedding.weight.shape == (51, 512)


def test_teacher_forcing_is_one_step_after_the_other(model, batch):
    # What infer makes by itself, given as the right frames, gives the same again.
    made = model.infer(batch.ids, batch.lengths, max_steps=9, seed=3)
    before = made.mels - model.postnet(made.mels)  # not yet what the decoder made
    read = model.encoder(model.embedding(batch.ids), batch.lengths)
    alone = model.decoder.infer(
        read, batch.lengths, max_steps=9, generator=torch.Generator().manual_seed(3)
    )[0]
    forced = model(batch._replace(mels=alone.mels), seed=3)
    assert before.shape == forced.before.shape
    torch.testing.assert_close(forced.before, alone.mels)
    torch.testing.assert_close(forced.gates, alone.gates)
    torch.testing.assert_close(forced.alignments, made.alignments)
    torch.testing.assert_close(forced.mels, made.mels)


def test_each_text_of_a_batch_has_dropout_of_its_own(model, batch):
    ids, lengths = batch.ids[1:2].repeat(3, 1), torch.tensor([7, 7, 7])
    out = model(SpeechBatch(ids, lengths, batch.mels[1:2].repeat(3, 1, 1)), seed=0)
    kept = model.decoder.prenet.draw(3, torch.Generator().manual_seed(0))
    assert not torch.equal(kept[:, 0], kept[:, 1])  # each has random numbers of its own
    assert not torch.equal(out.mels[0], out.mels[1])


def test_attention_sums_to_one_and_not_on_padding(model, batch):
    weights = model(batch, seed=0).alignments
    torch.testing.assert_close(weights.sum(2), torch.ones(3, 6))
    for row, length in zip(weights, batch.lengths.tolist(), strict=True):
        assert row[:, length:].eq(0).all()


def test_the_prenet_drops_in_eval_mode_too(model, batch):
    assert not model.training
    outputs = [model(batch, seed=seed).mels for seed in (0, 0, 1)]
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])
    assert not torch.equal(model(batch).mels, model(batch).mels)
    kept = model.decoder.prenet.draw(500, torch.Generator().manual_seed(0))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert kept.mean().item() == pytest.approx(1, abs=0.05)  # 4 sigma of 8,000 draws


def test_the_first_frame_comes_from_zeros(model, batch):
    changed = batch._replace(mels=batch.mels + torch.tensor([0.0, 0, 0, 0, 0, 9]))
    first, second = model(batch, seed=0).before, model(changed, seed=0).before
    assert torch.equal(first, second)  # the last right frame is of no use
    changed.mels[:, :, 2] += 1
    third = model(changed, seed=0).before
    assert torch.equal(first[:, :, :3], third[:, :, :3])
    assert not torch.allclose(first[:, :, 3], third[:, :, 3])


def test_loss_by_hand(model, batch):
    frames = torch.tensor([2, 6, 3])
    output = model(batch, seed=0)
    got = model.loss(output, (batch.mels, frames))
    squares = {"mel": [], "postnet": []}
    entropy = []
    for b in range(3):
        for t in range(int(frames[b])):
            for m in range(10):
                right = batch.mels[b, m, t].item()
                squares["mel"].append((output.before[b, m, t].item() - right) ** 2)
                squares["postnet"].append((output.mels[b, m, t].item() - right) ** 2)
            last = t == int(frames[b]) - 1
            probability = 1 / (1 + math.exp(-output.gates[b, t].item()))
            entropy.append(-math.log(probability if last else 1 - probability))
    for name, values in squares.items():
        assert got[name].item() == pytest.approx(sum(values) / len(values), rel=1e-5)
    assert got["gate"].item() == pytest.approx(sum(entropy) / len(entropy), rel=1e-5)
    assert list(got) == ["mel", "postnet", "gate"]


def test_padded_frames_do_not_count(model, batch):
    frames, output = torch.tensor([2, 6, 3]), model(batch, seed=0)
    behind = torch.arange(6) >= frames[:, None]
    other = batch.mels + 5 * behind[:, None]
    worse = output._replace(gates=output.gates + 7 * behind)
    for a, b in zip(
        model.loss(output, (batch.mels, frames)).values(),
        model.loss(worse, (other, frames)).values(),
        strict=True,
    ):
        assert torch.equal(a, b)


def gated(model, value):
    """The model with a gate that says the same at any frame."""
    model.decoder.gate_layer.weight.data.zero_()
    model.decoder.gate_layer.bias.data.fill_(value)
    return model


def test_it_stops_at_half_and_says_where_it_did_not():
    torch.manual_seed(0)
    model = fastcv.create_model("tacotron2", **SMALL).eval()
    ids, lengths = torch.tensor([[40, 41]]), torch.tensor([2])
    for value, frames, ended in ((0.1, 1, True), (0.0, 4, False), (-0.1, 4, False)):
        made = gated(model, value).infer(ids, lengths, max_steps=4)
        assert made.frames.tolist() == [frames] and made.ended.tolist() == [ended]
        assert made.mels.shape == (1, 10, frames) and made.alignments.shape == (1, frames, 2)


def test_a_few_steps_lower_the_loss():
    torch.manual_seed(0)
    model = fastcv.create_model("tacotron2", **{**SMALL, "hidden": 48})
    ids, lengths = torch.tensor([[40, 41, 42, 43]]).repeat(2, 1), torch.tensor([4, 4])
    mels = torch.randn(1, 10, 8).repeat(2, 1, 1)
    frames = torch.tensor([8, 8])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = sum(model.loss(model(SpeechBatch(ids, lengths, mels)), (mels, frames)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


# Speaking.


def test_speak(model, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = gated(fastcv.create_model("tacotron2", **SMALL), 1.0).speak("Hi, 2!", iterations=2)
    assert said.mel.shape == (10, 1) and said.samples.shape[-1] == 256
    assert said.symbols == tuple("hi, two!") and said.text == "Hi, 2!" and said.rate == 22_050
    with pytest.warns(UserWarning, match="the text had not ended after 12 frames, 0.1 s: it was"):
        one = gated(model, -1).speak("hello", seed=1, max_steps=12, iterations=2)
        again = model.speak("hello", seed=1, max_steps=12, iterations=2)
        other = model.speak("hello", seed=2, max_steps=12, iterations=2)
    assert torch.equal(one.samples, again.samples) and torch.equal(one.mel, again.mel)
    assert not torch.equal(one.mel, other.mel)
    assert one.alignment.shape == (12, 5) and one.samples.isfinite().all()
    assert not model.training and len(one.samples.flatten()) == 12 * 256


def test_a_file_brings_its_symbols(tmp_path):
    units = [f"u{i}" for i in range(5)]
    model = fastcv.create_model("tacotron2", symbols=units, **SMALL)
    fastcv.save_model(tmp_path / "m.safetensors", model)
    loaded = fastcv.create_model("tacotron2", weights=str(tmp_path / "m.safetensors"))
    assert loaded.symbols == model.symbols
    assert loaded.symbols.encode("u3 u0").tolist() == [4, 1]
    with pytest.raises(ValueError, match="weights of 6 symbols, with the padding") as error:
        fastcv.create_model("tacotron2", str(tmp_path / "m.safetensors"), symbols=("a", "b"))
    assert "symbols=(...)" in str(error.value)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", ValueError, "text must have a letter or another symbol, got ''"),
        ("안녕하세요", ValueError, "got '안녕하세요': known are English letters"),
        (["a"], TypeError, "text must be a str, got list"),
        (None, TypeError, "text must be a str, got NoneType"),
    ],
)
def test_texts_that_cannot_be_said(model, text, kind, words):
    with pytest.raises(kind, match="text must") as error:
        model.speak(text)
    assert words in str(error.value)


def test_ten_thousand_characters(model):
    gated(model, 1.0)
    with pytest.warns(UserWarning, match="a text of 10000 symbols was cut to its first 1000"):
        assert len(model.speak("a" * 10_000, iterations=1).symbols) == 1000


def test_broken_weights_are_told():
    model = gated(fastcv.create_model("tacotron2", **SMALL), 1.0)
    model.decoder.linear_projection.bias.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="frames that are not finite: its weights are broken"):
        model.speak("a")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": torch.full((3, 7), 148)}, "ids must be 0 to 147, got 148 to 148"),
        ({"ids": torch.zeros(3, 7)}, r"ids must be \[B, N\] int64"),
        ({"lengths": torch.tensor([0, 7, 1])}, r"lengths must be \[3\], each 1 to 7, got"),
        ({"lengths": torch.tensor([1, 7])}, r"lengths must be \[3\]"),
        ({"mels": torch.rand(3, 9, 6)}, r"mels must be \[3, 10, T\], got \[3, 9, 6\]"),
        ({"mels": torch.rand(3, 10, 0)}, r"mels must be \[3, 10, T\]"),
    ],
)
def test_wrong_batches(model, batch, change, words):
    with pytest.raises(ValueError, match=words):
        model(batch._replace(**change))


def test_other_wrong_things(model, batch):
    with pytest.raises(TypeError, match="batch must be a SpeechBatch, got Tensor"):
        model(batch.ids)
    with pytest.raises(ValueError, match="max_steps must be at least 1, got 0"):
        model.infer(batch.ids, batch.lengths, max_steps=0)
    output = model(batch)
    for targets, words in (
        ((batch.mels[:2], torch.tensor([1, 1, 1])), r"targets must have mels \[3, 10, 6\]"),
        ((batch.mels, torch.tensor([1, 1])), r"targets must have frames \[3\] int64"),
        ((batch.mels, torch.tensor([1, 1, 7])), "targets must have frames 1 to 6, got 1 to 7"),
    ):
        with pytest.raises(ValueError, match=words):
            model.loss(output, targets)
