"""What every captioner does: greedy, beam and sampling, and what it says of bad input."""

import math
import unicodedata
import warnings

import pytest
import torch
from safetensors.torch import save_file

import fastcv
from fastcv.language import Vocabulary
from fastcv.learn import caption_batches
from fastcv.models.language._captioner import as_squares
from fastcv.results import Caption

WORDS = ("a", "cat", "on", "mat", "the", "dog", "sits", "고양이가", "상자")
NAMES = ("show_and_tell_resnet18", "show_attend_and_tell_resnet18")


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    """Of random weights, but sure of what it says."""
    torch.manual_seed(3)
    model = fastcv.create_model(request.param, words=WORDS, size=32, width=4, grid=3)
    with torch.no_grad():
        (model.fc if hasattr(model, "fc") else model.decoder.fc).weight.mul_(40)
    return model.eval()


@pytest.fixture(scope="module")
def pictures():
    random = torch.Generator().manual_seed(0)
    return [torch.rand(3, 20 + 4 * i, 40, generator=random) for i in range(6)]


def as_lists(captions):
    return [caption.to_dict() for caption in captions]


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_alone_as_in_a_batch(model, pictures, method):
    options = {"method": method, "max_words": 8, "seed": 5}
    alone = model.predict(pictures, **options)
    together = model.predict(pictures, **options, batch_size=6)
    assert [c.words for c in alone] == [c.words for c in together]
    for one, other in zip(alone, together, strict=True):
        assert isinstance(one, Caption) and len(one.words) <= 8
        # Sums of convolutions of a batch come in another order.
        torch.testing.assert_close(one.log_probs, other.log_probs, rtol=1e-3, atol=1e-3)


def test_a_beam_of_one_is_greedy(model, pictures):
    greedy = model.predict(pictures, max_words=8)
    beam = model.predict(pictures, method="beam", beam_size=1, max_words=8)
    assert as_lists(greedy) == as_lists(beam)
    assert all(caption.alternatives == () for caption in beam)


def test_what_a_beam_says(model, pictures):
    """Its log-probability is the sum over the words and the end, and alternatives are below it."""
    for caption in model.predict(pictures, method="beam", beam_size=4, max_words=6):
        assert len(caption.alternatives) == 3
        scores = [caption.log_prob, *(score for _, score in caption.alternatives)]
        assert scores == sorted(scores, reverse=True)
        texts = [caption.text, *(text for text, _ in caption.alternatives)]
        assert len(set(texts)) == 4
        assert not {"<pad>", "<start>", "<end>"} & set(caption.words)


def test_the_loss_of_what_was_said_is_its_log_probability(model, pictures):
    (caption,) = model.predict(pictures[0], max_words=6)
    words = ("<start>", *caption.words, "<end>")
    ids = torch.tensor([[model.vocabulary.id_of(word) for word in words]])
    with torch.no_grad():
        features = model(model.prepare([pictures[0]]))
        nll = model.loss(features, (ids, torch.tensor([ids.shape[1]])))["nll"]
    assert -nll.item() * (ids.shape[1] - 1) == pytest.approx(caption.log_prob, rel=1e-4)


def test_samples_are_by_probability():
    """Of one word after ``<start>``: how often each is drawn, over 400 seeds."""
    torch.manual_seed(0)
    model = fastcv.create_model(NAMES[0], words=("a", "b"), size=32, width=4).eval()
    with torch.no_grad():
        model.fc.weight.zero_()
        model.fc.bias.copy_(torch.tensor([9.0, 9, 0, 0, math.log(2), math.log(4)]))
    picture = torch.rand(3, 32, 32)
    first = [
        (model.predict(picture, method="sample", seed=seed, max_words=1)[0].words or ("",))[0]
        for seed in range(400)
    ]
    for word, share in (("a", 2 / 8), ("b", 4 / 8), ("<unk>", 1 / 8), ("", 1 / 8)):
        # Three standard deviations of 400 draws are at most 0.075.
        assert first.count(word) / 400 == pytest.approx(share, abs=0.075)


