"""Weights of other classes or keypoints: all but what depends on them, of every model."""

import warnings

import pytest
import torch
from safetensors.torch import save_file
from small_models import SMALL
from torch import nn

import fastcv
from fastcv.models import Weights, _registry, create_model, list_models, register
from fastcv.models._download import cache_path
from fastcv.models._registry import find_model

DETECTOR = "ssd_resnet18"


def told(name, weights, **config):
    """The model, and the tensors that a warning says were left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = create_model(name, weights=str(weights), **config)
    left_out = [str(w.message) for w in caught if "random start" in str(w.message)]
    assert len(left_out) <= 1
    return model, left_out[0].rpartition(": ")[2].split(", ") if left_out else []


OF_NOTHING = (  # tasks
    "generation",
    "translation",
    "matching",
    "text_to_image",
    "captioning",
    "sound_localization",
    "spoken_images",
    "speech",
    "separation",
)
WITH_CLASSES = [name for name in list_models() if "num_classes" in SMALL[name].config]


def test_which_models_have_classes():
    # One kind of object, or pictures of nothing by name.
    faces = {"retinaface_mobilenet025", "retinaface_resnet50"}
    of_one_object = {f"stacked_hourglass_{stacks}" for stacks in (2, 4, 8)}
    of_nothing = {
        name
        for name in list_models()
        if find_model(name).task in OF_NOTHING
        and name not in ("cgan", "im2recipe_resnet18", "im2recipe_resnet50")
    }
    assert {"progan_256", "dcgan_64", "pix2pix_unet256", "srgan_x4"} <= of_nothing
    without = {"hog_svm", *of_nothing, *faces, *of_one_object}
    assert set(list_models()) - set(WITH_CLASSES) == without


# The tensors that depend on the classes.
HEADS = {
    "detr_resnet18": ["class_embed.weight", "class_embed.bias"],
    "fasterrcnn_resnet18_fpn": [
        f"roi_heads.box_predictor.{layer}.{kind}"
        for layer in ("cls_score", "bbox_pred")
        for kind in ("weight", "bias")
    ],
    "retinanet_resnet18_fpn": [
        f"head.classification_head.cls_logits.{kind}" for kind in ("weight", "bias")
    ],
    "ssd_resnet18": [
        f"head.classification_head.module_list.{i}.{kind}"
        for i in range(5)
        for kind in ("weight", "bias")
    ],
    "yolov1": ["head.4.weight", "head.4.bias"],  # one layer for classes, confidences and boxes
    "rcnn_small": [
        f"{layer}.{kind}"
        for layer in ("cls_score", "svms", "bbox_pred")
        for kind in ("weight", "bias")
    ],
    "centernet_resdcn18": [f"heads.0.heatmap.2.{kind}" for kind in ("weight", "bias")],
    "cornernet_hourglass104": [
        f"heads.{i}.{corner}.heatmap.2.{kind}"
        for i in range(2)
        for corner in ("top_left", "bottom_right")
        for kind in ("weight", "bias")
    ],
    "lenet5": ["codes"],
    "resnet18": ["fc.weight", "fc.bias"],
    "fcn32s_vgg16": ["score_fr.weight", "score_fr.bias", "upscore.weight"],
    "deeplabv3_resnet50": [
        f"{head}.4.{kind}"
        for head in ("classifier", "aux_classifier")
        for kind in ("weight", "bias")
    ],
    "im2recipe_resnet18": ["semantic_branch.weight", "semantic_branch.bias"],
    "hypercolumns_vgg16": ["bias", *(f"classifiers.{n}.weight" for n in ("pool2", "conv4", "fc7"))],
}
# One of each module's models, of those that have a small form.
RUN = {
    find_model(name).build.__module__: name
    for name in (*WITH_CLASSES, *HEADS)
    if not (SMALL[name].heavy or SMALL[name].like)
}.values()


@pytest.mark.parametrize("name", RUN)
def test_all_but_the_head(name, tmp_path):
    """From the model's default classes to three; what is named has another shape, and it alone."""
    config = {k: v for k, v in SMALL[name].config.items() if k != "num_classes"}
    torch.manual_seed(1)
    trained = create_model(name, **config)
    fastcv.save_model(tmp_path / "a.safetensors", trained)
    torch.manual_seed(2)
    fresh = create_model(name, **config, num_classes=3).state_dict()
    torch.manual_seed(2)
    model, left_out = told(name, tmp_path / "a.safetensors", num_classes=3)
    before, now = trained.state_dict(), model.state_dict()
    assert left_out == [key for key, value in now.items() if value.shape != before[key].shape]
    assert left_out == HEADS.get(name, left_out) != []
    for key, value in now.items():
        assert torch.equal(value, fresh[key] if key in left_out else before[key]), key
    assert len(model.classes) == 3
    assert model.model_config.keys() == {**config, "num_classes": 3}.keys()
    fastcv.save_model(tmp_path / "b.safetensors", model)
    again = fastcv.load_model(tmp_path / "b.safetensors").state_dict()
    assert all(torch.equal(again[key], value) for key, value in now.items())


