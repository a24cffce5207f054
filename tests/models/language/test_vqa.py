"""The LSTM and CNN of VQA: counts, forward and training by hand, pairs in and answers out."""

import math
import warnings
from functools import partial

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.explain import grad_cam
from fastcv.learn import QuestionBatches, fit, freeze
from fastcv.models.classification.vgg import VGG
from fastcv.models.language._question_batch import ImageQuestion, QuestionBatch, question_batch
from fastcv.models.language.vqa import VGGFeatures, decay, rmsprop

WORDS = ("is", "it", "red", "blue", "what", "colour")
CONFIG = {
    "words": WORDS,
    "image_encoder": "small",
    "width": 4,
    "image_size": 32,
    "features": 12,
    "embedding_size": 6,
    "hidden_size": 8,
    "common_size": 10,
}
COLOURS = {"red": (1.0, 0, 0), "blue": (0.0, 0, 1), "green": (0.0, 1, 0)}


def small(**options):
    torch.manual_seed(0)
    return fastcv.create_model(
        "vqa_lstm_cnn", classes=("yes", "no", *COLOURS), **{**CONFIG, **options}
    )


def count(module):
    return sum(p.numel() for p in module.parameters())


def batch_of(model, *questions):
    images = torch.rand(len(questions), 3, 32, 32) * 2 - 1
    return question_batch(images, [model.encode(q) for q in questions], range(len(questions)))


# The network.


def test_counts():
    """Those of the published code, by layers, with the biases of both sides of the LSTM's gates."""
    words = 14_770 - 4
    with torch.device("meta"):
        model = fastcv.create_model("vqa_lstm_cnn", words=[f"w{i}" for i in range(words)])
    assert count(model.lstm) == 3_563_520
    assert count(model.question_projection) + count(model.image_projection) == 6_293_504
    assert count(model.answer) == 1_025_000
    assert count(model.embedding) == 200 * (14_770 + 1)
    assert count(model.image_encoder) == 143_667_240 - 4_097_000  # VGG-19 without its last layer
    assert model.preprocessing["size"] == (224, 224) and model.max_words == 26


def test_the_cnn_has_torchvisions_keys():
    with torch.device("meta"):
        ours, theirs = VGGFeatures().state_dict(), VGG(19).state_dict()
    last = {key for key in theirs if key.startswith("classifier.6.")}
    assert len(last) == 2
    assert {k: v.shape for k, v in ours.items()} == {
        k: v.shape for k, v in theirs.items() if k not in last
    }
    encoder = VGGFeatures(width=2, features=4)
    state = {f"{key}": value for key, value in encoder.state_dict().items()}
    state |= {"classifier.6.weight": torch.zeros(3, 4), "classifier.6.bias": torch.zeros(3)}
    encoder.load_state_dict(state)  # a whole VGG-19's


def test_the_cnn_is_vgg_up_to_its_seventh_layer():
    torch.manual_seed(0)
    with torch.device("meta"):
        whole = VGG(19)
    small = VGGFeatures(width=2, features=4).eval()
    images = torch.rand(1, 3, 32, 48)
    maps = F.adaptive_avg_pool2d(small.features(images), 7).flatten(1)
    first, _, drop, second, _ = small.classifier
    expected = second(first(maps).relu()).relu()
    torch.testing.assert_close(small(images), expected)
    assert [type(m) for m in whole.classifier[:5]] == [type(m) for m in small.classifier]
    assert isinstance(drop, nn.Dropout)


def test_first_weights():
    model = small(hidden_size=64, common_size=128)
    behind = [p for name, p in model.named_parameters() if not name.startswith("image_encoder")]
    values = torch.cat([p.detach().flatten() for p in behind])
    assert values.abs().max() <= 0.08
    # A uniform distribution's spread; there are 65,000 values.
    assert abs(values.std().item() - 0.08 / math.sqrt(3)) < 2e-3 and abs(values.mean()) < 2e-3