def test_a_caption_ends_at_max_words(model, pictures):
    for method in ("greedy", "beam", "sample"):
        for caption in model.predict(pictures, method=method, max_words=1):
            assert len(caption.words) <= 1 and len(caption.log_probs) == len(caption.words) + 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "best"}, "method must be one of greedy, beam, sample, got 'best'"),
        ({"method": "beam", "beam_size": 0}, "beam_size and max_words must be at least 1, got 0"),
        ({"max_words": 0}, "max_words must be at least 1, got 0"),
    ],
)
def test_wrong_options(model, pictures, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        model.predict(pictures[0], **options)


def test_a_model_that_diverged_says_nothing(model, pictures):
    state = {key: value.clone() for key, value in model.state_dict().items()}
    try:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(torch.nan)
        for method in ("greedy", "beam", "sample"):
            (caption,) = model.predict(pictures[0], method=method, max_words=3)
            assert caption.to_dict()["log_prob"] is None
            caption.draw(pictures[0])
    finally:
        model.load_state_dict(state)


def test_squares():
    """Each picture as a whole, whatever its sides; a square of that size as it is."""
    tall, square = torch.rand(3, 30, 10), torch.rand(3, 8, 8)
    found = as_squares([tall, square], {"size": 8, "mean": (0.5,) * 3, "std": (0.25,) * 3})
    assert found.shape == (2, 3, 8, 8)
    torch.testing.assert_close(found[1], (square - 0.5) / 0.25)
    assert found[0].mean().item() == pytest.approx((tall.mean().item() - 0.5) / 0.25, abs=0.05)


# The vocabulary.


def test_the_words_come_back_with_the_weights(model, tmp_path):
    fastcv.save_model(tmp_path / "m.safetensors", model)
    loaded = fastcv.create_model(model.model_name, weights=str(tmp_path / "m.safetensors"))
    assert loaded.vocabulary == model.vocabulary == Vocabulary(WORDS)
    assert fastcv.load_model(tmp_path / "m.safetensors").vocabulary.words[-2:] == WORDS[-2:]


@pytest.mark.parametrize("name", NAMES)
def test_a_vocabulary_of_another_size(name, tmp_path):
    model = fastcv.create_model(name, words=WORDS, size=32, width=4)
    save_file(model.state_dict(), tmp_path / "tensors.safetensors")
    fastcv.save_model(tmp_path / "ours.safetensors", model)
    for file in ("tensors", "ours"):
        with pytest.raises(ValueError, match=r"of a vocabulary of 13 words, .*model's has 6: pass"):
            fastcv.create_model(
                name, str(tmp_path / f"{file}.safetensors"), words=("a", "b"), size=32, width=4
            )


# What it learns from.


def encoded(model, *captions, **options):
    collate = caption_batches(model, **options)
    return collate([(torch.rand(3, 9, 9), captions)])[1][0].tolist()


def test_texts_of_any_script_and_form(model):
    ids = model.vocabulary.id_of
    start, end = ids("<start>"), ids("<end>")
    assert encoded(model, "A CAT") == [[start, ids("a"), ids("cat"), end]]
    korean = [[start, ids("고양이가"), ids("상자"), end]]
    assert encoded(model, "고양이가 상자") == korean
    assert encoded(model, unicodedata.normalize("NFD", "고양이가 상자")) == korean


def test_texts_that_cannot_be_learnt_from(model):
    for captions, sentence in (
        ((), "captions must be one or more for each picture"),
        (("",), "text must have a word, got ''"),
        (("zebras fly",), "text must have a word that is known, and none of 'zebras fly'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            encoded(model, *captions)
    # Beside a good one they are passed over.
    for _ in range(5):
        assert len(encoded(model, "", "zebras fly", "a cat")[0]) == 4


def test_a_long_text_is_cut(model):
    with pytest.warns(UserWarning, match="a text of 10000 words was cut to its first 50"):
        assert len(encoded(model, "cat " * 10_000)[0]) == 52
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(encoded(model, "cat " * 60, max_words=60)[0]) == 62


def test_one_caption_of_each_picture_is_drawn(model):
    torch.manual_seed(0)
    seen = {tuple(encoded(model, "a cat", "the dog", "a mat")[0]) for _ in range(30)}
    assert len(seen) == 3


def test_targets_that_do_not_fit(model):
    features = model(model.prepare([torch.rand(3, 32, 32)] * 2))
    good = torch.tensor([[1, 4, 2], [1, 5, 2]]), torch.tensor([3, 3])
    assert model.loss(features, good)["nll"].isfinite()
    for ids, lengths, sentence in (
        (good[0], torch.tensor([3, 4]), "targets must have lengths 2 to 3, got 3 to 4"),
        (good[0], torch.tensor([1, 3]), "targets must have lengths 2 to 3, got 1 to 3"),
        (good[0], good[1].float(), r"targets must have lengths \[2\] int64, got \[2\] torch.float"),
        (good[0][:, :1], good[1], r"targets must have ids \[2, 2 or more\] int64, got \[2, 1\]"),
        (good[0] + 20, good[1], "targets must have ids 0 to 12, as the vocabulary has, got 21 to"),
        (good[0] - 2, good[1], "targets must have ids 0 to 12"),
    ):
        with pytest.raises(ValueError, match=sentence):
            model.loss(features, (ids, lengths))
