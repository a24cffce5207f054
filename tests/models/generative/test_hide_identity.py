"""A bounded change: within its bound and mask, and the embedding points elsewhere."""

import pytest
import torch

from fastcv.data import DrawnIdentities
from fastcv.learn import fit
from fastcv.metrics import best_threshold, psnr, verification_accuracy
from fastcv.models.generative.hide_identity import hide_identity
from fastcv.nn.backbones.sphereface import SphereFace20a


@pytest.fixture(scope="module")
def recogniser():
    torch.manual_seed(0)
    return SphereFace20a(3, image_size=(32, 32), width=4, embedding_size=16)


def faces(n=3):
    """With values of 0 and 1 among them: the bound must not lead out of the range."""
    made = torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.2
    return made.clamp(0, 1)


def cosines(recogniser, a, b):
    with torch.no_grad():
        both = recogniser(a).embeddings, recogniser(b).embeddings
    return torch.nn.functional.cosine_similarity(*both)


@pytest.mark.parametrize("min_psnr", [25.0, 30.0, 40.0])
@pytest.mark.parametrize("max_change", [4 / 255, 32 / 255, 1.0])
def test_the_bounds_and_what_it_does(recogniser, min_psnr, max_change):
    images = faces()
    hidden = hide_identity(images, recogniser, min_psnr=min_psnr, max_change=max_change)
    assert hidden.shape == images.shape and hidden.min() >= 0 and hidden.max() <= 1
    change = (hidden - images).abs()
    assert change.max() <= max_change + 1e-6
    assert psnr(hidden, images).min() >= min_psnr
    # Noise of the same size does far less.
    size = change.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    noise = (images + size * (torch.rand_like(images).round() * 2 - 1)).clamp(0, 1)
    moved, shaken = cosines(recogniser, images, hidden), cosines(recogniser, images, noise)
    assert (1 - moved).min() > 3 * (1 - shaken).max()


def test_more_steps_go_further(recogniser):
    images = faces()
    after = [
        cosines(recogniser, images, hide_identity(images, recogniser, steps=n)).mean()
        for n in (1, 4, 40)
    ]
    assert after[2] < after[1] < after[0] < 1


def test_a_mask_keeps_the_rest_to_the_bit(recogniser):
    images = faces()
    mask = torch.zeros(32, 32)
    mask[8:20, 4:30] = 1.0
    mask[20:] = 0.25
    hidden = hide_identity(images, recogniser, mask=mask)
    change = (hidden - images).abs()
    assert torch.equal(hidden[:, :, :8], images[:, :, :8])
    assert torch.equal(hidden[:, :, 8:20, :4], images[:, :, 8:20, :4])
    assert change[:, :, 20:].max() <= 8 / 255 + 1e-6 < change[:, :, 8:20].max()
    each = mask.expand(3, 1, 32, 32)
    assert torch.equal(hide_identity(images, recogniser, mask=each), hidden)


def test_nobody_else_is_changed(recogniser):
    images = faces()
    before, state = images.clone(), {k: v.clone() for k, v in recogniser.state_dict().items()}
    recogniser.train()
    with torch.no_grad():  # a caller's own mode does not matter
        first = hide_identity(images, recogniser)
    assert recogniser.training and torch.equal(images, before)
    assert all(torch.equal(v, state[k]) for k, v in recogniser.state_dict().items())
    assert all(p.grad is None for p in recogniser.parameters())
    assert torch.equal(hide_identity(images, recogniser), first)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"min_psnr": 0}, "min_psnr must be above 0, got 0"),
        ({"max_change": 0}, "max_change must be above 0, at most 1, got 0"),
        ({"max_change": 1.5}, "max_change must be above 0, at most 1, got 1.5"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"mask": torch.ones(4, 4)}, r"mask must be \[32, 32\] or \[3, 1, 32, 32\] from 0 to 1"),
        ({"mask": torch.full((32, 32), 255)}, "got .32, 32. from 255 to 255"),
    ],
)
def test_wrong_arguments(recogniser, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        hide_identity(faces(), recogniser, **options)
    with pytest.raises(ValueError, match=r"images must be \[B, 3, H, W\], got \[3, 8, 8\]"):
        hide_identity(torch.rand(3, 8, 8), recogniser)


@pytest.mark.slow
def test_verification_falls_to_chance_at_30_db(tmp_path, monkeypatch):
    """Of six drawn people, on pictures that the recogniser has not seen."""
    monkeypatch.setattr("fastcv.learn.History.draw", lambda self, path: path.touch())
    drawn = {s: DrawnIdentities(s, size=(32, 32), identities=6) for s in ("train", "test")}
    torch.manual_seed(0)
    recogniser = SphereFace20a(6, image_size=(32, 32), width=4, embedding_size=32)
    fit(
        recogniser,
        [drawn["train"][i] for i in range(480)],
        epochs=8,
        batch_size=24,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=4e-3),
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    images = torch.stack([drawn["test"][i][0] for i in range(144)])
    hidden = hide_identity(images, recogniser)
    # Each with the next of the same person, and with the next of another.
    same = torch.cat([torch.ones(144), torch.zeros(144)]).bool()

    def similarities(of):
        partners = torch.cat([images.roll(-6, 0), images.roll(-7, 0)])
        return cosines(recogniser, of.repeat(2, 1, 1, 1), partners)

    before = similarities(images)
    threshold = best_threshold(before, same)
    # Chance is 0.5, and 0.59 is three standard errors of 288 pairs above it. Small recognisers of
    # three seeds were right of 0.88 to 0.99 before.
    assert verification_accuracy(before, same, threshold) > 0.8
    assert verification_accuracy(similarities(hidden), same, threshold) <= 0.59
    assert psnr(hidden, images).min() >= 30
