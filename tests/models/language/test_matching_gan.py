"""The matching-aware loss: its terms by hand, and that a wrong text is never a right one."""

import math

import pytest
import torch
from torch import nn

from fastcv.data import DrawnScenes
from fastcv.data.scene_text import captions, parse
from fastcv.learn import fit
from fastcv.models.language.gan_cls import GANCLS
from fastcv.models.language.matching_gan import MatchingGAN, wrong_texts

WORDS = ("a", "red", "blue", "seven", "two")
TEXTS = [["a red seven", "seven red"], ["a blue two"], ["a red seven", "two"], ["blue seven"]]


class Noted(nn.Module):
    """A discriminator that notes what it is shown; the score is a known function of it."""

    def __init__(self):
        super().__init__()
        self.shown = []
        self.slope = nn.Parameter(torch.tensor(0.7))

    def forward(self, pictures, vectors):
        if vectors.ndim == 3:  # two texts each: right and wrong
            return torch.stack([self(pictures, each) for each in vectors])
        self.shown.append((pictures, vectors))
        return self.slope * (pictures.mean(dim=(1, 2, 3)) + vectors[:, 0])


def system(**options):
    torch.manual_seed(0)
    generator = GANCLS(WORDS, size=8, width=4, text_size=16, projected=6, latent_size=5)
    return MatchingGAN(generator, Noted(), **options)


def softplus(x):
    return math.log1p(math.exp(x))


def score(gan, picture, vector):
    return gan.discriminator.slope.item() * (picture.mean().item() + vector[0].item())


def test_the_discriminators_terms_by_hand():
    """Algorithm 1: log s_r + (log(1 - s_w) + log(1 - s_f)) / 2, where s is a sigmoid of a score."""
    gan = system()
    real = gan(torch.rand(4, 3, 8, 8))
    terms = gan.loss(real, TEXTS, player="discriminator")
    assert list(terms) == ["real", "fake", "wrong text"]
    shown = gan.discriminator.shown
    assert len(shown) == 3
    scores = [[score(gan, p, v) for p, v in zip(*pair, strict=True)] for pair in shown]
    pictures = [pair[0] for pair in shown]
    assert torch.equal(pictures[0], real) and torch.equal(pictures[1], real)
    assert not torch.equal(pictures[2], real)
    assert torch.equal(shown[0][1], shown[2][1])  # made pictures come with the right text
    assert not torch.equal(shown[0][1], shown[1][1])
    expected = {
        "real": sum(softplus(-s) for s in scores[0]) / 4,
        "fake": sum(softplus(s) for s in scores[2]) / 4 / 2,
        "wrong text": sum(softplus(s) for s in scores[1]) / 4 / 2,
    }
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-5), name
    sum(terms.values()).backward()
    assert gan.discriminator.slope.grad is not None
    assert all(p.grad is None for p in gan.generator.parameters())


@pytest.mark.parametrize("beta", [0.5, 0.25, None])
def test_the_generators_terms_by_hand(beta):
    """Equation 5: a second term, of texts between two of the batch."""
    gan = system(interpolation=beta)
    terms = gan.loss(gan(torch.rand(4, 3, 8, 8)), TEXTS, player="generator")
    shown = gan.discriminator.shown
    assert len(terms) == len(shown) == (1 if beta is None else 2)
    scores = [[score(gan, p, v) for p, v in zip(*pair, strict=True)] for pair in shown]
    expected = sum(softplus(-s) for s in scores[0]) / 4
    assert terms["score"].item() == pytest.approx(expected, rel=1e-5)
    right = shown[0][1]
    if beta is not None:
        mixed = shown[1][1]
        for i, mixture in enumerate(mixed):
            torch.testing.assert_close(mixture, beta * right[i] + (1 - beta) * right[i + 2])
        expected = sum(softplus(-s) for s in scores[1]) / 2
        assert terms["between texts"].item() == pytest.approx(expected, rel=1e-5)
    sum(terms.values()).backward()
    assert all(p.grad is not None for p in gan.generator.parameters())


def test_drawn_texts_are_right_and_wrong():
    gan = system()
    told = {text: gan.generator.embed(text)[0] for texts in TEXTS for text in texts}
    right, wrong = [set() for _ in TEXTS], [set() for _ in TEXTS]
    for _ in range(60):
        gan.discriminator.shown.clear()
        gan.loss(torch.rand(4, 3, 8, 8), TEXTS, player="discriminator")
        for found, vectors in ((right, 0), (wrong, 1)):
            for i, vector in enumerate(gan.discriminator.shown[vectors][1]):
                (text,) = (t for t in told if torch.allclose(told[t], vector, atol=1e-6))
                found[i].add(text)
    # All right texts come up, and all that are none of the picture's own: no other.
    assert right == [set(texts) for texts in TEXTS]
    assert wrong == [set(told) - set(texts) for texts in TEXTS]


def test_wrong_texts_by_hand():
    kinds = [[0, 1], [2], [0, 3], [1]]
    owners = torch.zeros(4, 6, dtype=torch.bool)
    flat, m = [], 0
    for i, own in enumerate(kinds):
        owners[i, m : m + len(own)] = True
        flat, m = flat + own, m + len(own)
    found = wrong_texts(torch.tensor(flat), owners)
    assert found.tolist() == [[kind not in own for kind in flat] for own in kinds]


