"""Sound localisation by its equations, cell by cell, and its three losses by hand."""

import math

import pytest
import torch
from torch import nn

import fastcv
from fastcv.models.audio.sound_localization import Localized, SoundsAndPictures

SMALL = {
    "width": 2,
    "sound_size": 6,
    "sound_width": 1,
    "sound_options": {"num_scenes": 2, "pools": (4, 4, 4), "head_kernel": 2, "rate": 16000},
}


def make(**config):
    torch.manual_seed(0)
    return fastcv.create_model("sound_localization", **{**SMALL, **config})


@pytest.fixture(scope="module")
def model():
    return make()


def test_parameters():
    with torch.device("meta"):
        model = fastcv.create_model("sound_localization", sound_net=False)
        whole = fastcv.create_model("sound_localization")
    learn = (1000 + 1) * 1000 + (1000 + 1) * 512 + (512 + 1) * 512 + (512 + 1) * 1000
    assert learn == 2_289_168
    for one in (model, whole):
        assert sum(p.numel() for p in one.parameters() if p.requires_grad) == learn
    assert sum(p.numel() for p in model.parameters()) == 17_003_856
    assert sum(p.numel() for p in whole.parameters()) == 17_003_856 + 14_352_713


def test_the_trunk_ends_before_the_last_relu():
    with torch.device("meta"):
        model = fastcv.create_model("sound_localization", sound_net=False)
        output = model(SoundsAndPictures(torch.rand(2, 3, 320, 320), torch.rand(2, 1000)))
    assert isinstance(model.vision[-1], nn.Conv2d) and len(model.vision) == 29
    assert output.maps.shape == (2, 20, 20) and output.attended.shape == (2, 1000)


def test_takes_the_trunk_of_vgg16():
    vgg = fastcv.nn.backbones.vgg.VGGTrunk(16, width=2)
    make().vision.load_state_dict(vgg.features[:29].state_dict())


def test_cell_by_cell(model):
    """The whole of section 3 again, in loops over cells."""
    images, sounds = torch.rand(2, 3, 48, 32), torch.randn(2, 6)
    with torch.no_grad():
        output = model(SoundsAndPictures(images, sounds))
        seen = model.vision(images)
        assert (seen < 0).any()  # no ReLU
        for b in range(2):
            heard = model.sound_fc2(model.sound_fc1(sounds[b].clamp(min=0)).clamp(min=0))
            scores = {}
            for y in range(3):
                for x in range(2):
                    cell = seen[b, :, y, x]
                    norms = math.sqrt(float(cell @ cell)) * math.sqrt(float(heard @ heard))
                    scores[y, x] = max(float(cell @ heard) / norms, 0.0)
                    assert float(output.scores[b, y, x]) == pytest.approx(scores[y, x], abs=1e-5)
            total = sum(math.exp(score) for score in scores.values())
            picked = torch.zeros(16)
            for (y, x), score in scores.items():
                share = math.exp(score) / total
                assert float(output.maps[b, y, x]) == pytest.approx(share, rel=1e-5)
                picked += share * seen[b, :, y, x]
            z = model.vision_fc2(model.vision_fc1(picked.clamp(min=0)).clamp(min=0))
            torch.testing.assert_close(output.attended[b], z, rtol=1e-4, atol=1e-6)
    assert torch.equal(output.sounds, sounds)  # raw, also what is negative
    assert torch.equal(output.others, sounds.flip(0))


def found(maps=None):
    """Of one picture, and z at a distance of 5 from its own sound and of 1 from the other."""
    sounds, others = torch.tensor([[3.0, -4.0]]), torch.tensor([[0.0, 1.0]])
    maps = torch.full((1, 2, 2), 0.25) if maps is None else maps
    return Localized(maps, maps, torch.zeros(1, 2), sounds, others)


def test_the_unsupervised_loss_by_hand():
    losses = make(supervision="unsupervised").loss(found(), None)
    far = 1 / (1 + math.exp(1 - 5))  # softmax(5, 1)
    expected = (far**2 + (1 - far - 1) ** 2) / 2
    assert list(losses) == ["unsupervised"]
    # Torch adds 1e-6 to each difference, so that a distance of 0 has a gradient.
    assert float(losses["unsupervised"]) == pytest.approx(expected, rel=1e-5)


def test_the_supervised_loss_by_hand():
    maps = torch.tensor([[[0.5, 0.25], [0.125, 0.125]], [[0.25, 0.25], [0.25, 0.25]]])
    truth = torch.zeros(2, 2, 2)
    truth[0, 0] = torch.tensor([1.0, 3.0])  # shares of 1/4 and 3/4; the second has none
    output = Localized(maps, maps, torch.zeros(2, 2), torch.zeros(2, 2), torch.ones(2, 2))
    losses = make(supervision="supervised").loss(output, truth)
    expected = -(0.25 * math.log(0.5) + 0.75 * math.log(0.25)) / 2  # of two pictures
    assert list(losses) == ["supervised"]
    assert float(losses["supervised"]) == pytest.approx(expected, rel=1e-5)


def test_the_semi_supervised_loss_is_both():
    truth = torch.ones(1, 2, 2)
    both = make(supervision="semi").loss(found(), truth)
    parts = {
        name: make(supervision=name).loss(found(), truth)[name]
        for name in ("unsupervised", "supervised")
    }
    assert list(both) == list(parts)
    assert all(torch.equal(both[name], part) for name, part in parts.items())
    assert float(both["supervised"]) == pytest.approx(math.log(4), rel=1e-5)


