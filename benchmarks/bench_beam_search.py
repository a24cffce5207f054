"""Beam search for 32 pictures at once, against one picture at a time.

A decoder of the paper's size, 14 x 14 annotations of 512 numbers, a beam of three, six words.
Pictures are not encoded, and all find the same sentences.
"""

import pytest
import torch

from fastcv.models.language.beam_search import beam_search
from fastcv.models.language.show_attend_and_tell import AttentionDecoder

PICTURES, BEAM, MAX_WORDS, WORDS = 32, 3, 6, 5000
START, END = 1, 2


@pytest.fixture(scope="module")
def decoder():
    torch.manual_seed(0)
    sizes = {"embedding": 512, "hidden": 512, "attention_size": 512}
    decoder = AttentionDecoder(WORDS, 512, **sizes, dropout=0.5).eval().requires_grad_(False)
    decoder.fc.weight.mul_(20)  # until it is sure of something
    return decoder


@pytest.fixture(scope="module")
def annotations():
    return torch.rand(PICTURES, 14 * 14, 512)


def at_once(decoder, annotations):
    memory, state = decoder.begin(annotations)

    def step(words, state):
        weights, gate = decoder.look(state, memory)
        state = decoder.read(decoder.embedding(words), weights, gate, state, memory)
        return decoder.fc(state[0]).log_softmax(1), state

    found = beam_search(step, state, start=START, end=END, beam_size=BEAM, max_words=MAX_WORDS)
    return [ids[: int((ids == END).int().argmax()) + 1].tolist() for ids in found.ids[:, 0]]


def as_published(decoder, annotations):
    """Of one picture, with copies of the annotations for each sentence, compared anew at each
    word; sentences that ended are set aside, and the beam is as many narrower."""
    width, done, done_scores = BEAM, [], []
    copies = annotations.expand(width, -1, -1)
    h, c = decoder.init_h(copies.mean(1)), decoder.init_c(copies.mean(1))
    sentences = torch.full((width, 1), START)
    scores = torch.zeros(width, 1)
    for length in range(1, MAX_WORDS + 2):
        keys = decoder.attention.encoder_att(copies)
        weights = decoder.attention(keys, h[:, None])[:, 0]
        context = decoder.f_beta(h).sigmoid() * (copies * weights[:, :, None]).sum(1)
        h, c = decoder.decode_step(
            torch.cat([decoder.embedding(sentences[:, -1]), context], 1), (h, c)
        )
        found = scores + decoder.fc(h).log_softmax(1)
        if length > MAX_WORDS:
            found[:, :END] = found[:, END + 1 :] = -torch.inf
        flat = found[0] if length == 1 else found.flatten()
        best, places = flat.topk(min(width, int((flat > -torch.inf).sum())))
        rows, words = torch.div(places, WORDS, rounding_mode="floor"), places % WORDS
        sentences = torch.cat([sentences[rows], words[:, None]], 1)
        ended = words == END
        done += sentences[ended].tolist()
        done_scores += best[ended].tolist()
        width -= int(ended.sum())
        if bool(ended.all()):
            break
        going = ~ended
        sentences, scores = sentences[going], best[going, None]
        h, c, copies = (part[rows[going]] for part in (h, c, copies))
    return done[done_scores.index(max(done_scores))][1:]


def one_by_one(decoder, annotations, search):
    return [search(decoder, picture[None]) for picture in annotations]


def test_equal_captions(decoder, annotations):
    expected = one_by_one(decoder, annotations[:6], as_published)
    assert at_once(decoder, annotations[:6]) == expected
    alone = [found for picture in annotations[:6] for found in at_once(decoder, picture[None])]
    assert alone == expected


def test_as_published(compare, decoder, annotations):
    compare(
        "beam_search",
        f"{PICTURES} pictures, beam {BEAM}, {MAX_WORDS} words",
        lambda: at_once(decoder, annotations),
        lambda: one_by_one(decoder, annotations, as_published),
        peer_name="one picture at a time, as published",
        target=5,
    )


def test_ours_one_by_one(compare, decoder, annotations):
    """What is gained by the batch alone."""
    compare(
        "beam_search",
        f"{PICTURES} pictures, beam {BEAM}, {MAX_WORDS} words",
        lambda: at_once(decoder, annotations),
        lambda: [at_once(decoder, picture[None]) for picture in annotations],
        peer_name="ours, one picture at a time",
    )