def by_hand(model, images, ids):
    """Logits of one question, word by word: one-hot vectors, gates, the product."""
    p = dict(model.named_parameters())
    layers, size = model.lstm.num_layers, model.lstm.hidden_size
    c, h = [[torch.zeros(size, dtype=torch.double) for _ in range(layers)] for _ in range(2)]
    for word in ids.tolist():
        one_hot = torch.zeros(len(model.vocabulary), dtype=torch.double)
        one_hot[word] = 1
        x = (p["embedding.weight"] @ one_hot + p["embedding.bias"]).tanh()
        for k in range(layers):
            w_x, w_h, b_x, b_h = (
                p[f"lstm.{n}_l{k}"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            i, f, g, o = (w_x @ x + b_x + w_h @ h[k] + b_h).split(size)
            c[k] = f.sigmoid() * c[k] + i.sigmoid() * g.tanh()
            h[k] = o.sigmoid() * c[k].tanh()
            x = h[k]
    question = torch.cat([part for k in range(layers) for part in (c[k], h[k])])
    seen = model.image_encoder(images)[0]
    seen = seen / seen.square().sum().sqrt()
    q = (p["question_projection.weight"] @ question + p["question_projection.bias"]).tanh()
    v = (p["image_projection.weight"] @ seen + p["image_projection.bias"]).tanh()
    return p["answer.weight"] @ (q * v) + p["answer.bias"]


def test_forward_by_hand():
    """Questions of several lengths in one batch, as if each were alone."""
    model = small().double().eval()
    batch = batch_of(model, "is it red", "what", "what colour is it")
    batch = batch._replace(images=batch.images.double(), pictures=torch.tensor([2, 0, 2]))
    for row, ids, length, picture in zip(model(batch), *batch[1:], strict=True):
        expected = by_hand(model, batch.images[picture, None], ids[:length])
        torch.testing.assert_close(row, expected)


def test_loss():
    model = small()
    logits = torch.tensor([[1.0, 2, 3, 4, 5], [0, 0, 0, 0, 0], [9, 9, 9, 9, 0]])
    (term,) = model.loss(logits, torch.tensor([4, 2, -100])).items()
    by_hand = -(5 - math.log(sum(math.exp(x) for x in (1, 2, 3, 4, 5)))) + math.log(5)
    assert term[0] == "cross_entropy"
    assert term[1].item() == pytest.approx(by_hand / 2)
    assert model.loss(logits, torch.full((3,), -100))["cross_entropy"] == 0
    with pytest.raises(ValueError, match="targets must be labels 0 to 4, or -100, got 0 to 5"):
        model.loss(logits, torch.tensor([0, 5, 1]))
    with pytest.raises(ValueError, match=r"targets must be int64 \[3\], got torch.float32 \[3\]"):
        model.loss(logits, torch.zeros(3))


@pytest.mark.parametrize("frozen", [False, True])
def test_the_gradient_reaches_the_cnn_unless_it_is_frozen(frozen, tmp_path):
    model = small()
    if frozen:
        freeze(model.image_encoder)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    data = [(torch.rand(3, 32, 32), "is it red", "yes")] * 4
    train(model, data, tmp_path, epochs=1)
    for key, value in model.state_dict().items():
        moved = not torch.equal(value, before[key])
        is_cnn = key.startswith("image_encoder")
        assert moved == (not is_cnn or not frozen), key


# Leaving a modality out.


def test_without_a_modality():
    model = small().eval()
    a = batch_of(model, "is it red", "what colour")
    b = batch_of(model, "what colour", "blue")
    mixed = a._replace(images=b.images)
    assert torch.equal(model(a, without="image"), model(mixed, without="image"))
    assert not torch.allclose(model(a), model(mixed))
    other = b._replace(images=a.images)
    assert torch.equal(model(a, without="question"), model(other, without="question"))
    assert not torch.allclose(model(a), model(other))
    # The factor of what is missing is 1.
    q = model.question_projection(model.question_features(a.ids, a.lengths)).tanh()
    torch.testing.assert_close(model(a, without="image"), model.answer(q))
    with pytest.raises(ValueError, match="without must be 'image', 'question' or None, got 'x'"):
        model(a, without="x")


def test_modality_dropout():
    """Which questions train without a modality, by their logits; none does in eval mode."""
    model = small(drop_image=0.25, drop_question=0.5, dropout=0.0, layers=1)
    freeze(model.image_encoder)  # so that a batch norm makes no difference
    batch = batch_of(model, *["is it red"] * 4000)
    batch = batch._replace(images=batch.images[:1], pictures=torch.zeros(4000, dtype=torch.int64))
    kinds = {name: model(batch, without=name)[0] for name in ("image", "question")}
    kinds["none"] = model.eval()(batch)[0]
    model.train()
    torch.manual_seed(1)
    drawn = model(batch)
    same = {name: (drawn - row).abs().amax(1) < 1e-6 for name, row in kinds.items()}
    assert torch.stack(list(same.values())).sum(0).eq(1).all()
    # Three standard deviations of 4000 draws are 0.024 at most.
    shares = {name: rows.double().mean().item() for name, rows in same.items()}
    assert shares == pytest.approx({"image": 0.25, "question": 0.5, "none": 0.25}, abs=0.024)
    torch.testing.assert_close(model.eval()(batch)[7], kinds["none"])


def test_all_pictures_dropped_leave_the_cnn_out(monkeypatch):
    model = small(drop_image=1.0)
    monkeypatch.setattr(model.image_encoder, "forward", None)  # it would fail
    model.loss(model(batch_of(model, "is it red")), torch.tensor([0]))["cross_entropy"].backward()
    assert model.image_projection.weight.grad is None


# Training.


def test_the_published_optimiser_by_hand():
    weight = nn.Parameter(torch.tensor([1.0, 1.0], dtype=torch.double))
    optimizer = rmsprop([weight])
    schedule = decay(optimizer, 100)
    x, mean, rate = [1.0, 1.0], [0.0, 0.0], 3e-4
    for gradient in ([0.5, -300.0], [2.0, 7.0], [-40.0, 0.1]):
        weight.grad = torch.tensor(gradient, dtype=torch.double)
        optimizer.step()
        schedule.step()
        for i in range(2):
            g = min(max(gradient[i], -10), 10)
            mean[i] = 0.99 * mean[i] + 0.01 * g * g
            x[i] -= rate * g / (math.sqrt(mean[i]) + 1e-8)
        rate *= 0.99997592083
    assert weight.tolist() == pytest.approx(x, rel=1e-12)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)


def train(model, data, out, epochs=40, **options):
    options = {"optimizer": partial(torch.optim.Adam, lr=0.02), "batch_size": 4, **options}
    return fit(
        model,
        data,
        epochs=epochs,
        collate_fn=QuestionBatches(model),
        out=out,
        devices="cpu",
        progress=False,
        tensorboard=False,
        **options,
    )


def coloured(colour):
    return torch.tensor(COLOURS[colour])[:, None, None].expand(3, 32, 32)


def test_learns_what_needs_both(tmp_path):
    questions = ("is it red", "is it blue", "what colour is it")
    answers = {
        "red": ("yes", "no", "red"),
        "blue": ("no", "yes", "blue"),
        "green": ("no", "no", "green"),
    }
    data = [(coloured(colour), questions, answers[colour]) for colour in answers]
    larger = {"normalise": False, "hidden_size": 16, "embedding_size": 16, "common_size": 32}
    model = small(dropout=0.0, **larger)
    adam = partial(torch.optim.Adam, lr=0.03)
    train(model, data, tmp_path, epochs=60, batch_size=3, optimizer=adam)
    for colour in answers:
        found = model.predict(coloured(colour), list(questions))
        assert tuple(answer.text for answer in found) == answers[colour]


def test_trains_as_published_through_fit(tmp_path):
    data = [(coloured("red"), "is it red", ["yes"] * 7 + ["no"] * 3)] * 8
    history = train(small(), data, tmp_path, epochs=4, optimizer=rmsprop, scheduler=decay)
    assert history.steps[-1]["cross_entropy"] < history.steps[0]["cross_entropy"]
    assert history.steps[-1]["lr"] == pytest.approx(3e-4 * 0.99997592083**7)


def test_batches():
    model = small()
    collate = QuestionBatches(model)
    image = torch.rand(3, 48, 64)
    batch, labels = collate(
        [(image, ("is it red", "what"), ("no", "purple")), (image, "red", ["no", "yes", "yes"])]
    )
    assert labels.tolist() == [1, -100, 0]
    assert batch.pictures.tolist() == [0, 0, 1] and batch.lengths.tolist() == [3, 1, 1]
    assert batch.ids.tolist() == [[4, 5, 6], [8, 0, 0], [6, 0, 0]]
    expected = F.interpolate(
        image[None], (32, 32), mode="bilinear", align_corners=False, antialias=True
    )
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    torch.testing.assert_close(batch.images[:1], (expected - mean) / std)
    whole = (image * 255).round().byte()
    again, _ = collate([(whole, "red", "no")])
    torch.testing.assert_close(again.images, collate([(whole / 255, "red", "no")])[0].images)


# Prediction.


@pytest.fixture(scope="module")
def model():
    return small()


def test_forms_of_inputs(model, tmp_path):
    a, b = torch.rand(2, 3, 40, 50)
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 30), "red").save(path)
    pairs = [(a, "is it red"), (b, "is it red"), (path, "what colour")]
    found = model.predict(pairs)
    texts = [answer.to_dict() for answer in found]
    assert [t["question"] for t in texts] == [q for _, q in pairs]
    assert [answer.source for answer in found] == [None, None, str(path)]
    assert [answer.image_size for answer in found] == [(40, 50), (40, 50), (30, 20)]
    same = [
        model.predict(pairs[0])[0],
        model.predict(a, "is it red")[0],
        model.predict([a, b], "is it red")[0],
        model.predict(torch.stack([a, b]), "is it red")[0],
        model.predict(a, ["is it red", "what colour"])[0],
        model.predict(iter(pairs))[0],
        model.predict(ImageQuestion(a, "is it red"))[0],
        model.predict(pairs, batch_size=1)[0],
    ]
    for answer in same:
        torch.testing.assert_close(answer.scores, found[0].scores)
        assert answer.question == "is it red" and answer.scores.sum().item() == pytest.approx(1)
    assert model.training  # as it was