@pytest.fixture
def files(tmp_path):
    """A detector of six classes, in a file of ours and in others' forms."""
    torch.manual_seed(1)
    model = create_model(DETECTOR, **{**SMALL[DETECTOR].config, "num_classes": 6})
    state = model.state_dict()
    fastcv.save_model(tmp_path / "ours.safetensors", model)
    save_file(state, tmp_path / "others.safetensors")
    torch.save(state, tmp_path / "plain.pth")
    torch.save({"model": state, "epoch": 3}, tmp_path / "wrapped.pth")
    for prefix in ("module.", "_orig_mod.", "model.", "net.detector.", "model._orig_mod.module."):
        renamed = {prefix + key: value for key, value in state.items()}
        torch.save({"state_dict": renamed}, tmp_path / f"{prefix}ckpt")
    return tmp_path, model


def test_every_form_of_file(files):
    folder, trained = files
    paths = sorted(folder.iterdir())
    assert len(paths) == 9
    config = SMALL[DETECTOR].config
    for path in paths:
        model, left_out = told(DETECTOR, path, **config)
        assert left_out == HEADS[DETECTOR], path
        kept = {k: v for k, v in model.state_dict().items() if k not in left_out}
        assert all(torch.equal(trained.state_dict()[key], value) for key, value in kept.items())
        same, left_out = told(DETECTOR, path, **{**config, "num_classes": 6})
        assert left_out == []
        state = same.state_dict()
        assert all(torch.equal(state[k], v) for k, v in trained.state_dict().items()), path


