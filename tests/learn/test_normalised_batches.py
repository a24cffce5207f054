"""Batches of a classifier: what predict would make of the images, augmented, and the same anew."""

import pytest
import torch

from fastcv.augment import Compose, MixUp, RandAugment
from fastcv.learn import fit, normalised_batches
from fastcv.models import create_model

pytestmark = pytest.mark.usefixtures("quick_curves")


def make():
    torch.manual_seed(0)
    model = create_model("resnet18", num_classes=3, width=2)
    model.preprocessing = {**model.preprocessing, "resize": 32, "crop": 32}
    return model


def test_normalised_as_predict_does():
    model = make()
    images = torch.rand(4, 3, 32, 32)
    batch, labels = normalised_batches(model)([(image, 2) for image in images])
    torch.testing.assert_close(batch, model.prepare(list(images)), atol=1e-5, rtol=0)
    assert labels.tolist() == [2, 2, 2, 2]


def test_segmenters_of_caffes_channel_order():
    model = create_model("fcn32s_vgg16", num_classes=3, width=1)
    images, labels = torch.rand(2, 3, 8, 8), torch.zeros(8, 8, dtype=torch.int64)
    batch, maps = normalised_batches(model)([(image, labels) for image in images])
    torch.testing.assert_close(batch, model.prepare(list(images)), atol=1e-3, rtol=1e-5)
    assert maps.shape == (2, 8, 8)


def test_augmented_before_it_is_normalised():
    seen = []

    def darken(images, targets):
        seen.append((images.min() >= 0, images.max() <= 1))
        return images * 0, 1 - targets

    batch, labels = normalised_batches(make(), darken)([(torch.rand(3, 4, 4), 1)])
    assert seen == [(True, True)] and labels.tolist() == [0]
    black = -torch.tensor([0.485, 0.456, 0.406]) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(batch[0, :, 2, 2], black)


def test_augmentation_is_the_same_with_workers_and_after_a_stop(tmp_path):
    images = torch.rand(24, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    data = torch.utils.data.TensorDataset(images, torch.arange(24) % 3)

    def run(folder, epochs=2, workers=0):
        model = make()
        augment = Compose(RandAugment(2, 20), MixUp(3))
        history = fit(
            model,
            data,
            epochs=epochs,
            batch_size=8,
            optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.05),
            collate_fn=normalised_batches(model, augment),
            out=tmp_path / folder,
            workers=workers,
            devices="cpu",
            progress=False,
            tensorboard=False,
        )
        return history.steps

    whole = run("whole")
    assert run("workers", workers=1) == whole
    run("parts", epochs=1)
    assert run("parts") == whole
