"""GAN-CLS: the paper's layers by hand, sentences and vectors in, what its files hold."""

import json
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.language import Vocabulary
from fastcv.models.language._mean_of_words import MeanOfWords
from fastcv.models.language.gan_cls import GANCLS, GANCLSDiscriminator

WORDS = ("a", "red", "blue", "seven", "two", "고양이", "café")
SMALL = {"size": 8, "width": 4, "text_size": 16, "projected": 6, "latent_size": 5}


def small(words=WORDS, **config):
    torch.manual_seed(0)
    return GANCLS(words, **{**SMALL, **config})


def count(*layers):
    return sum(p.numel() for layer in layers for p in layer.parameters())


# Figure 2, layer by layer.


def test_parameters_of_the_published_size():
    model = fastcv.create_model("gan_cls_64")
    assert count(model) == 4_756_736
    # A sentence of 1024 numbers becomes 128: weights, biases, and two of the norm for each.
    assert count(model.projection) == 1024 * 128 + 128 + 2 * 128
    widths = (228, 512, 256, 128, 64, 3)  # of maps of 1, 4, 8, 16, 32 and 64 cells
    kernels = [a * b * 16 for a, b in pairwise(widths)]
    assert [p.numel() for p in model.main.parameters() if p.ndim == 4] == kernels
    assert count(model.main) == sum(kernels) + 2 * sum(widths[1:-1])


def test_parameters_of_the_discriminators():
    assert count(GANCLSDiscriminator(joint=False)) == 2_899_072  # as the port counts
    # The paper's layer over 512 maps and 128 numbers, and one of the port's layers is narrower.
    assert count(GANCLSDiscriminator()) == 2_899_072 + 640 * 512 + 2 * 512 - 128 * 16