def test_by_a_published_name(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTCV_HOME", str(tmp_path))
    monkeypatch.setattr(_registry, "_entries", dict(_registry._entries))
    build, url = find_model("resnet18").build, "http://127.0.0.1:1/net-12345678.pth"
    names = tuple(f"kind {i}" for i in range(7))
    published = Weights("A", url, "12345678", names, {"resize": 7}, config={"width": 8})
    register("resnet18", task="classification", weights=[published])(build)
    monkeypatch.setattr("fastcv.models._weights.download", lambda *_: cache_path(url, "12345678"))
    cache_path(url, "12345678").parent.mkdir(parents=True)
    trained = create_model("resnet18", num_classes=7, width=8)
    torch.save(trained.state_dict(), cache_path(url, "12345678"))
    for weights in ("A", "default", url, cache_path(url, "12345678")):
        options = {"width": 8} if weights == cache_path(url, "12345678") else {}
        model, left_out = told("resnet18", weights, classes=["cat", "dog"], **options)
        assert left_out == HEADS["resnet18"] and model.classes == ("cat", "dog")
        assert torch.equal(model.conv1.weight, trained.conv1.weight)
        assert model.fc.out_features == 2


NAMES = ("background", "cat", "dog")


@pytest.mark.parametrize(
    ("in_file", "wanted", "kept"),
    [
        (NAMES, NAMES, True),
        (NAMES, None, True),  # nobody says that they are others
        (NAMES, ("background", "dog", "cat"), False),
        (NAMES, ("background", "cat", "gnu"), False),
        (("background", "class 1", "class 2"), NAMES, True),  # they have no names yet
        (NAMES, ("background", "class 1", "class 2"), True),
        ((), NAMES, True),
    ],
)
def test_other_names_of_the_same_number(in_file, wanted, kept, tmp_path):
    trained = create_model(DETECTOR, **SMALL[DETECTOR].config)
    trained.classes = in_file or trained.classes
    if in_file:
        fastcv.save_model(tmp_path / "a.safetensors", trained)
    else:
        save_file(trained.state_dict(), tmp_path / "a.safetensors")
    model, left_out = told(
        DETECTOR, tmp_path / "a.safetensors", **{**SMALL[DETECTOR].config, "classes": wanted}
    )
    assert left_out == ([] if kept else HEADS[DETECTOR])
    assert model.classes == (wanted or in_file)
    key = next(iter(trained.state_dict()))
    assert torch.equal(model.state_dict()[key], trained.state_dict()[key])


def test_coco_has_fewer_maps_than_labels(tmp_path):
    """CenterNet has a map for each of COCO's 80 classes, not for the labels between them."""
    config = {"width": 8, "size": 96}
    trained = create_model("centernet_resdcn18", **config)
    fastcv.save_model(tmp_path / "ours.safetensors", trained)
    torch.save(trained.state_dict(), tmp_path / "plain.pth")
    assert trained.heads[0].heatmap[2].out_channels == 80
    for path in tmp_path.iterdir():
        for number in (3, 80, 91):
            model, left_out = told("centernet_resdcn18", path, **config, num_classes=number)
            assert left_out == ([] if number == 91 else HEADS["centernet_resdcn18"])
            assert len(model.classes) == number
    # As many maps, of other classes: without names nobody can tell.
    model, left_out = told("centernet_resdcn18", tmp_path / "ours.safetensors", num_classes=81)
    assert left_out == HEADS["centernet_resdcn18"] and len(model.classes) == 81


# Files that are of no such model are refused, as without num_classes.


def drop(state):
    del state["layer1.0.conv1.weight"]


def add(state):
    state["layer9.weight"] = torch.zeros(3)


def widen(state):
    state["layer1.0.conv1.weight"] = torch.zeros(9, 8, 3, 3)


def half_a_head(state):
    state["fc.bias"] = torch.zeros(5)


def no_head(state):
    del state["fc.weight"], state["fc.bias"]


def wider_head(state):
    state["fc.weight"] = torch.zeros(6, 65)


def flat_head(state):
    state["fc.weight"] = torch.zeros(6)


def empty_head(state):
    state["fc.weight"], state["fc.bias"] = torch.zeros(0, 64), torch.zeros(0)


SPOILT = [drop, add, widen, half_a_head, no_head, wider_head, flat_head, empty_head]


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("number", [3, 6])
def test_a_wrong_file_is_refused(spoil, number, tmp_path):
    state = create_model("resnet18", num_classes=6, width=8).state_dict()
    spoil(state)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth does not fit resnet18: (missing|unexp|wrong)"):
        told("resnet18", tmp_path / "a.pth", width=8, num_classes=number)


@pytest.mark.parametrize("other", ["resnet34", "unet", "ssd_resnet18"])
def test_another_model_is_refused(other, tmp_path):
    config = {**SMALL[other].config, "num_classes": 6}
    fastcv.save_model(tmp_path / "a.safetensors", create_model(other, **config))
    with pytest.raises(ValueError, match="does not fit resnet18: "):
        told("resnet18", tmp_path / "a.safetensors", width=8, num_classes=3)


def test_another_width_is_refused(tmp_path):
    fastcv.save_model(tmp_path / "a.safetensors", create_model("resnet18", num_classes=6, width=8))
    with pytest.raises(ValueError, match=r"wrong shape: conv1.weight is \[8, 3, 7, 7\], must be"):
        told("resnet18", tmp_path / "a.safetensors", num_classes=3, width=16)


def test_without_a_number_nothing_is_left_out(tmp_path):
    state = create_model("resnet18", num_classes=6, width=8).state_dict()
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"fc.weight is \[6, 64\], must be \[1000, 64\]"):
        told("resnet18", tmp_path / "a.pth", width=8)


@pytest.mark.parametrize(
    ("config", "error", "sentence"),
    [
        ({"classes": "cat"}, TypeError, "classes must be names, such as .* got 'cat'"),
        ({"classes": (1, 2)}, TypeError, "classes must be names"),
        ({"classes": NAMES, "num_classes": 4}, ValueError, "must be 4 names, one for each of num_"),
    ],
)
def test_classes_that_are_none(config, error, sentence):
    with pytest.raises(error, match=sentence):
        create_model("resnet18", **config)
    with pytest.raises(ValueError, match="classes must be 2 names, as hog_svm has, got 3"):
        create_model("hog_svm", classes=NAMES)


def test_classes_without_weights():
    model = create_model("resnet18", classes=["a", "b"], width=8)
    assert model.classes == ("a", "b") and model.fc.out_features == 2
    assert model.model_config == {"num_classes": 2, "width": 8}


