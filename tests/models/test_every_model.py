"""Walks the list of models: each must have what docs and users expect of a model.

The small forms are in ``small_models.py``. A model that cannot be small (``like`` there) is built
without memory, and a smaller one of its class runs in its stead.
"""

import functools
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import SMALL, make_small

import fastcv
from fastcv.data import SoundAndFaces
from fastcv.data.drawn_recipes import PairTargets
from fastcv.language import UnitVocabulary, WrittenRecipe, pad_texts
from fastcv.models._registry import find_model
from fastcv.models._tasks import TASKS
from fastcv.models.audio.tacotron2 import SpeechBatch
from fastcv.models.generative.face_identity_transformer import FaceIdentityTransformer
from fastcv.models.language._question_batch import question_batch
from fastcv.nn.backbones.sphereface import SphereFace20a
from fastcv.results import Detections

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text() for path in (ROOT / "docs/models").glob("*.md")}
NAMES = fastcv.list_models()
TASK_OF = {task.name: task for task in TASKS}
ONCE = {find_model(name).build: name for name in NAMES if name in SMALL}.values()  # of a builder
RUN = [name for name in ONCE if not SMALL[name].like]
LIGHT = [name for name in RUN if not SMALL[name].heavy]
LEARN = [name for name in RUN if SMALL[name].trained_by == "loss"]
LABELLED = [  # with labels
    name
    for name in LEARN
    if find_model(name).task
    not in (
        "translation",
        "matching",
        "sound",
        "sound_localization",
        "spoken_images",
        "speech",
        "separation",
    )
]
MAKERS = [name for name in RUN if find_model(name).task == "generation"]
OF_TEXTS = [name for name in RUN if find_model(name).task == "text_to_image"]
ASKED = [name for name in RUN if find_model(name).task == "vqa"]
HEARD = [name for name in RUN if find_model(name).task in ("sound", "speech", "separation")]
NAMED = [name for name in HEARD if find_model(name).task == "sound"]
PLACED = [name for name in RUN if find_model(name).task == "sound_localization"]
PICTURES = [  # what they take
    name for name in RUN if name not in (*MAKERS, *OF_TEXTS, *ASKED, *HEARD, *PLACED)
]
SYSTEMS = [  # translators that learn against a discriminator
    name for name in PICTURES if SMALL[name].trained_by == "gan"
]
COMPARED = [name for name in PICTURES if SMALL[name].trained_by == "perceptual"]  # by features
STAND_IN = {name: SMALL[name].like for name in ONCE if SMALL[name].like}
every_model = pytest.mark.parametrize("name", NAMES)


# Docs.


def pages_with(name: str) -> list[str]:
    """The pages that name a model, itself and not a longer name that it is part of.

    ``vgg11`` and "with `_bn`" name ``vgg11_bn``.
    """
    plain = name.removesuffix("_bn")
    pages = [page for page in PAGES if re.search(rf"(?<!\w){plain}(?!\w)", PAGES[page])]
    return [p for p in pages if p != "index.md" and (name == plain or "`_bn`" in PAGES[p])]


@every_model
def test_has_a_page(name):
    assert pages_with(name), f"no page in docs/models names {name}"


@every_model
def test_has_a_place_in_the_navigation(name):
    listed = (ROOT / "mkdocs.yml").read_text()
    assert any(f" models/{page}\n" in listed for page in pages_with(name))


# The list.


@every_model
def test_has_a_task(name):
    assert find_model(name).task in TASK_OF, f"TASKS has no entry {find_model(name).task!r}"


@every_model
def test_has_a_small_form(name):
    assert name in SMALL, f"SMALL in tests/models/small_models.py needs a row for {name}"


def test_small_forms_are_of_models():
    assert set(SMALL) <= set(NAMES)
    assert {SMALL[like].like for like in STAND_IN.values()} == {""}


@functools.cache
def without_memory(name):
    with torch.device("meta"):
        return fastcv.create_model(name, **SMALL[name].config)


@pytest.mark.parametrize("name", STAND_IN)
def test_is_built_as_its_stand_in(name):
    entry, like = find_model(name), STAND_IN[name]
    model, stand_in = without_memory(name), without_memory(like)
    assert type(model) is type(stand_in) and entry.task == find_model(like).task
    assert model.classes == stand_in.classes
    assert model.predict_options() == stand_in.predict_options()
    if entry.task == "classification" and SMALL[name].shape is not None:
        # What it computes depends on no value: shapes will do.
        with torch.device("meta"):
            output = model(torch.rand(2, *SMALL[name].shape))
            sum(model.loss(output, torch.rand(2, 3)).values()).backward()
        assert all(p.grad is not None for p in model.parameters())