def test_a_picture_is_seen_once(model, monkeypatch):
    seen = []
    forward = model.image_encoder.forward
    monkeypatch.setattr(
        model.image_encoder, "forward", lambda images: seen.append(len(images)) or forward(images)
    )
    a, b = torch.rand(2, 3, 32, 32)
    questions = ["is it red", "what colour", "is it blue"]
    model.predict([(image, question) for image in (a, b) for question in questions])
    assert seen == [2]


def test_errors_in_place_of_answers(model, tmp_path):
    image = torch.rand(3, 32, 32)
    pairs = [(image, "is it red"), (tmp_path / "no.jpg", "red"), (image, "고양이"), (image, "red")]
    found = [answer for _, answer in model.predict_iter(pairs, on_error="yield", batch_size=4)]
    assert [type(f).__name__ for f in found] == [
        "Answer",
        "FileNotFoundError",
        "ValueError",
        "Answer",
    ]
    assert str(found[1]) == f"there is no image {tmp_path / 'no.jpg'}"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("a.jpg",), TypeError, r"an input must be a pair \(picture, question\).* got str"),
        ((["a.jpg", "b.jpg"],), TypeError, "an input must be a pair"),
        ((torch.rand(3, 8, 8), ""), ValueError, "a question's text must have a word, got ''"),
        ((torch.rand(3, 8, 8), "?!"), ValueError, "must have a word that is known"),
        ((torch.rand(3, 8, 8), "무엇이 있나"), ValueError, "none of '무엇이 있나' is among the 10"),
        (
            (torch.rand(3, 8, 8), 7),
            TypeError,
            "questions must be a text or a list of texts, got int",
        ),
        ((torch.rand(3, 8, 8), [7]), TypeError, "a question must be a text, got int"),
        (
            (torch.rand(2, 3, 8, 8), ["red", "blue"]),
            ValueError,
            "several questions must be about one",
        ),
        (("no.jpg", "red"), FileNotFoundError, "there is no image no.jpg"),
        ((torch.rand(5, 5), "red"), ValueError, r"an image as a tensor must be \[3, H, W\]"),
        ((3, "red"), TypeError, "an image must be a path, PIL image"),
    ],
)
def test_bad_inputs(model, arguments, error, words):
    for call in (model.predict, lambda *given: list(model.predict_iter(*given))):
        with pytest.raises(error, match=words):
            call(*arguments)