def test_wrong_targets():
    model = make()
    with pytest.raises(TypeError, match="targets must be a tensor, got NoneType"):
        model.loss(found(), None)
    for wrong in (torch.ones(1, 2, 3), torch.ones(1, 2, 2).long(), torch.ones(2, 2)):
        with pytest.raises(ValueError, match=r"targets must be floating \[1, 2, 2\], a map for"):
            model.loss(found(), wrong)
    for wrong in (-torch.ones(1, 2, 2), torch.full((1, 2, 2), float("nan"))):
        with pytest.raises(ValueError, match="targets must be 0 or more, got"):
            model.loss(found(), wrong)


def test_bad_batches(model):
    good = SoundsAndPictures(torch.rand(2, 3, 32, 32), torch.rand(2, 6))
    for wrong, kind, words in (
        (torch.rand(2, 3, 32, 32), TypeError, "batch must be SoundsAndPictures, got Tensor"),
        (good._replace(images=torch.rand(2, 3, 8, 32)), ValueError, r"images must be \[B, 3, H, W"),
        (good._replace(sounds=torch.rand(1, 6)), ValueError, r"sounds must be \[2, 6\], got"),
        (good._replace(others=torch.rand(2, 5)), ValueError, r"others must be \[2, 6\], got"),
    ):
        with pytest.raises(kind, match=words):
            model(wrong)
    one = model(SoundsAndPictures(torch.rand(1, 3, 32, 32), torch.rand(1, 6)))
    with pytest.raises(ValueError, match="a batch must have two sounds or more"):
        model.loss(one, torch.ones(1, 2, 2))
    with pytest.raises(ValueError, match="supervision must be one of unsupervised, supervised, s"):
        make(supervision="none")


def test_the_authors_keys(model, tmp_path):
    state = {
        key.replace("vision.", "vision_embedding_model.feature_extraction."): value
        for key, value in model.state_dict().items()
        if not key.startswith("sound_net.")
    }
    torch.save(state, tmp_path / "a.pth")
    loaded = make(weights=str(tmp_path / "a.pth"), sound_net=False)
    assert loaded.state_dict().keys() <= model.state_dict().keys()
    assert all(torch.equal(model.state_dict()[k], v) for k, v in loaded.state_dict().items())


# Predicting.


def sound(seconds=1.0, rate=16000):
    generator = torch.Generator().manual_seed(3)
    return torch.rand(round(seconds * rate), generator=generator) - 0.5, rate


def test_the_feature_is_the_mean_of_the_objects_logits(model):
    waves = torch.stack([sound()[0], -sound()[0]])
    before = {key: value.clone() for key, value in model.sound_net.state_dict().items()}
    with torch.no_grad():
        expected = model.sound_net.eval()(waves).objects.mean(dim=2)
    model.train()
    torch.testing.assert_close(model.sound_features(waves), expected)
    assert model.sound_net.training
    after = model.sound_net.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_predict(model):
    picture = torch.rand(3, 40, 60)
    (single,) = model.predict((picture, sound()))
    assert single.image_size == (40, 60) and single.scores.shape == (20, 20)
    again = model.predict([(picture, sound()), (picture, sound(2.0))], batch_size=2)
    torch.testing.assert_close(again[0].scores, single.scores)
    assert not torch.allclose(again[1].scores, single.scores)
    features = model.sound_features(sound()[0][None])
    with torch.no_grad():
        scores = model(SoundsAndPictures(model.prepare([picture]), features)).scores[0]
    torch.testing.assert_close(single.scores, scores)


def test_muted(model):
    """A new SoundNet has no biases, so silence is a feature of zeros. What the map is then, the
    biases of the sound's two layers say; without them it has no direction and the map is flat."""
    silence = torch.zeros(16000), 16000
    assert not model.sound_features(silence[0][None]).any()
    (biased,) = model.predict((torch.rand(3, 40, 60), silence))
    assert biased.scores.max() > biased.scores.min()
    muted = make()
    for layer in (muted.sound_fc1, muted.sound_fc2):
        nn.init.zeros_(layer.bias)
    (flat,) = muted.predict((torch.rand(3, 40, 60), silence))
    assert not flat.scores.any()
    assert torch.equal(flat.shares, torch.full((20, 20), 1 / 400))


def test_without_a_sound_net(model):
    deaf = make(sound_net=False)
    with pytest.raises(ValueError, match="the model has no SoundNet to hear with: set model"):
        deaf.predict((torch.rand(3, 40, 60), sound()))
    deaf.sound_net = model.sound_net
    assert len(deaf.predict((torch.rand(3, 40, 60), sound()))) == 1


def test_bad_pairs(model):
    picture = torch.rand(3, 40, 60)
    for wrong, kind, words in (
        (picture, TypeError, r"an input must be a pair \(picture, sound\), got Tensor"),
        ([picture, sound()], TypeError, "an input must be a pair"),
        (("no_such.png", sound()), FileNotFoundError, "there is no image no_such.png"),
        ((picture, "no_such.wav"), FileNotFoundError, "no_such.wav"),
        ((picture, sound(0.05)), ValueError, "a sound must be at least .* samples at 16000 Hz"),
        ((picture, (torch.full((16000,), float("nan")), 16000)), ValueError, "NaN|nan|finite"),
        ((picture, (torch.zeros(0), 16000)), ValueError, "sound|sample"),
        ((picture, (torch.zeros(1), 16000)), ValueError, "sound|sample"),
    ):
        with pytest.raises(kind, match=words) as error:
            model.predict(wrong)
        assert "\n" not in str(error.value)
    rows = [("no_such.png", sound()), (picture, sound(0.05)), (picture, sound())]
    kinds = [type(r).__name__ for _, r in model.predict_iter(rows, on_error="yield", batch_size=2)]
    assert kinds == ["FileNotFoundError", "ValueError", "SoundMap"]
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        model.predict((picture, sound()), batch_size=0)