# What is run, of each model once, so that it is made once.


@pytest.fixture(scope="module", params=RUN)
def model(request):
    return make_small(request.param)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def boxes_of(*boxes, label=1):
    boxes = torch.tensor(boxes)
    return {"boxes": boxes, "labels": torch.full((len(boxes),), label), "proposals": boxes - 1}


def classification(model, shape):
    return torch.rand(2, *shape), torch.tensor([0, 2])


def detection(model, shape):
    # Several of a class, for CornerNet to have something to push apart; of all sizes, for each
    # level of a pyramid to have something to find.
    large, medium = ([5.0, 5, 40, 50], [30.0, 2, 70, 40]), [20.0, 15, 49, 37]
    small = [50.0, 40, 64, 50], [8.0, 8, 14, 13]
    images = [torch.rand(3, 60, 80), torch.rand(3, 90, 50)]
    return images, [boxes_of(*large, medium, *small), boxes_of([1.0, 1, 40, 60], label=2)]


def segmentation(model, shape):
    return torch.rand(2, *shape), torch.randint(3, (2, *shape[1:]))


def instance(model, shape):
    if not hasattr(model, "heatmap_size"):  # Hypercolumns take boxes, the others find them
        images, targets = detection(model, shape)
        for image, target in zip(images, targets, strict=True):
            target["masks"] = torch.rand(len(target["boxes"]), *image.shape[1:]) > 0.5
            target["flow"] = torch.randn(2, *image.shape[1:])  # of models that learn from pairs
        if hasattr(model, "flow_net"):
            images = [torch.stack([image.roll(2, dims=2), image]) for image in images]
        return images, targets
    masks = torch.rand(2, model.heatmap_size, model.heatmap_size).round()
    return torch.rand(2, 3, 224, 224), (torch.tensor([1, 2]), masks)


def panoptic(model, shape):
    images, targets = instance(model, shape)
    for image, target in zip(images, targets, strict=True):
        target["semantic"] = torch.zeros(image.shape[1:], dtype=torch.int64)  # stuff
        for label, mask in zip(target["labels"], target["masks"], strict=True):
            target["semantic"][mask] = label
        target["ids"] = torch.arange(len(target["boxes"]))  # of models that learn from pairs
        target["earlier_boxes"], target["earlier_ids"] = target["boxes"], target["ids"]
    if hasattr(model, "track_head"):
        images = [torch.stack([image.roll(2, dims=2), image]) for image in images]
    return images, targets


def keypoints(model, shape):
    if hasattr(model, "crop_size"):  # it takes crops of objects, the others find them
        places = torch.rand(4, len(model.schema), 3) * model.crop_size
        return torch.rand(4, 3, model.crop_size, model.crop_size), (torch.ones(4).long(), places)
    images, targets = detection(model, shape)
    for target in targets:
        low, high = target["boxes"][:, None].split(2, dim=-1)
        share = torch.rand(len(low), len(model.schema), 2)
        seen = torch.full_like(share[..., :1], 2.0)
        target["keypoints"] = torch.cat([low + share * (high - low), seen], dim=-1)
    return images, targets


def densepose(model, shape):
    images, targets = instance(model, shape)
    for target in targets:
        low, high = target["boxes"][:, None].split(2, dim=-1)
        points = low + torch.rand(len(low), 9, 2) * (high - low)
        charts = torch.arange(9).remainder(model.charts + 1).expand(len(low), -1)
        target["dense_keypoints"] = torch.cat([points, charts[..., None]], dim=-1)
        target["dense_uv"] = torch.rand(len(low), 9, 2)
    return images, targets


def faces(model, shape):
    images, targets = keypoints(model, shape)
    for target in targets:
        target["labels"] = torch.ones_like(target["labels"])
    return images, targets


def translation(model, shape):
    _, height, width = shape
    made = torch.rand(2, 3, model.scale * height, model.scale * width)
    return torch.rand(2, model.in_channels, height, width), made


