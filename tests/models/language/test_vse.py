"""VSE and VSE++ against the paper's equations and the published checkpoints' keys."""

import argparse
import math
from collections import OrderedDict

import pytest
import torch

import fastcv
from fastcv.models.language.vse import MatchedTexts

WORDS = ["a", "red", "blue", "seven", "two", "on", "grass"]
TEXTS = ["a red seven", "two", "a blue two on grass", "seven on grass"]


def small(name="vsepp_resnet18", **config):
    torch.manual_seed(0)
    config = {"width": 8, "embedding_size": 12, "word_size": 6, "words": WORDS, **config}
    return fastcv.create_model(name, **config)


def on_meta(name, **config):
    with torch.device("meta"):
        return fastcv.create_model(name, **config)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", ["vse_vgg19", "vsepp_vgg19"])
def test_sizes_of_the_paper(name):
    model = on_meta(name, words=WORDS)
    # 3 gates of 1024 states, each of 300 inputs, 1024 states and two biases.
    assert count(model.rnn) == 3 * 1024 * (300 + 1024 + 2) == 4_073_472
    assert count(model.embed) == 300 * (len(WORDS) + 4)  # the vocabulary is not among them
    assert count(model.fc) == 4096 * 1024 + 1024
    assert count(model.cnn) == 143_667_240 - (4096 * 1000 + 1000)  # VGG-19 less its last layer
    assert model.margin == 0.2 and model.max_violation == (name == "vsepp_vgg19")
    assert not any(p.requires_grad for p in model.cnn.parameters())
    assert on_meta("vsepp_resnet152").fc.in_features == 2048


def test_weights_start_as_in_the_paper():
    model = small(embedding_size=64)
    limit = math.sqrt(6 / (64 + 64))
    assert 0.9 * limit < float(model.fc.weight.detach().abs().max()) <= limit
    assert not model.fc.bias.any()
    assert 0.09 < float(model.embed.weight.detach().abs().max()) <= 0.1


# The checkpoints.


def published(model, cnn):
    """Its weights as the authors' code saves them."""
    state = model.state_dict()
    image = OrderedDict((k, v) for k, v in state.items() if k.split(".")[0] in ("cnn", "fc"))
    text = OrderedDict((k, v) for k, v in state.items() if k.split(".")[0] in ("embed", "rnn"))
    assert len(image) + len(text) == len(state)
    return {
        "epoch": 30,
        "model": [OrderedDict((cnn(key), value) for key, value in image.items()), text],
        "best_rsum": 412.5,
        "opt": argparse.Namespace(margin=0.2, cnn_type="resnet18", finetune=True),
        "Eiters": 5000,
    }


def test_a_published_checkpoint_loads(tmp_path):
    model = small()
    path = tmp_path / "model_best.pth.tar"
    torch.save(published(model, lambda key: key.replace("cnn.", "cnn.module.")), path)
    torch.manual_seed(1)
    config = {"width": 8, "embedding_size": 12, "word_size": 6, "words": WORDS}
    loaded = fastcv.create_model("vsepp_resnet18", weights=str(path), **config)
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("old", [False, True], ids=["now", "2017"])
def test_keys_of_the_published_vgg(old):
    model = on_meta("vsepp_vgg19", words=WORDS)

    def renamed(key):
        key = key.replace("cnn.features.", "cnn.features.module.")
        if old:
            key = key.replace("classifier.3", "classifier.4").replace(
                "classifier.0", "classifier.1"
            )
        return key

    image, text = published(model, renamed)["model"]
    assert {"cnn.features.module.0.weight", "fc.bias"} <= set(image)
    assert {"embed.weight", "rnn.weight_ih_l0", "rnn.bias_hh_l0"} <= set(text)
    assert ("cnn.classifier.1.weight" in image) == old
    model.load_state_dict({**image, **text}, assign=True)  # strict