def test_the_generator_by_hand():
    model = small().eval()
    latents, vectors = torch.randn(3, 5), torch.randn(3, 16)
    linear, norm, _ = model.projection
    told = vectors @ linear.weight.T + linear.bias
    told = (told - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    told = told * norm.weight + norm.bias
    told = torch.where(told > 0, told, 0.2 * told)
    expected = model.main(torch.cat([latents, told], dim=1)[:, :, None, None])
    torch.testing.assert_close(model(latents, vectors), expected)
    torch.testing.assert_close(model(latents[:, :, None, None], vectors), expected)


def test_the_discriminator_by_hand():
    torch.manual_seed(0)
    model = GANCLSDiscriminator(size=16, width=4, text_size=16, projected=6).eval()
    pictures, vectors = torch.rand(2, 3, 16, 16), torch.randn(2, 16)
    maps, told = model.main(pictures), model.projection(vectors)
    assert maps.shape == (2, 8, 4, 4)
    convolution, norm, _ = model.joint
    for i in range(2):
        score = 0.0
        for y in range(4):
            for x in range(4):
                both = torch.cat([maps[i, :, y, x], told[i]])  # the same sentence in each cell
                hidden = convolution.weight[:, :, 0, 0] @ both
                hidden = (hidden - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
                hidden = F.leaky_relu(hidden * norm.weight + norm.bias, 0.2)
                score += model.score.weight[0, :, y, x] @ hidden
        torch.testing.assert_close(model(pictures, vectors)[i], score)
    both = torch.stack([vectors, vectors.flip(0)])
    expected = torch.stack([model(pictures, each) for each in both])
    torch.testing.assert_close(model(pictures, both), expected)


def test_only_with_the_joint_layer_the_score_is_of_both():
    """Without it the score is f(picture) + g(sentence): another sentence adds the same to all."""
    torch.manual_seed(0)
    pictures, vectors = torch.randn(2, 3, 8, 8).double(), torch.randn(2, 16).double()
    for joint in (False, True):
        model = GANCLSDiscriminator(size=8, width=4, text_size=16, projected=6, joint=joint)
        model = model.double().eval()
        nn.init.normal_(model.main[0].weight)  # first weights say little of a picture
        difference = model(pictures, vectors[[0, 0]]) - model(pictures, vectors[[1, 1]])
        assert difference.abs().min() > 0
        apart = (difference[0] / difference[1] - 1).abs().item()
        assert apart > 1e-3 if joint else apart < 1e-9


# Sentences.


def test_a_sentence_is_the_mean_of_its_known_words():
    encoder = MeanOfWords(WORDS, 8)
    row = {word: encoder.vectors[encoder.vocabulary.id_of(word)] for word in WORDS}
    (found,) = encoder(["A red, red Seven!"])
    torch.testing.assert_close(found, (row["a"] + 2 * row["red"] + row["seven"]) / 4)
    # Words that are not known are passed over, and the order is lost.
    assert torch.equal(encoder(["seven tiny red red a"])[0], encoder(["a red red seven"])[0])
    # In Unicode, letters with an accent may be one character or two, and so may Korean syllables.
    for text, word in (("cafe\u0301", "café"), ("고양이", "고양이"), ("고양이", "고양이")):
        torch.testing.assert_close(encoder([text])[0], row[word])


def test_a_word_has_the_same_vector_among_others():
    first, second = MeanOfWords(WORDS, 8), MeanOfWords(WORDS[::-1], 8)
    for word in WORDS:
        torch.testing.assert_close(first([word]), second([word]))
    vectors = MeanOfWords(WORDS, 1000).vectors[len(Vocabulary([])) :]
    cosines = F.normalize(vectors, dim=1) @ F.normalize(vectors, dim=1).T
    assert (cosines - torch.eye(len(WORDS))).abs().max() < 0.15  # 1 / sqrt(1000) is 0.03


def test_samples_of_several_sentences():
    model = small()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_var.fill_(1e-3)  # else all pictures of a fresh model are alike
    texts = ["a red seven", "a blue two"]
    made = model.sample(texts, 3, seed=4, batch_size=2)
    assert repr(made) == "Generated(6 pictures of 8x8, seed 4)"
    assert made.texts == ("a red seven",) * 3 + ("a blue two",) * 3
    latents, vectors = model.latents(3, seed=4), model.embed(texts)
    model.eval()
    for i in range(6):  # the same random numbers for each sentence
        expected = model.to_pictures(model(latents[[i % 3]], vectors[[i // 3]]))[0]
        torch.testing.assert_close(made.pictures[i], expected)
    assert len({p.numpy().tobytes() for p in made.pictures}) == 6
    alone = model.sample("a red seven", 3, seed=4)
    torch.testing.assert_close(alone.pictures, made.pictures[:3])
    given = model.sample(vectors, 3, seed=4)
    torch.testing.assert_close(given.pictures, made.pictures)
    assert given.texts == () and made.to_dict()["texts"] == list(made.texts)


def test_sampling_leaves_the_mode():
    model = small().train()
    model.sample("red", 2)
    assert model.training and all(m.training for m in model.modules())


def test_bad_sentences():
    model = small()
    for wrong, words in (
        ("", "text must have a word, got ''"),
        (["a red seven", "  "], "text must have a word, got '  '"),
        ("green nine", "none of 'green nine' is among the 11 of the vocabulary"),
        ("강아지", "none of '강아지' is among"),
        ([], "texts must be one or more, got none"),
        (torch.rand(2, 15), r"texts must be vectors \[N, 16\], got \[2, 15\]"),
        (torch.rand(16), r"texts must be vectors \[N, 16\], got \[16\]"),
        (torch.rand(0, 16), r"texts must be vectors \[N, 16\], got \[0, 16\]"),
        (torch.ones(2, 16).long(), "texts must be floating point vectors, got torch.int64"),
    ):
        for call in (model.embed, model.sample):
            with pytest.raises(ValueError, match=words):
                call(wrong)
    for wrong in (["red", 7], [None], [["red"]]):
        with pytest.raises(TypeError, match="texts must be strings, or a tensor, got"):
            model.sample(wrong)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        model.sample("red", 0)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        model.sample("red", batch_size=0)
    with pytest.raises(ValueError, match=r"vectors \[N, 16\]: this model was made without words"):
        small(()).sample("a red seven")
    assert len(small(()).sample(torch.rand(2, 16), 3)) == 6


def test_a_very_long_sentence_is_cut_with_a_warning(tmp_path):
    model = small()
    long = "a red seven " * 3334
    with pytest.warns(UserWarning, match="a text of 10002 words was cut to its first 1000"):
        made = model.sample(long, 2)
    made.save(tmp_path / "a.png")  # and the sheet has room for its beginning


def test_latents_of_another_size():
    with pytest.raises(ValueError, match=r"latents must be \[B, 5\], got \[2, 6\]"):
        small()(torch.rand(2, 6), torch.rand(2, 16))


def test_a_file_has_the_vocabulary(tmp_path):
    path = tmp_path / "m.safetensors"
    config = {**SMALL, "words": WORDS}
    model = fastcv.create_model("gan_cls_64", **config)
    fastcv.save_model(path, model)
    for loaded in (fastcv.load_model(path), fastcv.create_model("gan_cls_64", str(path))):
        assert loaded.vocabulary.words == Vocabulary(WORDS).words
        made, again = (m.sample("a red 고양이", 2).pictures for m in (model, loaded))
        torch.testing.assert_close(made, again, rtol=0, atol=0)
    json.dumps(loaded.model_config)
    with pytest.raises(ValueError, match=r"encoder\.vectors"):
        fastcv.create_model("gan_cls_64", str(path), words=WORDS[:3])


def test_arguments():
    with pytest.raises(ValueError, match="power of 2, got 10"):
        small(size=10)
    with pytest.raises(ValueError, match="'red' is there 2 times"):
        small(("red", "red"))
    with pytest.raises(ValueError, match="interpolation must be 0 to 1, or None, got 2"):
        small().gan(interpolation=2)
