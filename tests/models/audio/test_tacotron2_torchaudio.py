"""Tacotron 2 against torchaudio's: the same weights, the same dropout, the same frames."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

import fastcv
from fastcv.models.audio.tacotron2 import SpeechBatch

peer = pytest.importorskip("torchaudio.models.tacotron2", reason="pip install torchaudio")
SIZES = {
    "symbol_embedding_dim": 32,
    "encoder_embedding_dim": 32,
    "attention_rnn_dim": 48,
    "decoder_rnn_dim": 48,
    "attention_hidden_dim": 16,
    "prenet_dim": 24,
    "postnet_embedding_dim": 20,
    "n_mels": 12,
}
OURS = {
    "embedding": 32,
    "hidden": 48,
    "attention": 16,
    "prenet": 24,
    "postnet": 20,
    "mels": 12,
}


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    theirs = peer.Tacotron2(decoder_max_step=30, **SIZES).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    for name, buffer in theirs.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    ours = fastcv.create_model("tacotron2", **OURS).eval()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_keys_and_shapes_of_the_whole():
    with torch.device("meta"):
        ours, theirs = fastcv.create_model("tacotron2"), peer.Tacotron2()
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (ours, theirs)]
    assert shapes[0] == shapes[1] and len(shapes[0]) == 84


@pytest.fixture
def same_dropout(pair, monkeypatch):
    """Lets the peer's prenet leave out what ours does with a seed."""
    prenet, waiting = pair[0].decoder.prenet, []

    def start(seed):
        generator = torch.Generator().manual_seed(seed)

        def dropout(x, p=0.5, training=True):
            if not training:
                return x
            if not waiting and x.ndim == 3:  # all frames at once
                kept = torch.stack([prenet.draw(x.shape[1], generator) for _ in x])
                waiting.extend(kept.unbind(1))
            elif not waiting:
                waiting.extend(prenet.draw(len(x), generator))
            return x * waiting.pop(0)

        monkeypatch.setattr(peer, "F", SimpleNamespace(**{**vars(F), "dropout": dropout}))

    return start


def texts():
    draw = torch.Generator().manual_seed(1)
    ids, lengths = torch.randint(1, 148, (2, 9), generator=draw), torch.tensor([9, 6])
    ids[1, 6:] = 0
    return ids, lengths, torch.randn(2, 12, 11, generator=draw)


def test_forward(pair, same_dropout):
    ours, theirs = pair
    ids, lengths, mels = texts()
    same_dropout(5)
    with torch.no_grad():
        expected = theirs(ids, lengths, mels, torch.tensor([11, 11]))
        got = ours(SpeechBatch(ids, lengths, mels), seed=5)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)
        assert b.abs().max() > 0.01


def test_infer(pair, same_dropout):
    ours, theirs = pair
    ids, lengths, _ = texts()
    for bias in (-3.0, -0.5, 0.5):  # never, sooner or later, at once
        ours.decoder.gate_layer.bias.data.fill_(bias)
        theirs.decoder.gate_layer.bias.data.fill_(bias)
        same_dropout(7)
        with torch.no_grad():
            mels, frames, alignments = theirs.infer(ids, lengths)
            got = ours.infer(ids, lengths, max_steps=30, seed=7)
        torch.testing.assert_close(got.mels, mels, atol=1e-4, rtol=0)
        torch.testing.assert_close(got.alignments, alignments, atol=1e-4, rtol=0)
        assert got.frames.tolist() == frames.tolist()


def test_gradients(pair, same_dropout):
    ours, theirs = pair
    ids, lengths, mels = texts()
    same_dropout(5)
    expected = theirs(ids, lengths, mels, torch.tensor([11, 11]))
    sum(part.square().mean() for part in expected[:3]).backward()
    got = ours(SpeechBatch(ids, lengths, mels), seed=5)
    sum(part.square().mean() for part in got[:3]).backward()
    named = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, named[key].grad, atol=1e-4, rtol=1e-3)