def test_bad_options(model):
    image = torch.rand(3, 8, 8)
    with pytest.raises(ValueError, match="without must be 'image', 'question' or None, got 'text'"):
        model.predict(image, "red", without="text")
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        model.predict(image, "red", batch_size=0)
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'yield', got 'skip'"):
        model.predict_iter(image, "red", on_error="skip")


def test_texts_of_all_kinds():
    model = small(words=(*WORDS, "café", "색은"))
    image = torch.rand(3, 32, 32)
    composed, apart = model.predict(image, ["red caf\u00e9", "red cafe\u0301"])
    assert torch.equal(composed.scores, apart.scores)
    assert model.predict(image, "색은 red")[0].question == "색은 red"
    with pytest.warns(UserWarning, match="a text of 10000 words was cut to its first 26"):
        (long,) = model.predict(image, "red " * 10_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (cut,) = model.predict(image, "red " * 26)
    assert torch.equal(long.scores, cut.scores)


def test_grad_cam_of_an_answer(model):
    images = torch.rand(2, 3, 40, 50)
    found = grad_cam(model.about("what colour is it"), list(images), "blue")
    assert found.maps.shape == (2, 32, 32) and found.maps.max() > 0
    logits = model.eval()(
        question_batch(model.prepare(list(images)), [model.encode("what colour is it")] * 2, (0, 1))
    )
    torch.testing.assert_close(found.scores, logits[:, 3].detach())
    asked = model.about("is it red").predict(images[0])[0]
    (answer,) = model.predict(images[0], "is it red")
    torch.testing.assert_close(asked.scores, answer.scores)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"ids": torch.tensor([[10]])}, ValueError, "ids must be 0 to 9, got 10 to 10"),
        ({"pictures": torch.tensor([1])}, ValueError, "pictures must be 0 to 0, got 1 to 1"),
        ({"images": torch.rand(1, 1, 32, 32)}, ValueError, r"images must be \[N, 3, H, W\]"),
    ],
)
def test_batches_that_cannot_be(model, change, error, words):
    batch = QuestionBatch(
        torch.rand(1, 3, 32, 32), torch.tensor([[4]]), torch.tensor([1]), torch.tensor([0])
    )
    with pytest.raises(error, match=words):
        model(batch._replace(**change))
    with pytest.raises(TypeError, match="batch must be a QuestionBatch, got Tensor"):
        model(batch.images)