def matching(model, shape):
    texts = SMALL[model.model_name].options["texts"][:2]
    if not hasattr(model, "semantic_branch"):
        return torch.rand(2, *shape), list(texts)
    match, labels = torch.tensor([True, False, True, False]), torch.tensor([0, 1, 2, 1])
    return torch.rand(4, *shape), PairTargets(texts * 2, match, labels, labels)


def vqa(model, shape):
    questions = [model.encode(text) for text in ("is it red", "what", "red is it")]
    return question_batch(torch.rand(2, *shape), questions, (0, 1, 0)), torch.tensor([0, 2, 1])


def captioning(model, shape):
    texts = ["a cat on a mat", "the cat"]
    if isinstance(model.vocabulary, UnitVocabulary):
        texts = ["u0 u2 u1", "u2"]
    ids = [model.vocabulary.encode(text, ends=True) for text in texts]
    return torch.rand(4, *shape), pad_texts(ids * 2)  # batch norms want some


def sound(model, shape):
    waves = torch.rand(2, 16000) - 0.5
    heads = model(waves)
    return waves, tuple(torch.rand_like(logits).softmax(dim=1) for logits in heads)


def sound_localization(model, shape):
    size = model.sound_fc1.in_features
    # Positive: the first layer is a ReLU.
    return model.make_batch(torch.rand(3, 3, 64, 64), torch.rand(3, size)), torch.rand(3, 4, 4)


def spoken_images(model, shape):
    sounds = [(torch.rand(n) - 0.5, model.rate) for n in (3000, 9000, 6000, 8000)]
    return torch.rand(4, *shape), model.prepare_texts(sounds)


def speech(model, shape):
    ids, lengths = pad_texts([model.symbols.encode(text) for text in ("a cat", "is")])
    mels = torch.randn(2, model.mels, 6)
    return SpeechBatch(ids, lengths, mels), (mels, torch.tensor([6, 4]))


def separation(model, shape):
    sources = torch.randn(2, model.speakers, 1600)
    faces = torch.randn(2, model.speakers, 5, model.face_size)
    return SoundAndFaces(sources.sum(1), faces), sources


TRAINED_ON = {
    f.__name__: f
    for f in (
        classification,
        detection,
        segmentation,
        instance,
        panoptic,
        keypoints,
        faces,
        densepose,
        translation,
        matching,
        vqa,
        captioning,
        sound,
        sound_localization,
        spoken_images,
        speech,
        separation,
    )
}


@pytest.fixture(scope="module")
def example(model):
    """Inputs of ``forward`` and targets of ``loss``."""
    task = find_model(model.model_name).task
    assert task in TRAINED_ON, f"TRAINED_ON in {__file__} needs a function for task {task!r}"
    torch.manual_seed(1)
    return TRAINED_ON[task](model, SMALL[model.model_name].shape)


@pytest.fixture(scope="module")
def output(model, example):
    return model.train()(example[0])


@pytest.fixture(scope="module")
def targets(example):
    return example[1]


def with_labels(change, targets):
    """The targets with other labels, whatever else they have."""
    if isinstance(targets, torch.Tensor):
        return change(targets)
    if isinstance(targets, tuple):
        return change(targets[0]), *targets[1:]
    return [{**target, "labels": change(target["labels"])} for target in targets]


def assert_a_sentence(error, *words):
    text = str(error.value)
    assert all(word in text for word in words)
    assert "\n" not in text and not text.endswith(".") and len(text) < 200


def test_is_of_its_tasks_base(model):
    assert TASK_OF[find_model(model.model_name).task].has_model(model)
    assert isinstance(model, fastcv.models.Model)


@pytest.mark.parametrize("model", LEARN, indirect=True)
def test_every_parameter_learns(model, output, targets):
    losses = model.loss(output, targets)
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    idle = SMALL[model.model_name].idle
    met = set()
    for key, parameter in model.named_parameters():
        parts = {part for part in idle if part in key}
        met |= parts
        if parameter.requires_grad and not parts:
            assert parameter.grad is not None, f"nothing of the loss reaches {key}"
            assert parameter.grad.isfinite().all(), key
            assert parameter.grad.any(), f"{key} has a gradient of zeros"
    assert met == set(idle), "parameters of these names are not there"


@pytest.mark.parametrize("model", [name for name in RUN if name not in LEARN], indirect=True)
def test_is_trained_by_a_method_of_its_own(model):
    assert not hasattr(model, "loss")
    assert callable(getattr(model, SMALL[model.model_name].trained_by))


