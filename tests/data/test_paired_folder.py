"""Pairs of pictures in folders, and pictures without pairs."""

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.data import Jitter, PairedFolder, Unpaired, UnpairedFolders, pair_of_batches


def write(path, width=8, height=6, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def test_side_by_side(tmp_path):
    whole = [write(tmp_path / f"{i}.png", 16, seed=i) for i in range(3)]
    data, reverse = PairedFolder(tmp_path), PairedFolder(tmp_path, reverse=True)
    assert len(data) == len(reverse) == 3
    for i, both in enumerate(whole):
        a, b = data[i]
        assert torch.equal(a, both[:, :, :8]) and torch.equal(b, both[:, :, 8:])
        assert torch.equal(reverse[i][0], b) and torch.equal(reverse[i][1], a)


def test_two_folders(tmp_path):
    a = [write(tmp_path / "a" / f"{name}.png", seed=i) for i, name in enumerate("xyz")]
    for i, name in enumerate("xyz"):
        write(tmp_path / "b" / f"{name}.bmp", seed=i + 9)
    data = PairedFolder(tmp_path / "a", tmp_path / "b")
    for i in range(3):
        assert torch.equal(data[i][0], a[i]) and not torch.equal(data[i][1], a[i])
    assert torch.equal(PairedFolder(tmp_path / "a", tmp_path / "b", reverse=True)[1][1], a[1])


def test_the_missing_partner_is_named(tmp_path):
    for name in ("n1", "n2", "n3"):
        write(tmp_path / "horses" / f"{name}.png")
    write(tmp_path / "zebras" / "n2.png")
    with pytest.raises(ValueError) as error:
        PairedFolder(tmp_path / "horses", tmp_path / "zebras")
    horses, zebras = tmp_path / "horses", tmp_path / "zebras"
    assert str(error.value) == (
        f"{horses / 'n1.png'} has no partner: {zebras} has no picture named n1, and 1 more have "
        "none. Pictures without pairs are for UnpairedFolders and CycleGAN"
    )
    for name in ("n1", "n3", "n4"):
        write(zebras / f"{name}.png")
    with pytest.raises(ValueError, match=r"n4.png has no partner: .*horses has no picture n"):
        PairedFolder(horses, zebras)


def test_what_cannot_be_pairs(tmp_path):
    write(tmp_path / "odd" / "1.png", 15)
    with pytest.raises(ValueError, match=r"1.png must be two pictures .* 15 pixels wide"):
        PairedFolder(tmp_path / "odd")[0]
    write(tmp_path / "one" / "1.png", 1)
    with pytest.raises(ValueError, match="1 pixels wide"):
        PairedFolder(tmp_path / "one")[0]
    write(tmp_path / "a" / "1.png", 8)
    write(tmp_path / "b" / "1.png", 10)
    with pytest.raises(ValueError, match=r"must have one size, got \[6, 8\] and \[6, 10\]"):
        PairedFolder(tmp_path / "a", tmp_path / "b")[0]
    write(tmp_path / "b" / "1.bmp", 8)
    with pytest.raises(ValueError, match="have one name: which of them is the partner"):
        PairedFolder(tmp_path / "a", tmp_path / "b")
    (tmp_path / "empty").mkdir()
    for make in (PairedFolder, lambda f: UnpairedFolders(tmp_path / "a", f)):
        with pytest.raises(FileNotFoundError, match="empty has no images"):
            make(tmp_path / "empty")
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            make(tmp_path / "nowhere")
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(FileNotFoundError, match="it is a link to nothing"):
        PairedFolder(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match="it is a link to nothing"):
        UnpairedFolders(tmp_path / "a", tmp_path / "b")


def test_a_broken_picture(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1.png is not an image"):
        PairedFolder(tmp_path)[0]


def test_16_bits_and_transparency(tmp_path):
    values = np.arange(16 * 6, dtype=np.uint16).reshape(6, 16) * 680
    Image.fromarray(values).save(tmp_path / "1.png")
    clear = np.zeros((6, 16, 4), np.uint8)
    Image.fromarray(clear, "RGBA").save(tmp_path / "2.png")
    (a, b), (white, _) = PairedFolder(tmp_path)
    both = torch.cat([a, b], dim=2)[0]
    torch.testing.assert_close(both, torch.from_numpy(values / 65535).float(), atol=3e-3, rtol=0)
    assert (white == 1).all()


def test_unpaired(tmp_path):
    for kind, n in (("a", 3), ("b", 5)):
        for i in range(n):
            write(tmp_path / kind / f"{i}.png", 20, 16, seed=i)
    data = UnpairedFolders(tmp_path / "a", tmp_path / "b", transform=Jitter(18, 16))
    assert isinstance(data, Unpaired) and len(data) == 5
    (a, b), targets = data.collate([data[i] for i in range(4)])
    assert a.shape == b.shape == (4, 3, 16, 16) and targets is None


def test_pictures_of_several_sizes_in_a_batch():
    same, other = torch.rand(3, 8, 8), torch.rand(3, 8, 9)
    with pytest.raises(ValueError, match=r"pictures b of a batch must have one size, got \[3"):
        pair_of_batches([(same, same), (same, other)])


# Jitter.


def test_jitter_does_the_same_to_all():
    image = torch.rand(3, 30, 30)
    places, mirrored = set(), 0
    for seed in range(40):
        torch.manual_seed(seed)
        a, b = Jitter(30, 24)(image, 1 - image)
        torch.testing.assert_close(a, 1 - b)
        crops = {
            (y, x, flip): image[:, y : y + 24, x : x + 24].flip([2] if flip else [])
            for y in range(7)
            for x in range(7)
            for flip in (False, True)
        }
        found = [place for place, crop in crops.items() if torch.equal(a, crop)]
        assert len(found) == 1
        places.add(found[0][:2])
        mirrored += found[0][2]
    assert len(places) > 20 and 10 < mirrored < 30
    torch.manual_seed(0)
    assert all(
        torch.equal(Jitter(24, 24, flip=False)(image[:, :24, :24])[0], image[:, :24, :24])
        for _ in range(5)
    )


def test_jitter_resizes_and_stays_in_range():
    image = torch.rand(3, 31, 50).round()
    (made,) = Jitter(286, 256)(image)
    assert made.shape == (3, 256, 256) and made.min() >= 0 and made.max() <= 1
    for wrong in ((10, 11), (10, 0)):
        with pytest.raises(ValueError, match="crop_size must be 1 to load_size = 10, got"):
            Jitter(*wrong)
