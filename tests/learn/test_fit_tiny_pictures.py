"""Pictures that are too small to train on: one sentence, whatever the model is."""

import pytest
import torch
from small_models import SMALL, make_small

from fastcv.learn import fit
from fastcv.models._registry import find_model

LARGER = r"take larger (pictures or crops, or more of them in a batch|ones)$"


class One(list):
    """One picture of ``side`` x ``side`` pixels, with the target of a task."""

    def __init__(self, name, side):
        shape = (SMALL[name].shape[0], side, side)
        box = torch.tensor([[0.0, 0, side / 2, side / 2]])
        target = {
            "classification": torch.tensor(1),
            "segmentation": torch.zeros(shape[1:], dtype=torch.int64),
            "detection": {"boxes": box, "labels": torch.tensor([1])},
        }
        super().__init__([(torch.rand(shape), target[find_model(name).task])])


def train(model, data, out, **options):
    fit(
        model,
        data,
        epochs=1,
        batch_size=1,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e-3),
        out=out,
        devices="cpu",
        progress=False,
        tensorboard=False,
        **options,
    )


# Of each family one, with a side at which a norm gets maps of one cell.
NORMS = {
    "resnet18": 32,
    "resnet50_dcnv2": 32,
    "densenet121": 33,
    "mobilenet_v2": 32,
    "efficientnet": 32,
    "scouter_resnet18": 32,
    "googlenet": 33,
    "fcn_resnet50": 4,
    "deeplabv3_resnet50": 8,
    "deeplabv3plus_resnet50": 16,
    "unet": 16,
}


@pytest.mark.parametrize(("name", "side"), NORMS.items())
def test_a_norm_of_one_value(name, side, tmp_path):
    sentence = rf"^a norm is left .* of {side} x {side} pixels \(1 at a time\), .*{LARGER}"
    with pytest.raises(ValueError, match=sentence):
        train(make_small(name), One(name, side), tmp_path)
    assert not (tmp_path / "last.pt").exists()


def test_a_norm_of_one_value_in_a_detector(tmp_path):
    """Pictures come as a list; the detector resizes them to 32 x 32 pixels."""
    model = make_small("yolov1", grid=1, last_stride=1)
    with pytest.raises(ValueError, match=rf"in these pictures \(1 at a time\), .*{LARGER}"):
        train(model, One("yolov1", 40), tmp_path)


@pytest.mark.parametrize(("name", "side"), [("vgg16_cam", 8), ("densenet121", 16)])
def test_layers_that_leave_nothing(name, side, tmp_path):
    data = One(name, side) * 2
    with pytest.raises(
        ValueError, match=rf"^pictures of {side} x {side} pixels \(2 at a time\) .*{LARGER}"
    ):
        fit(
            make_small(name),
            data,
            epochs=1,
            batch_size=2,
            optimizer=torch.optim.Adam,
            out=tmp_path,
            devices="cpu",
            progress=False,
            tensorboard=False,
        )


def test_other_errors_stay_as_they_are(tmp_path):
    class Broken(torch.nn.Linear):
        def loss(self, output, targets):
            raise RuntimeError("expected more than one thing")

    with pytest.raises(RuntimeError, match=r"^expected more than one thing$"):
        train(Broken(2, 2), [(torch.zeros(2), torch.zeros(2))], tmp_path)