@pytest.mark.parametrize("model", LABELLED, indirect=True)
def test_wrong_targets(model, output, targets):
    for wrong in (
        lambda labels: labels[:1],
        lambda labels: labels.flatten()[:0],
        lambda labels: labels.float(),
        lambda labels: labels + 50,
    ):
        with pytest.raises(ValueError, match=r"targets|labels") as error:
            model.loss(output, with_labels(wrong, targets))
        assert_a_sentence(error)


@pytest.mark.parametrize("model", LEARN, indirect=True)
def test_targets_that_are_no_tensors(model, output, targets):
    lists = as_lists(targets)
    for wrong in (None, 7, "cat", [], (), {}, lists, np.zeros(2), [None, None], [targets] * 3):
        with pytest.raises((TypeError, ValueError), match="targets") as error:
            model.loss(output, wrong)
        assert_a_sentence(error)


def as_lists(targets):
    """The same with a list in place of each tensor."""
    if isinstance(targets, torch.Tensor):
        return targets.tolist()
    if isinstance(targets, dict):
        return {key: as_lists(value) for key, value in targets.items()}
    if isinstance(targets, str):
        return [targets]
    if isinstance(targets, WrittenRecipe):
        return targets
    if hasattr(targets, "_fields"):
        return type(targets)(*map(as_lists, targets))
    return type(targets)(as_lists(target) for target in targets)


@pytest.mark.parametrize("model", PICTURES, indirect=True)
def test_predict_draws(model, picture, tmp_path):
    options = SMALL[model.model_name].options
    task = TASK_OF[find_model(model.model_name).task]
    (found,) = model.predict(picture, **options)
    assert task.has_result(found) and found.source == str(picture)
    assert not isinstance(found, Detections) or len(found) > 0
    assert found.draw().width % 64 == 0
    for name in ("found.png", "found.json"):
        found.save(tmp_path / name)
    with Image.open(tmp_path / "found.png") as drawing:
        assert drawing.size == found.draw().size
    told = json.loads((tmp_path / "found.json").read_text())
    assert told == json.loads(json.dumps(found.to_dict()))
    ((source, again),) = model.predict_iter([picture], **options)
    assert source == picture and again.to_dict() == found.to_dict()


@pytest.mark.parametrize("model", PICTURES, indirect=True)
def test_bad_inputs(model):
    for wrong, kind, words in (
        (3, TypeError, ("an image must be", "got builtins.int")),
        (torch.zeros(3, 4, 4, dtype=torch.int64), TypeError, ("an image", "got torch.int64")),
        (torch.rand(2, 5, 5), ValueError, ("an image", "[3, H, W], got [2, 5, 5]")),
        (torch.rand(5, 5), ValueError, ("an image", "[3, H, W], got [5, 5]")),
        (torch.empty(3, 0, 5), ValueError, ("an image", "[3, H, W], got [3, 0, 5]")),
        ("no_such_file.jpg", FileNotFoundError, ("there is no image no_such_file.jpg",)),
    ):
        for call in (model.predict, lambda x: list(model.predict_iter(x))):
            with pytest.raises(kind) as error:
                call(wrong)
            assert_a_sentence(error, *words)


@pytest.mark.parametrize("model", PICTURES, indirect=True)
def test_a_wrong_option(model):
    with pytest.raises(TypeError) as error:
        model.predict([], no_such_option=1)
    assert_a_sentence(error, "does not take 'no_such_option'", *model.predict_options())


# Translators that learn against a discriminator.


@pytest.mark.parametrize("model", SYSTEMS, indirect=True)
def test_every_parameter_of_a_translators_players_learns(model, example):
    images, targets = example
    if isinstance(model, FaceIdentityTransformer):  # of faces it is known who they are
        recogniser = SphereFace20a(2, image_size=(16, 16), width=4, embedding_size=8)
        system, targets = model.gan(recogniser, image_size=64, judge_width=4), torch.tensor([0, 1])
    else:
        system = model.gan()
    players = {name: as_module(given) for name, given in system.players.items()}
    owned = [p for player in players.values() for p in player.parameters()]
    assert {id(p) for p in owned} == {id(p) for p in system.parameters()}
    assert {id(p) for p in model.parameters()} <= {id(p) for p in owned}
    if "generators" in players:  # both kinds of pictures go in
        system = model.gan(image_size=64)
        players = {name: as_module(given) for name, given in system.players.items()}
        images, targets = (images, targets), None
    for name, player in players.items():
        system.zero_grad()
        losses = system.loss(system(images), targets, player=name)
        assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
        sum(losses.values()).backward()
        for key, parameter in player.named_parameters():
            assert parameter.grad is not None, f"nothing of the loss reaches {name}'s {key}"
            assert parameter.grad.isfinite().all(), key
            # The bias of a convolution before an instance norm comes to nothing.
            assert parameter.ndim == 1 or parameter.grad.any(), key