# What a model is wrapped in when it is saved.


class Pair(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model


@pytest.mark.parametrize(
    "wrap",
    [
        torch.compile,
        nn.DataParallel,
        lambda m: nn.DataParallel(torch.compile(m)),
        lambda m: torch.compile(nn.DataParallel(m)),
    ],
)
def test_save_in_wrappers(wrap, tmp_path):
    model = create_model("resnet18", num_classes=3, width=8)
    fastcv.save_model(tmp_path / "a.safetensors", wrap(model))
    again = fastcv.load_model(tmp_path / "a.safetensors").state_dict()
    assert list(again) == list(model.state_dict())
    assert all(torch.equal(again[key], value) for key, value in model.state_dict().items())


def test_save_of_a_compiled_part(tmp_path):
    model = create_model("resnet18", num_classes=3, width=8)
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    model.layer1 = torch.compile(model.layer1)
    fastcv.save_model(tmp_path / "a.safetensors", model)
    torch.save(model.state_dict(), tmp_path / "a.pth")
    for again in (
        fastcv.load_model(tmp_path / "a.safetensors"),
        create_model("resnet18", str(tmp_path / "a.pth"), num_classes=3, width=8),
    ):
        assert all(torch.equal(again.state_dict()[key], v) for key, v in expected.items())


def test_what_is_no_model_cannot_be_saved(tmp_path):
    for other in (nn.Linear(1, 2), Pair(create_model("lenet5")), nn.DataParallel(nn.Linear(1, 2))):
        with pytest.raises(ValueError, match="model must come from create_model"):
            fastcv.save_model(tmp_path / "a.safetensors", other)


# Keypoint R-CNN has both; the hourglass has keypoints alone, and feeds them to its next stack.
POINTS = {
    "keypointrcnn_resnet18_fpn": [
        f"roi_heads.keypoint_predictor.kps_score_lowres.{kind}" for kind in ("weight", "bias")
    ],
    "stacked_hourglass_2": [
        *(f"outs.{i}.conv.{kind}" for i in range(2) for kind in ("weight", "bias")),
        "merge_preds.0.conv.conv.weight",
    ],
}


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("of_file", [5, ("a", "b", "c")])
def test_other_keypoints(name, of_file, tmp_path):
    """From a file with a name of its model, and from its tensors alone."""
    config = {k: v for k, v in SMALL[name].config.items() if k != "keypoints"}
    torch.manual_seed(1)
    trained = create_model(name, **config, keypoints=of_file)
    fastcv.save_model(tmp_path / "ours.safetensors", trained)
    save_file(trained.state_dict(), tmp_path / "others.safetensors")
    own = ["left", "right", "top"]
    for path in tmp_path.iterdir():
        same_number = of_file == ("a", "b", "c")
        model, left_out = told(name, path, **config, keypoints=own)
        kept = same_number and path.stem == "others"  # nobody says that they are others
        assert left_out == ([] if kept else POINTS[name])
        before = trained.state_dict()
        for key, value in model.state_dict().items():
            assert key in left_out or torch.equal(value, before[key]), key
        assert model.schema.names == ("left", "right", "top")


def test_other_classes_and_other_keypoints(tmp_path):
    name = "keypointrcnn_resnet18_fpn"
    config = {**SMALL[name].config, "num_classes": 5, "keypoints": 7}
    trained = create_model(name, **config)
    save_file(trained.state_dict(), tmp_path / "a.safetensors")
    path = tmp_path / "a.safetensors"
    for options in ({"num_classes": 3, "keypoints": 2}, {"classes": NAMES, "keypoints": ["a"]}):
        _, left_out = told(name, path, **{**config, "num_classes": 3, **options})
        assert left_out == HEADS["fasterrcnn_resnet18_fpn"] + POINTS[name]
    _, left_out = told(name, path, **{**config, "num_classes": 3})
    assert left_out == HEADS["fasterrcnn_resnet18_fpn"]
    with pytest.warns(UserWarning, match="is of other classes and keypoints: these tensors"):
        create_model(name, weights=str(path), **{**config, "num_classes": 3, "keypoints": 2})
    with pytest.raises(ValueError, match="kps_score_lowres"):  # nobody asked for others
        sizes = {k: v for k, v in config.items() if k not in ("num_classes", "keypoints")}
        create_model(name, weights=str(path), **sizes, num_classes=5)