def test_a_wrong_text_is_true_of_no_drawn_scene_that_it_is_shown_with():
    """A digit alone has six sentences: many scenes of a batch share some, in other words."""
    drawn = DrawnScenes("train", size=(32, 32), max_digits=1, length=96)
    scenes = [drawn[i][1]["scene"] for i in range(96)]
    texts = [captions(scene, 6) for scene in scenes]
    scenes, texts = scenes * 2, texts * 2  # and each scene is there twice
    owner = torch.arange(192).repeat_interleave(6)
    places = {text: i for i, text in enumerate(dict.fromkeys(t for own in texts for t in own))}
    flat = [text for own in texts for text in own]
    found = wrong_texts(
        torch.tensor([places[text] for text in flat]), owner == torch.arange(192)[:, None]
    )
    described = [parse(text) for text in flat]
    for row, scene in zip(found.tolist(), scenes, strict=True):
        assert row == [not said.is_true_of(scene) for said in described]


def test_the_same_text_in_other_letters_is_no_wrong_one():
    gan = system()
    terms = gan.loss(
        torch.rand(2, 3, 8, 8), ["a red seven", "A  RED seven"], player="discriminator"
    )
    assert terms["wrong text"].item() == 0
    # Nor does a batch of one picture have any; batch norms want two.
    terms = gan.loss(torch.rand(2, 3, 8, 8), ["red", "two"], player="discriminator")
    assert terms["wrong text"].item() > 0


def test_the_nearest_of_several_wrong_texts():
    """Of 200 draws among three texts all are there: that with two words in common is nearest."""
    texts = ["a red seven", "a blue seven", "two", "blue two"]
    gan = system(nearest_of=200)
    gan.loss(torch.rand(4, 3, 8, 8), texts, player="discriminator")
    vectors = gan.generator.embed(texts)
    for i, wrong in enumerate(gan.discriminator.shown[1][1]):
        cosines = [
            float(vectors[i] @ v / vectors[i].norm() / v.norm()) if k != i else -2
            for k, v in enumerate(vectors)
        ]
        torch.testing.assert_close(wrong, vectors[cosines.index(max(cosines))])


def test_vectors_in_place_of_texts():
    gan = system()
    one = torch.randn(4, 16)
    one[2] = one[0]
    gan.loss(torch.rand(4, 3, 8, 8), one, player="discriminator")
    (_, right), (_, wrong), _ = gan.discriminator.shown
    assert torch.equal(right, one)
    for i, vector in enumerate(wrong):
        assert not torch.equal(vector, one[i]) and any(torch.equal(vector, v) for v in one)
    several = torch.randn(4, 3, 16)
    gan.discriminator.shown.clear()
    gan.loss(torch.rand(4, 3, 8, 8), several, player="discriminator")
    for i, vector in enumerate(gan.discriminator.shown[0][1]):
        assert any(torch.equal(vector, v) for v in several[i])


def test_bad_targets():
    gan = system()
    real = gan(torch.rand(4, 3, 8, 8))
    for wrong, kind, words in (
        (None, TypeError, "targets must be the texts of each picture, or a tensor .*NoneType"),
        ("a red seven", TypeError, "targets must be the texts of each picture"),
        ([1, 2, 3, 4], TypeError, "targets must be strings, or lists of them, got 1"),
        ([["red"], ["two"], [3], ["a"]], TypeError, "targets must be strings, or lists of them"),
        (["red", "two"], ValueError, "targets must be the texts of 4 pictures, got those of 2"),
        ([["red"], [], ["two"], ["a"]], ValueError, "picture 1 has none"),
        (["red", "", "two", "a"], ValueError, "text must have a word, got ''"),
        (["red", "nine", "two", "a"], ValueError, "none of 'nine' is among the 9"),
        (torch.rand(4, 15), ValueError, r"vectors \[N, 16\], got \[4, 15\]"),
        (torch.rand(3, 16), ValueError, "targets must be the texts of 4 pictures, got those of 3"),
        (torch.rand(4), ValueError, r"targets must be \[B, D\] or \[B, K, D\], got \[4\]"),
    ):
        for player in gan.players:
            with pytest.raises(kind, match=words) as error:
                gan.loss(real, wrong, player=player)
            assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="player must be one of discriminator, generator, got 'j'"):
        gan.loss(real, TEXTS, player="j")
    with pytest.raises(ValueError, match="nearest_of must be at least 1, got 0"):
        system(nearest_of=0)


class Plain(torch.utils.data.Dataset):
    """Red and blue pictures, and what is said of them."""

    def __len__(self):
        return 64

    def __getitem__(self, index):
        picture = torch.full((3, 8, 8), 0.1)
        picture[0 if index % 2 else 2] = 0.9
        return picture, ["a red two", "red"] if index % 2 else ["a blue two", "blue"]

    @staticmethod
    def collate(items):
        return torch.stack([image for image, _ in items]), [texts for _, texts in items]


def test_it_learns_what_words_mean(tmp_path):
    torch.manual_seed(0)
    model = GANCLS(WORDS, size=8, width=16, text_size=16, projected=8, latent_size=4)
    adam = {
        name: lambda p: torch.optim.Adam(p, lr=2e-3, betas=(0.5, 0.999))
        for name in ("discriminator", "generator")
    }
    fit(
        model.gan(), Plain(), epochs=25, batch_size=16, optimizer=adam, out=tmp_path,
        devices="cpu", progress=False, tensorboard=False,
    )  # fmt: skip
    made = model.sample(["red", "blue", "a red two", "a blue two"], 16).pictures
    red, blue, red2, blue2 = made.mean(dim=(3, 4) if made.ndim == 5 else (2, 3)).split(16)
    for of_red, of_blue in ((red, blue), (red2, blue2)):
        assert (of_red[:, 0] > of_red[:, 2]).all() and (of_blue[:, 2] > of_blue[:, 0]).all()