def test_a_vocabulary_of_another_size(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(published(small(), str), path)
    with pytest.raises(ValueError, match="vectors of 11 words, and the vocabulary has 5") as error:
        small(weights=str(path), words=["a"])
    assert "pass words=" in str(error.value) and len(str(error.value)) < 250
    fastcv.save_model(tmp_path / "w.safetensors", small())
    with pytest.raises(ValueError, match="vectors of 11 words, and the vocabulary has 5"):
        small(weights=str(tmp_path / "w.safetensors"), words=["a"])


def test_what_is_no_checkpoint(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"w\.pth"):
        small(weights=str(path))
    torch.save({"model": [1, 2]}, path)
    with pytest.raises(ValueError, match=r"w\.pth"):
        small(weights=str(path))
    torch.save({"opt": test_a_published_checkpoint_loads}, path)  # code
    with pytest.raises(ValueError, match="more than tensors"):
        small(weights=str(path))


def test_the_vocabulary_lies_in_the_file(tmp_path):
    model = small(words=[*WORDS, "빨강"], finetune=True)
    model.preprocessing = {**model.preprocessing, "resize": 64, "crop": 64}
    path = tmp_path / "m.safetensors"
    fastcv.save_model(path, model)
    again = fastcv.load_model(path)
    named = fastcv.create_model("vsepp_resnet18", weights=str(path))
    for loaded in (again, named):
        assert loaded.vocabulary == model.vocabulary and loaded.finetune
        torch.testing.assert_close(loaded.embed_texts(TEXTS), model.embed_texts(TEXTS))
        picture = torch.rand(3, 70, 80)
        torch.testing.assert_close(loaded.embed_images(picture), model.embed_images(picture))


# The encoders.


def test_a_texts_vector_is_the_state_after_its_last_word():
    model = small()
    weights = {key: value.detach() for key, value in model.rnn.named_parameters()}
    w, u = weights["weight_ih_l0"].chunk(3), weights["weight_hh_l0"].chunk(3)
    b, c = weights["bias_ih_l0"].chunk(3), weights["bias_hh_l0"].chunk(3)
    rows = []
    for text in TEXTS:
        h = torch.zeros(12)
        for i in [1, *(model.vocabulary.words.index(word) for word in text.split()), 2]:
            x = model.embed.weight[i].detach()
            reset = torch.sigmoid(w[0] @ x + b[0] + u[0] @ h + c[0])
            update = torch.sigmoid(w[1] @ x + b[1] + u[1] @ h + c[1])
            new = torch.tanh(w[2] @ x + b[2] + reset * (u[2] @ h + c[2]))
            h = (1 - update) * new + update * h
        rows.append(h / h.norm())
    # float32 through some ten steps
    torch.testing.assert_close(model.embed_texts(TEXTS), torch.stack(rows), rtol=1e-4, atol=1e-5)


def test_a_pictures_vector():
    model = small().eval()
    images = torch.rand(2, 3, 64, 64)
    features = model.cnn(images)
    features = features / features.norm(dim=1, keepdim=True)
    expected = features @ model.fc.weight.T + model.fc.bias
    expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(model(images), expected)


def test_frozen_and_fine_tuned():
    for finetune in (False, True):
        model = small(finetune=finetune).train()
        before = model.cnn.bn1.running_mean.clone()
        sum(model.loss(model(torch.rand(4, 3, 32, 32)), TEXTS).values()).backward()
        assert all((p.grad is not None) == finetune for p in model.cnn.parameters())
        assert torch.equal(model.cnn.bn1.running_mean, before) != finetune
        assert model.cnn.bn1.training == finetune
        for part in (model.fc, model.rnn, model.embed):
            assert all(p.grad.any() for p in part.parameters())
        assert not model.eval().cnn.bn1.training


# The loss.


def by_hand(scores, margin, worst, also=None):
    n = len(scores)
    wrong = [
        [k for k in range(n) if k != i and not (also is not None and also[i][k])] for i in range(n)
    ]
    to_text = to_image = 0.0
    for i in range(n):
        hinges = [max(0.0, margin - scores[i][i] + scores[i][k]) for k in wrong[i]]
        to_text += max(hinges, default=0.0) if worst else sum(hinges)
        others = [j for j in range(n) if i in wrong[j]]
        hinges = [max(0.0, margin - scores[i][i] + scores[j][i]) for j in others]
        to_image += max(hinges, default=0.0) if worst else sum(hinges)
    return to_text, to_image


@pytest.mark.parametrize("name", ["vse_resnet18", "vsepp_resnet18"])
@pytest.mark.parametrize("masked", [False, True])
def test_loss_by_hand(name, masked):
    model = small(name)
    images = torch.nn.functional.normalize(torch.randn(4, 12), dim=1).requires_grad_()
    also = torch.zeros(4, 4, dtype=torch.bool)
    also[0, 2] = also[3, 1] = also[2, 2] = True
    found = model.loss(images, MatchedTexts(TEXTS, also) if masked else TEXTS)
    scores = (images @ model.text_vectors(TEXTS).T).tolist()
    expected = by_hand(scores, 0.2, name == "vsepp_resnet18", also.tolist() if masked else None)
    terms = [term.item() for term in found.values()]
    assert terms == pytest.approx(expected, rel=1e-5)
    assert list(found) == ["image_to_text", "text_to_image"]
    sum(found.values()).backward()
    assert images.grad.any()


def test_well_apart_is_no_loss():
    model = small("vse_resnet18", margin=0.0)
    vectors = model.text_vectors(TEXTS).detach()
    assert all(float(term) == 0 for term in model.loss(vectors, TEXTS).values())


@pytest.mark.parametrize(
    ("targets", "kind", "sentence"),
    [
        (TEXTS[:3], ValueError, "targets must be 4 texts, one for each picture, got 3"),
        ("abcd", TypeError, "targets must be a list of texts, got str"),
        ([1, 2, 3, 4], TypeError, "targets must be a list of texts"),
        ([*TEXTS[:3], ""], ValueError, "targets: text must have a word"),
        ([*TEXTS[:3], "cat"], ValueError, "targets: text must have a word that is known"),
        (MatchedTexts(TEXTS, torch.ones(3, 3).bool()), ValueError, r"ignore must be \[4, 4\] bool"),
    ],
)
def test_wrong_targets(targets, kind, sentence):
    with pytest.raises(kind, match=sentence):
        small().loss(torch.rand(4, 12), targets)


@pytest.mark.parametrize("wrong", [{"embedding_size": 0}, {"word_size": 0}, {"margin": -0.1}])
def test_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match=str(*wrong.values())):
        small(**wrong)


def test_words_that_are_no_vocabulary():
    with pytest.raises(ValueError, match="'a' is there 2 times"):
        small(words=["a", "a"])


@pytest.mark.parametrize("name", ["vse_resnet18", "vsepp_resnet18"])
def test_it_learns(name):
    model = small(name, finetune=True)
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    pictures = colours[:, :, None, None].expand(-1, -1, 32, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(60):
        optimizer.zero_grad()
        sum(model.loss(model(pictures), TEXTS).values()).backward()
        optimizer.step()
    # In training mode: the running statistics are not there yet.
    scores = model(pictures) @ model.text_vectors(TEXTS).T
    assert scores.argmax(0).tolist() == scores.argmax(1).tolist() == [0, 1, 2, 3]