@pytest.mark.parametrize("model", COMPARED, indirect=True)
def test_every_parameter_learns_from_features(model, example):
    images, targets = example
    takes_a_style = "style" in inspect.signature(model.perceptual).parameters
    system = model.perceptual(*[torch.rand(3, 24, 32)][:takes_a_style])
    assert {id(p) for p in model.parameters()} == {id(p) for p in system.parameters()}
    losses = system.loss(system(images), targets)
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, f"nothing of the loss reaches {key}"
        assert parameter.grad.isfinite().all(), key
        # The bias of a convolution before a norm comes to nothing.
        assert parameter.ndim == 1 or parameter.grad.any(), key
    for wrong in (None, 7, [targets], targets[:1], targets[..., :8]):
        with pytest.raises((TypeError, ValueError), match="targets") as error:
            system.loss(system(images), wrong)
        assert_a_sentence(error)


def as_module(given):
    return torch.nn.ModuleList(given) if isinstance(given, list) else given


# Generators, which take no pictures but make them.


@pytest.mark.parametrize("model", MAKERS, indirect=True)
def test_every_parameter_of_every_player_learns(model):
    system = getattr(model, SMALL[model.model_name].trained_by)()
    owned = [p for player in system.players.values() for p in player.parameters()]
    assert {id(p) for p in owned} == {id(p) for p in system.parameters()}
    assert {id(p) for p in model.parameters()} <= {id(p) for p in owned}
    side = model.sample().image_size
    for name, player in system.players.items():
        system.zero_grad()
        torch.manual_seed(2)
        losses = system.loss(system(torch.rand(4, 3, *side)), torch.arange(4) % 3, player=name)
        assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
        sum(losses.values()).backward()
        for key, parameter in player.named_parameters():
            assert parameter.grad is not None, f"nothing of the loss reaches {name}'s {key}"
            assert parameter.grad.isfinite().all() and parameter.grad.any(), key


@pytest.mark.parametrize("model", MAKERS, indirect=True)
def test_samples_draw(model, tmp_path):
    task = TASK_OF[find_model(model.model_name).task]
    made = model.sample(5, seed=3)
    assert task.has_result(made) and len(made) == 5
    assert made.pictures.min() >= 0 and made.pictures.max() <= 1 and made.pictures.std() > 0
    torch.testing.assert_close(model.sample(5, seed=3, batch_size=2).pictures, made.pictures)
    assert not torch.equal(model.sample(5, seed=4).pictures, made.pictures)
    for name in ("made.png", "made.json"):
        made.save(tmp_path / name)
    with Image.open(tmp_path / "made.png") as drawing:
        assert drawing.size == made.draw().size
    told = json.loads((tmp_path / "made.json").read_text())
    assert told == json.loads(json.dumps(made.to_dict()))


