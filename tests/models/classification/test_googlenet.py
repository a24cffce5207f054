"""GoogLeNet: torchvision's form and the paper's, and the auxiliary classifiers of both."""

import pytest
import torch
from torch.nn import functional as F

from fastcv.models import create_model
from fastcv.models._weights import Source, load_weights
from fastcv.models.classification.googlenet import GoogLeNetOutput


@pytest.mark.parametrize(
    ("name", "aux", "count"),
    [
        ("googlenet", False, 6_624_904),
        ("googlenet", True, 13_004_888),
        ("googlenet_paper", False, 6_998_552),
        ("googlenet_paper", True, 13_378_280),
    ],
)
def test_parameters(name, aux, count):
    with torch.device("meta"):
        model = create_model(name, aux_logits=aux)
    assert sum(p.numel() for p in model.parameters()) == count
    assert model.classes[281] == "tabby" and len(model.classes) == 1000


def test_map_sizes_are_table_1():
    sizes = []
    with torch.device("meta"):
        model = create_model("googlenet_paper")
        for name, layer in model.named_children():
            if name.startswith(("conv", "maxpool", "inception")):
                layer.register_forward_hook(lambda _m, _x, y: sizes.append(tuple(y.shape[1:3])))
        model(torch.empty(1, 3, 224, 224))
    assert sizes == [
        (64, 112),
        (64, 56),
        (64, 56),
        (192, 56),
        (192, 28),
        (256, 28),
        (480, 28),
        (480, 14),
        (512, 14),
        (512, 14),
        (512, 14),
        (528, 14),
        (832, 14),
        (832, 7),
        (832, 7),
        (1024, 7),
    ]


def test_loss_adds_the_auxiliary_classifiers_in_training_only():
    torch.manual_seed(0)
    model = create_model("googlenet", num_classes=4)
    images, labels = torch.randn(3, 3, 32, 32), torch.tensor([0, 3, 1])
    output = model(images)
    losses = model.loss(output, labels)
    assert isinstance(output, GoogLeNetOutput) and list(losses) == ["cross_entropy", "aux1", "aux2"]
    for logits, weight, term in zip(output, (1, 0.3, 0.3), losses.values(), strict=True):
        torch.testing.assert_close(term, weight * F.cross_entropy(logits, labels))
    model.eval()
    output = model(images)
    assert output.shape == (3, 4) and list(model.loss(output, labels)) == ["cross_entropy"]


def test_the_papers_auxiliary_classifiers_need_its_image_size():
    model = create_model("googlenet_paper", num_classes=4)
    with pytest.raises(ValueError, match=r"images must be 224 x 224, .* got maps of 4 x 6"):
        model(torch.rand(1, 3, 64, 96))
    assert model.eval()(torch.rand(1, 3, 64, 96)).shape == (1, 4)


def test_takes_checkpoints_with_auxiliary_classifiers(tmp_path):
    torch.manual_seed(0)
    whole = create_model("googlenet", num_classes=4)
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    model = create_model("googlenet", num_classes=4, aux_logits=False)
    load_weights(model, Source(tmp_path / "weights.pth"))
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(model.eval()(x), whole.eval()(x))


def test_transform_input_gives_the_network_values_between_minus_one_and_one():
    torch.manual_seed(0)
    model = create_model("googlenet", num_classes=4).eval()
    told = create_model("googlenet", num_classes=4, transform_input=True).eval()
    told.load_state_dict(model.state_dict())
    image = torch.rand(3, 300, 260)
    normalised = told.prepare([image])
    model.preprocessing = {**model.preprocessing, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    torch.testing.assert_close(told(normalised), model(model.prepare([image])))


def test_training_exports_too():
    torch.manual_seed(0)
    model = create_model("googlenet", num_classes=4, dropout=0, dropout_aux=0)
    x = torch.rand(2, 3, 32, 32)
    exported = torch.export.export(model, (x,)).module()
    got, want = exported(x), model(x)
    assert isinstance(got, GoogLeNetOutput)
    torch.testing.assert_close(got, want)
