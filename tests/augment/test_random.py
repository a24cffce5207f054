"""What is drawn: seeded, a number for each image, within its range."""

import pickle

import pytest
import torch

from fastcv import augment
from fastcv.augment import rand_augment
from fastcv.augment.rand_augment import CHANGES

ALL = {
    "brightness": augment.Vary(augment.brightness, 0.5, 1.5),
    "flip": augment.Flip(0.5, 0.5),
    "affine": augment.RandomAffine(30, 0.1, (0.8, 1.2), 0.2),
    "resized crop": augment.RandomResizedCrop((12, 12)),
    "pad crop": augment.PadCrop(3),
    "cutout": augment.Cutout(),
    "cutmix": augment.CutMix(5),
    "mixup": augment.MixUp(5),
    "randaugment": augment.RandAugment(2, 20),
    "sometimes": augment.Sometimes(augment.Cutout(area=(0.2, 0.3)), 0.5),
    "compose": augment.Compose(augment.Flip(), augment.PadCrop(2), augment.MixUp(5)),
}


@pytest.mark.parametrize("name", ALL)
def test_seeded(name, device):
    images = torch.rand(16, 3, 12, 12, generator=torch.Generator().manual_seed(9)).to(device)
    labels = (torch.arange(16) % 5).to(device)

    def run(seed, images=images, labels=labels):
        return ALL[name](images, labels, generator=torch.Generator().manual_seed(seed))

    (a, of_a), (b, of_b), (c, _) = run(0), run(0), run(1)
    assert torch.equal(a, b) and torch.equal(of_a, of_b) and not torch.equal(a, c)
    assert a.device == images.device and a.dtype == images.dtype
    assert a.min() >= -1e-6 and a.max() <= 1 + 1e-6
    on_cpu, _ = run(0, images.cpu(), labels.cpu())
    torch.testing.assert_close(a.cpu(), on_cpu, atol=1e-5, rtol=0)
    torch.manual_seed(3)  # without a generator, torch's own: fit seeds it
    d, _ = ALL[name](images, labels)
    torch.manual_seed(3)
    assert torch.equal(d, ALL[name](images, labels)[0])


@pytest.mark.parametrize("name", ALL)
def test_goes_to_workers(name):
    again = pickle.loads(pickle.dumps(ALL[name]))
    images, labels = torch.rand(4, 3, 12, 12), torch.arange(4)
    generators = [torch.Generator().manual_seed(2) for _ in range(2)]
    assert torch.equal(
        again(images, labels, generator=generators[0])[0],
        ALL[name](images, labels, generator=generators[1])[0],
    )


def test_images_differ_within_a_batch():
    images = torch.rand(1, 3, 16, 16).expand(8, -1, -1, -1)
    for name in ("brightness", "affine", "resized crop", "cutout"):
        changed, _ = ALL[name](images, torch.zeros(8, dtype=torch.int64))
        assert len(changed.flatten(1).unique(dim=0)) == 8, name


def test_sometimes_is_so_often():
    images = torch.ones(400, 3, 2, 2)
    black = augment.Sometimes(augment.Vary(augment.brightness, 0, 0), 0.25)
    changed, _ = black(images, generator=torch.Generator().manual_seed(0))
    assert 0.2 < 1 - changed[:, 0, 0, 0].mean() < 0.3
    assert torch.equal(augment.Sometimes(black, 0.0)(images)[0], images)


def test_pad_crop_reaches_all_shifts():
    images = torch.zeros(600, 3, 5, 5)
    images[:, :, 2, 2] = 1
    moved, _ = augment.PadCrop(1)(images, generator=torch.Generator().manual_seed(0))
    where = moved[:, 0].flatten(1).argmax(1)
    counts = where.bincount(minlength=25).view(5, 5)
    assert (counts[1:4, 1:4] > 40).all() and counts.sum() == counts[1:4, 1:4].sum()


def test_cutout_covers_its_share():
    covered = 1 - augment.Cutout((0.1, 0.2), (1, 1))(torch.ones(64, 3, 50, 50))[0]
    share = covered[:, 0].mean((1, 2))
    assert share.min() > 0.09 and share.max() < 0.21  # whole pixels


def test_changes_of_rand_augment():
    assert len(CHANGES) == 14
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 20, 20, generator=generator) * 0.8 + 0.1
    sign = torch.tensor([1.0, -1.0, 1.0])
    for name, change in CHANGES.items():
        full, _ = change(images, None, 1.0, sign, 0.5)
        none, _ = change(images, None, 0.0, sign, 0.5)
        assert torch.equal(full, images) == (name == "identity"), name
        if name not in ("autocontrast", "equalize", "posterize"):  # which have no strength, or bits
            torch.testing.assert_close(none, images, atol=1e-5, rtol=0)
    turned, _ = CHANGES["rotate"](images, None, 1.0, sign, 0.5)
    expected, _ = augment.warp(
        images, None, augment.affine_matrices((20, 20), angle=30 * sign), fill=0.5
    )
    assert torch.equal(turned, expected)
    # From 8 bits to 4, all 256 values inverted, and factors 1.9 and 0.1.
    assert torch.equal(
        CHANGES["posterize"](images, None, 1.0, sign, 0.5)[0], augment.posterize(images, 4)
    )
    assert torch.equal(CHANGES["solarize"](images, None, 1.0, sign, 0.5)[0], 1 - images)
    factors = torch.tensor([1.9, 0.1, 1.9])
    torch.testing.assert_close(
        CHANGES["brightness"](images, None, 1.0, sign, 0.5)[0], augment.brightness(images, factors)
    )


def test_rand_augment_draws_all_alike(monkeypatch):
    counts = dict.fromkeys(CHANGES, 0)

    def counted(name):
        def change(images, targets, strength, sign, fill):
            assert strength == 0.5 and set(sign.tolist()) <= {-1.0, 1.0}
            counts[name] += len(images)
            return images, targets

        return change

    monkeypatch.setattr(rand_augment, "CHANGES", {name: counted(name) for name in CHANGES})
    generator = torch.Generator().manual_seed(0)
    augment.RandAugment(2, 15)(torch.rand(1400, 3, 2, 2), generator=generator)
    assert sum(counts.values()) == 2800
    assert all(150 < count < 250 for count in counts.values())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: augment.RandAugment(-1), "n must be at least 0, got -1"),
        (lambda: augment.RandAugment(2, 31), "m must be 0 to 30, got 31"),
        (lambda: augment.Flip(1.5), r"horizontal must be in \[0, 1\], got 1.5"),
        (lambda: augment.Sometimes(augment.Flip(), 2), r"p must be in \[0, 1\], got 2"),
        (lambda: augment.RandomAffine(angle=-3), "angle must be at least 0, got -3"),
        (lambda: augment.PadCrop(-1), "padding must be at least 0, got -1"),
        (lambda: augment.Cutout((0.5, 0.2)), r"area must be \(low, high\) from 0 to 1"),
        (lambda: augment.RandomResizedCrop((4, 4), (0.5, 1.2)), r"area .* got \(0.5, 1.2\)"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
