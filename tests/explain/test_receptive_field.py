"""Receptive fields: by hand, known ones, and the pixels that have a gradient."""

import pytest
import torch
from torch import nn

from fastcv.explain import receptive_field
from fastcv.models import create_model
from fastcv.models.classification.densenet import DenseNet
from fastcv.nn.layers.deform_conv import DeformConv2dPack


def chain(*layers):
    """Convolutions (kernel, stride, padding), and poolings where a "p" is first."""
    made = [
        nn.MaxPool2d(*layer[1:]) if layer[0] == "p" else nn.Conv2d(3, 3, *layer) for layer in layers
    ]
    return nn.Sequential(*made), str(len(made) - 1)


ALEXNET = chain(
    (11, 4, 2), ("p", 3, 2), (5, 1, 2), ("p", 3, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1), ("p", 3, 2)
)
VGG16 = chain(*[v for n in (2, 2, 3, 3, 3) for v in [(3, 1, 1)] * n + [("p", 2, 2)]])


@pytest.mark.parametrize(
    ("model", "size", "stride", "centre"),
    [
        (chain((5, 1, 2)), 5, 1, 0.0),
        (chain((3, 1, 0), (3, 1, 0)), 5, 1, 2.0),  # P + K - 1 = 3 + 3 - 1
        (chain((3, 2, 1), (3, 1, 1)), 7, 2, 0.0),  # P + (K - 1) * stride
        (chain(("p", 2), (3, 1, 1)), 6, 2, 0.5),
        (chain((3, 1, 2, 2)), 5, 1, 0.0),  # dilation 2
        ((nn.Sequential(nn.ZeroPad2d(2), nn.Conv2d(3, 1, 5)), "1"), 5, 1, 0.0),
        ((nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 1, 3, 2)), "1"), 3, 2, 1.0),
        ((nn.Sequential(nn.ZeroPad2d(-3), nn.Conv2d(3, 1, 3)), "1"), 3, 1, 4.0),  # a crop
        (ALEXNET, 195, 32, 31.0),
        (VGG16, 212, 32, 15.5),
    ],
)
def test_by_hand(model, size, stride, centre):
    field = receptive_field(*model)
    assert field.size == (size, size)
    assert field.stride == (stride, stride)
    assert field.centre == (centre, centre)


def test_rows_are_not_columns():
    field = receptive_field(nn.Sequential(nn.Conv2d(3, 1, (3, 7), (1, 2), (1, 0))), "0", (20, 30))
    assert (field.size, field.stride, field.centre) == ((3, 7), (1, 2), (0.0, 3.0))
    assert field.box(0, 1) == (2, 0, 9, 2) and field.box(19, 11) == (22, 18, 29, 20)


def test_a_window_is_the_box_with_the_padding():
    field = receptive_field(*chain((5, 2, 2)), (12, 9))
    assert field.window(0, 0) == (-2, -2, 3, 3) and field.box(0, 0) == (0, 0, 3, 3)
    assert field.window(2, 1) == field.box(2, 1) == (0, 2, 5, 7)
    assert field.window(5, 4) == (6, 8, 11, 13) and field.box(5, 4) == (6, 8, 9, 12)


@pytest.mark.parametrize("channels", [1, 4])
def test_images_of_other_channels(channels):
    model = nn.Sequential(nn.Conv2d(channels, 2, 3, padding=1))
    assert receptive_field(model, "0", (8, 8), channels=channels).size == (3, 3)


@pytest.mark.parametrize(
    ("name", "layer", "size", "stride"),
    [
        # The stem sees 11 at stride 4. Each 3x3 adds two steps of its input: of ResNet-18's last
        # stage 2 * 16 + 3 * 2 * 32.
        ("resnet18", "maxpool", 11, 4),
        ("resnet18", "layer1", 11 + 4 * 8, 4),
        ("resnet18", "layer4", 435, 32),
        ("resnet50", "layer4", 427, 32),
        ("resnet50_dcn", "layer4", 427, 32),
        ("densenet121", "features.denseblock1.denselayer6", 11 + 6 * 8, 4),
        ("xception", "block1", 7 + 2 * 2 * 2 + 2 * 2, 4),
    ],
)
def test_of_classifiers(name, layer, size, stride):
    field = receptive_field(create_model(name, num_classes=2), layer)
    assert field.size == (size, size) and field.stride == (stride, stride)


def test_what_sees_everything():
    model = create_model("efficientnet", phi=-3.0, num_classes=2)
    whole = receptive_field(model, "features.1.0.block.1.fc2", (64, 96))
    assert whole.size == (64, 96) and whole.box(0, 0) == (0, 0, 96, 64)
    assert receptive_field(model, "features.2", (64, 96)).size == (64, 96)  # behind the gates
    assert receptive_field(model, "features.0", (64, 96)).size == (3, 3)


def all_positive(model):
    """Weights and norms with which nothing cancels and no ReLU is at zero; means, not maxima."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
                setattr(parent, name, pool)
            elif (isinstance(child, nn.Conv2d) and name != "conv_offset") or isinstance(
                child, DeformConv2dPack
            ):
                nn.init.constant_(child.weight, 1 / child.weight[0].numel())
    return model.double().eval()


@pytest.mark.parametrize(
    ("model", "layer", "size"),
    [
        (lambda: create_model("resnet18", num_classes=2, width=2), "layer3", (250, 230)),
        (lambda: create_model("resnet50", num_classes=2, width=2), "layer2", (150, 128)),
        (lambda: create_model("resnet50_dcn", num_classes=2, width=2), "layer4", (160, 128)),
        (
            lambda: create_model(
                "resnet50",
                num_classes=2,
                width=2,
                replace_stride_with_dilation=[True, False, False],
            ),
            "layer2.2",
            (128, 150),
        ),
        # Its padding has more on the right and below.
        (lambda: create_model("efficientnet_lite0", num_classes=2), "features.2", (90, 81)),
        (
            lambda: DenseNet((2, 3), growth=2, width=4, num_classes=2),
            "features.denseblock2",
            (90, 80),
        ),
    ],
)
def test_is_where_the_gradient_is(model, layer, size):
    model = all_positive(model())
    maps = []
    model.get_submodule(layer).register_forward_hook(lambda m, i, output: maps.append(output))
    image = torch.ones(1, 3, *size, dtype=torch.double, requires_grad=True)
    model(image)
    row, column = (n // 2 for n in maps[0].shape[2:])
    (grad,) = torch.autograd.grad(maps[0][0, :, row, column].sum(), image)
    rows, columns = grad[0].sum(0).nonzero().unbind(1)
    x1, y1 = columns.min().item(), rows.min().item()
    seen = (x1, y1, columns.max().item() + 1, rows.max().item() + 1)
    assert receptive_field(model, layer, size).box(row, column) == seen


def test_errors():
    model = create_model("resnet18", num_classes=2, width=2)
    with pytest.raises(ValueError, match=r"no 'layer4\.2': did you mean 'layer4\.\d'"):
        receptive_field(model, "layer4.2")
    with pytest.raises(ValueError, match="'fc' must make a map"):
        receptive_field(model, "fc")
    with pytest.raises(TypeError, match=r"must be a name out of model\.named_modules"):
        receptive_field(model, model.layer1)


def test_a_layer_under_its_second_name():
    layer = nn.Conv2d(3, 3, 3)
    model = nn.Sequential(layer, layer)
    assert receptive_field(model, "1", (9, 9)) == receptive_field(model, "0", (9, 9))