# Files.


def test_the_vocabulary_lies_in_the_file(tmp_path):
    model = small(words=(*WORDS, "색은"))
    path = tmp_path / "m.safetensors"
    fastcv.save_model(path, model)
    image = torch.rand(3, 32, 32)
    for again in (fastcv.load_model(path), fastcv.create_model("vqa_lstm_cnn", str(path))):
        assert again.vocabulary == model.vocabulary and again.classes == model.classes
        assert again.preprocessing["size"] == (32, 32) or again.preprocessing["size"] == [32, 32]
        ours, theirs = (m.predict(image, "색은 red")[0].scores for m in (model, again))
        assert torch.equal(ours, theirs)


def test_another_vocabulary_than_the_weights(tmp_path):
    path = tmp_path / "m.safetensors"
    fastcv.save_model(path, small())
    with pytest.raises(ValueError, match=r"embedding.weight") as error:
        fastcv.create_model("vqa_lstm_cnn", str(path), words=("one", "more"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"drop_image": 0.6, "drop_question": 0.5}, "whose sum is at most 1, got 0.6 and 0.5"),
        ({"drop_image": -0.1}, "drop_image and drop_question must be shares"),
        ({"image_encoder": "vgg"}, "image_encoder must be 'vgg19' or 'small', got 'vgg'"),
        ({"image_size": 40}, "image_size must be a multiple of 16, 32 or more, got 40"),
        ({"words": ("red", "red")}, "words must be there once each, 'red' is there 2 times"),
    ],
)
def test_configs_that_cannot_be(options, words):
    with pytest.raises(ValueError, match=words):
        small(**options)
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        fastcv.create_model("vqa_lstm_cnn", num_classes=0)
