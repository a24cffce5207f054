"""Models by name: what is found, what is suggested, which keywords are taken."""

import pytest
import torch

from fastcv import create_model, list_models
from fastcv.models import ImageModel, Weights, _registry, register
from fastcv.models._registry import find_model


class Tiny(ImageModel):
    def __init__(self, size: int, *, num_classes: int = 2, bias: bool = True):
        super().__init__()
        self.head = torch.nn.Linear(size, num_classes, bias=bias)


@pytest.fixture(autouse=True)
def entries(monkeypatch):
    """A registry of the test's own, beside the real models."""
    _registry._import_models()
    monkeypatch.setattr(_registry, "_entries", dict(_registry._entries))

    @register("tiny_net_50", task="testing", weights=[weights("OLD"), weights("NEW")])
    def tiny_net_50(*, num_classes: int = 2, **config) -> Tiny:
        return Tiny(4, num_classes=num_classes, **config)


def weights(name):
    return Weights(name, f"http://127.0.0.1:1/{name}-00000000.pth", "00000000")


@pytest.mark.parametrize("name", ["tiny_net_50", "tiny-net-50", "TinyNet50"])
def test_spellings(name):
    model = create_model(name, num_classes=3, bias=False)
    assert model.head.weight.shape == (3, 4) and model.head.bias is None
    assert model.model_name == "tiny_net_50"
    assert model.model_config == {"num_classes": 3, "bias": False}
    assert model.training


def test_list():
    assert list_models("testing") == ["tiny_net_50"]
    assert list_models() == sorted(list_models()) and "tiny_net_50" in list_models()
    with pytest.raises(ValueError, match=r"task must be one of .*testing.*, got 'tasting'"):
        list_models("tasting")


def test_every_model_is_found_by_its_own_name():
    names = list_models()
    assert [find_model(name).name for name in names] == names


def test_unknown_name():
    with pytest.raises(ValueError, match=r"there is no model 'tinynet_5': did you mean tiny_net_5"):
        create_model("tinynet_5")
    with pytest.raises(ValueError, match=r"list_models\(\) names them all"):
        create_model("qqqqqqqqqq")


def test_unknown_keyword():
    # `size` is the builder's own business.
    takes = "it takes num_classes, bias"
    with pytest.raises(TypeError, match=rf"'num_class' \(did you mean num_classes\?\): {takes}$"):
        create_model("tiny_net_50", num_class=3)
    with pytest.raises(TypeError, match=rf"tiny_net_50 does not take 'q': {takes}$"):
        create_model("tiny_net_50", q=1)


def test_keywords_go_on_to_the_bases():
    class Deep(Tiny):
        def __init__(self, *, depth: int = 1, **rest):
            super().__init__(depth, **rest)

    @register("deep", task="testing")
    def deep(**config) -> Deep:
        return Deep(**config)

    assert create_model("deep", depth=3, num_classes=5).head.weight.shape == (5, 3)
    with pytest.raises(TypeError, match=r"'size': it takes depth, num_classes, bias$"):
        create_model("deep", size=1)


def test_a_builder_that_takes_anything():
    @register("open", task="testing")
    def anything(**config):
        return Tiny(4, **config)

    assert create_model("open", num_classes=7).head.weight.shape == (7, 4)


def test_a_name_is_registered_once(monkeypatch):
    def other() -> Tiny:
        return Tiny(4)

    other.__module__ = "another.module"
    with pytest.raises(ValueError, match="'TINY-NET-50' is registered already, by"):
        register("TINY-NET-50", task="testing")(other)


def test_default_is_the_last(monkeypatch):
    asked = []
    monkeypatch.setattr("fastcv.models._weights.download", lambda url, sha: asked.append(url))
    for name in ("default", "OLD", "old"):
        find = find_model("tiny_net_50")
        _registry.fetch(name, find.weights, find.name)
    assert [url.split("/")[-1][:3] for url in asked] == ["NEW", "OLD", "OLD"]


def test_unknown_weights():
    with pytest.raises(ValueError, match=r"got 'NEWER': tiny_net_50 has 'OLD', 'NEW'"):
        create_model("tiny_net_50", weights="NEWER")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*tiny\.pth"):
        create_model("tiny_net_50", weights="no/such/tiny.pth")


def test_default_of_a_model_without_weights():
    @register("bare", task="testing")
    def bare() -> Tiny:
        return Tiny(4)

    with pytest.raises(ValueError, match="bare has no published weights: pass a path or a URL"):
        create_model("bare", weights="default")
