"""The conditional GAN: what both conditions compute, by hand; and labels."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fastcv.models.generative.cgan import CGAN

SMALL = {"num_classes": 3, "size": 8, "width": 4}
LABELS = torch.tensor([2, 0, 2, 1])


def small(condition="embedding", **config):
    torch.manual_seed(0)
    return CGAN(condition=condition, **{**SMALL, "latent_size": 5, **config})


def test_concatenation_by_hand():
    model = small("concatenation")
    z = torch.randn(4, 5)
    told = torch.zeros(4, 3)
    told[range(4), LABELS] = 1
    expected = model.main(torch.cat([z, told], dim=1)[:, :, None, None])
    torch.testing.assert_close(model(z, LABELS), expected)
    discriminator = model.gan().discriminator
    pictures = torch.rand(4, 3, 8, 8)
    planes = torch.zeros(4, 3, 8, 8)
    planes[range(4), LABELS] = 1
    features = discriminator.main(torch.cat([pictures, planes], dim=1))
    expected = F.conv2d(features, discriminator.score.weight)[:, 0, 0, 0]
    torch.testing.assert_close(discriminator(pictures, LABELS), expected)


def test_embedding_by_hand():
    model = small()
    z = torch.randn(4, 5)
    told = model.embedding.weight[LABELS]
    expected = model.main(torch.cat([z, told], dim=1)[:, :, None, None])
    torch.testing.assert_close(model(z, LABELS), expected)
    discriminator = model.gan().discriminator
    pictures = torch.rand(4, 3, 8, 8)
    features = discriminator.main(pictures)
    expected = F.conv2d(features, discriminator.score.weight)[:, 0, 0, 0]
    for i, label in enumerate(LABELS):
        expected[i] += discriminator.embedding.weight[label] @ features[i].mean(dim=(1, 2))
    torch.testing.assert_close(discriminator(pictures, LABELS), expected)


@pytest.mark.parametrize("condition", ["embedding", "concatenation"])
def test_both_players_are_told_the_labels_of_the_real_pictures(condition):
    gan = small(condition).gan()
    real = gan(torch.rand(4, 3, 8, 8))
    torch.manual_seed(2)
    terms = gan.loss(real, LABELS, player="discriminator")
    torch.manual_seed(2)
    fake = gan.generator(torch.randn(4, 5), LABELS)
    torch.testing.assert_close(terms["real"], F.softplus(-gan.discriminator(real, LABELS)).mean())
    torch.testing.assert_close(terms["fake"], F.softplus(gan.discriminator(fake, LABELS)).mean())
    torch.manual_seed(2)
    terms = gan.loss(real, LABELS, player="generator")
    torch.testing.assert_close(terms["score"], F.softplus(-gan.discriminator(fake, LABELS)).mean())


def test_without_random_numbers_a_class_has_one_picture():
    model = small(latent_size=0)
    made = model.sample(6, seed=1).pictures
    assert torch.equal(made[0], made[3]) and not torch.equal(made[0], made[1])
    assert torch.equal(model.sample(6, seed=2).pictures, made)
    system = model.gan()
    terms = system.loss(system(torch.rand(4, 3, 8, 8)), LABELS, player="generator")
    assert terms["score"].isfinite()


def test_labels_of_samples():
    model = small()
    assert model.sample(5).labels.tolist() == [0, 1, 2, 0, 1]
    for asked in (2, [2, 2, 2], torch.tensor([2, 2, 2]), np.int64(2)):
        made = model.sample(3, labels=asked, seed=4, batch_size=2)
        assert made.labels.tolist() == [2, 2, 2]
        torch.testing.assert_close(
            made.pictures, model.to_pictures(model.eval()(model.latents(3, seed=4), made.labels))
        )
    told = model.sample(2, labels=[2, 0]).to_dict()
    assert told["labels"] == [2, 0] and told["names"] == ["2", "0"]
    for wrong, words in (
        (3, "labels must be 0 to 2, got 3 to 3"),
        ([0, -1], "labels must be 0 to 2, got -1 to 0"),
        ([0, 1, 2], r"labels must be \[2\] int64, got \[3\]"),
        ([0.0, 1.0], r"labels must be \[2\] int64, got \[2\] torch.float32"),
    ):
        with pytest.raises(ValueError, match=words):
            model.sample(2, labels=wrong)


def test_targets_that_are_no_labels():
    gan = small().gan()
    real = gan(torch.rand(4, 3, 8, 8))
    for player in gan.players:
        for wrong in (LABELS[:2], LABELS.float(), LABELS + 5, LABELS - 1):
            with pytest.raises(ValueError, match="targets must be"):
                gan.loss(real, wrong, player=player)
        for wrong in (None, [0, 1, 2, 0], 3):
            with pytest.raises(TypeError, match="targets must be a tensor, got"):
                gan.loss(real, wrong, player=player)


def test_arguments():
    with pytest.raises(ValueError, match="condition must be one of embedding, concatenation, got"):
        small("addition")
    for wrong in ({"num_classes": 0}, {"latent_size": -1}):
        with pytest.raises(ValueError, match="num_classes must be at least 1 and latent_size"):
            small(**wrong)
    with pytest.raises(ValueError, match="power of 2, got 10"):
        small(size=10)