@pytest.mark.parametrize("model", MAKERS, indirect=True)
def test_bad_numbers_of_samples(model):
    for call, words in (
        (lambda: model.sample(0), ("n must be at least 1, got 0",)),
        (lambda: model.sample(1, batch_size=0), ("batch_size must be at least 1, got 0",)),
        (lambda: model.sample(torch.rand(2, model.latent_size + 1)), ("latents must be [B, ",)),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert_a_sentence(error, *words)


# Question answerers, which take a picture and a question; bad ones: language/test_vqa.py.


@pytest.mark.parametrize("model", ASKED, indirect=True)
def test_answers_draw(model, picture, tmp_path):
    task = TASK_OF[find_model(model.model_name).task]
    (found,) = model.predict(picture, "is it red?")
    assert task.has_result(found) and found.source == str(picture)
    assert found.draw().width % 64 == 0
    for name in ("found.png", "found.json"):
        found.save(tmp_path / name)
    with Image.open(tmp_path / "found.png") as drawing:
        assert drawing.size == found.draw().size
    told = json.loads((tmp_path / "found.json").read_text())
    assert told == json.loads(json.dumps(found.to_dict()))
    (((source, question), again),) = model.predict_iter([(picture, "is it red?")])
    assert (source, question) == (picture, "is it red?") and again.to_dict() == found.to_dict()


# Models of sounds, and of pictures with sounds; bad ones: audio/.


@pytest.mark.parametrize("model", NAMED, indirect=True)
def test_what_is_heard_draws(model, tmp_path):
    task = TASK_OF[find_model(model.model_name).task]
    sound = torch.rand(16000) - 0.5, model.rate
    (found,) = model.predict(sound)
    assert task.has_result(found)
    assert_saves(found, tmp_path)
    ((_, again),) = model.predict_iter([sound])
    assert again.to_dict() == found.to_dict()


@pytest.mark.parametrize("model", PLACED, indirect=True)
def test_where_it_is_heard_draws(model, picture, tmp_path):
    task = TASK_OF[find_model(model.model_name).task]
    pair = picture, (torch.rand(16000) - 0.5, model.sound_net.rate)
    (found,) = model.predict(pair)
    assert task.has_result(found) and found.source == str(picture)
    assert_saves(found, tmp_path)
    ((source, again),) = model.predict_iter([pair])
    assert source == pair and again.to_dict() == found.to_dict()


def assert_saves(found, folder):
    for name in ("found.png", "found.json"):
        found.save(folder / name)
    with Image.open(folder / "found.png") as drawing:
        assert drawing.size == found.draw().size
    told = json.loads((folder / "found.json").read_text())
    assert told == json.loads(json.dumps(found.to_dict()))


# Generators that are told a sentence.


@pytest.mark.parametrize("model", OF_TEXTS, indirect=True)
def test_every_parameter_of_both_players_of_texts_learns(model):
    system = getattr(model, SMALL[model.model_name].trained_by)()
    owned = [p for player in system.players.values() for p in player.parameters()]
    assert {id(p) for p in owned} == {id(p) for p in system.parameters()}
    assert {id(p) for p in model.parameters()} <= {id(p) for p in owned}
    texts = list(model.vocabulary.words[-2:]) * 2
    side = model.sample(texts[0], 1).image_size
    for name, player in system.players.items():
        system.zero_grad()
        torch.manual_seed(2)
        losses = system.loss(system(torch.rand(4, 3, *side)), texts, player=name)
        assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
        sum(losses.values()).backward()
        for key, parameter in player.named_parameters():
            assert parameter.grad is not None, f"nothing of the loss reaches {name}'s {key}"
            # A bias before a batch norm comes to nothing.
            assert parameter.grad.isfinite().all() and (
                key.endswith("bias") or parameter.grad.any()
            )


@pytest.mark.parametrize("model", OF_TEXTS, indirect=True)
def test_samples_of_texts_draw(model, tmp_path):
    task = TASK_OF[find_model(model.model_name).task]
    text = model.vocabulary.words[-1]
    made = model.sample(text, 5, seed=3)
    assert task.has_result(made) and len(made) == 5 and made.texts == (text,) * 5
    assert made.pictures.min() >= 0 and made.pictures.max() <= 1 and made.pictures.std() > 0
    torch.testing.assert_close(model.sample(text, 5, seed=3, batch_size=2).pictures, made.pictures)
    assert not torch.equal(model.sample(text, 5, seed=4).pictures, made.pictures)
    for name in ("made.png", "made.json"):
        made.save(tmp_path / name)
    with Image.open(tmp_path / "made.png") as drawing:
        assert drawing.size == made.draw().size
    told = json.loads((tmp_path / "made.json").read_text())
    assert told == json.loads(json.dumps(made.to_dict()))


@pytest.mark.parametrize("model", LIGHT, indirect=True)
def test_saves_and_loads(model, tmp_path):
    fastcv.save_model(tmp_path / "m.safetensors", model)
    loaded = fastcv.load_model(tmp_path / "m.safetensors")
    assert type(loaded) is type(model) and loaded.model_name == model.model_name
    assert loaded.classes == model.classes
    assert json.dumps(loaded.preprocessing) == json.dumps(model.preprocessing)
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
