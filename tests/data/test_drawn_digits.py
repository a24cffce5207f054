"""Drawn digits: the same bits always, targets that fit the picture, splits that share nothing."""

import pickle
import runpy
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from fastcv.data import DrawnDigits, _drawn_page, _drawn_sources, collate
from fastcv.ops import masks_to_boxes

ROOT = Path(__file__).parents[2]
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def some():
    """Items of every split."""
    return {split: [DrawnDigits(split)[i] for i in range(25)] for split in SPLITS}


def digest(items):
    h = sha256()
    for image, target in items:
        for value in (image, *(v for v in target.values() if isinstance(v, torch.Tensor))):
            h.update(value.numpy().tobytes())
        h.update(str(target["image_id"]).encode())
    return h.hexdigest()


@pytest.mark.slow
def test_same_bits_in_another_order_and_process():
    forward = [DrawnDigits("train", size=(96, 128))[i] for i in range(4)]
    dataset = DrawnDigits("train", size=(96, 128), length=4)
    backward = [dataset[i] for i in (3, 2, 1, 0)][::-1]
    assert digest(forward) == digest(backward)
    # Another process: one item by itself, of a longer data set.
    code = (
        "import sys; from fastcv.data import DrawnDigits; "
        "image, target = DrawnDigits('train', size=(96, 128), length=9)[3]; "
        "sys.stdout.buffer.write(image.numpy().tobytes() + target['boxes'].numpy().tobytes())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    image, target = forward[3]
    assert run.stdout == image.numpy().tobytes() + target["boxes"].numpy().tobytes()


def test_workers_of_a_loader():
    dataset = pickle.loads(pickle.dumps(DrawnDigits("val", size=(96, 96), length=6)))
    loader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=collate)
    batches = list(loader)
    assert [len(images) for images, _ in batches] == [2, 2, 2]
    loaded = [item for images, targets in batches for item in zip(images, targets, strict=True)]
    assert digest(loaded) == digest(dataset[i] for i in range(6))


def test_nothing_global_is_drawn_from():
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    DrawnDigits("val")[0]
    assert np.array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())


def test_seed_index_and_split_each_matter():
    images = [
        DrawnDigits("val")[0][0],
        DrawnDigits("val")[1][0],
        DrawnDigits("val", seed=1)[0][0],
        DrawnDigits("train")[0][0],
    ]
    assert len({image.numpy().tobytes() for image in images}) == len(images)


@pytest.mark.parametrize("split", SPLITS)
def test_targets(some, split):
    for index, (image, target) in enumerate(some[split]):
        n = len(target["labels"])
        assert image.shape == (3, 192, 192) and image.dtype == torch.float32
        assert image.is_contiguous() and image.min() >= 0 and image.max() <= 1
        assert target["image_id"] == index
        assert 1 <= n <= 6
        assert target["labels"].dtype == torch.int64
        assert ((target["labels"] >= 1) & (target["labels"] <= 10)).all()
        assert target["masks"].shape == (n, 192, 192) and target["masks"].dtype == torch.bool
        assert target["masks"].sum(0).max() == 1  # a pixel belongs to the digit on top
        assert target["boxes"].dtype == torch.float32
        # masks_to_boxes has the last pixel's index as x2 and y2, ours are half-open.
        one = torch.tensor([0.0, 0.0, 1.0, 1.0])
        assert torch.equal(target["boxes"], masks_to_boxes(target["masks"]) + one)
        assert torch.equal(target["area"], target["masks"].sum((1, 2)).float())
        assert target["iscrowd"].dtype == torch.bool and not target["iscrowd"].any()
        x, y, visibility = target["keypoints"].unbind(-1)
        assert visibility.shape == (n, 5)
        inside = visibility == 2
        assert (inside | (target["keypoints"] == 0).all(-1)).all()
        assert ((x >= 0) & (x < 192) & (y >= 0) & (y < 192)).all()


def test_keypoints_turn_with_the_digit():
    for digit in (0, 3, 7):
        ink = _drawn_sources.glyphs("train")[digit][0].ink
        for angle in (0.0, 0.5):
            rng = np.random.default_rng(digit)
            alpha, keypoints = _drawn_page.turned(rng, ink, height=60.0, angle=angle)
            top, right, bottom, left, centre = keypoints
            np.testing.assert_allclose([(top + bottom) / 2, (left + right) / 2], [centre] * 2, 1e-6)
            # To the right is not slanted: it shows the turn, clockwise as y points down.
            assert np.arctan2(*(right - left)[::-1]) == pytest.approx(angle, abs=1e-6)
            if angle == 0:  # 0.8 of the way from the middle to the edges of the ink
                rows = np.flatnonzero((alpha > 0.5).any(axis=1))
                middle = (rows[0] + rows[-1] + 1) / 2
                assert centre[1] == pytest.approx(middle, abs=1)
                assert top[1] == pytest.approx(middle - 0.8 * 30, abs=1)
                assert len(rows) == pytest.approx(60, abs=2)


def test_most_keypoints_lie_in_their_box(some):
    # A head that looks for keypoints within a box can find no others.
    shares = []
    for _, target in some["train"]:
        x1, y1, x2, y2 = target["boxes"][:, None].unbind(-1)
        x, y, visibility = target["keypoints"].unbind(-1)
        inside = (x >= x1) & (x < x2) & (y >= y1) & (y < y2)
        shares.append(inside[visibility > 0].float())
    assert torch.cat(shares).mean() > 0.85


def test_splits_share_nothing():
    samples = {s: {g.sample for d in _drawn_sources.glyphs(s) for g in d} for s in SPLITS}
    assert (
        sum(len(mine) for mine in samples.values()) == len(set().union(*samples.values())) == 1797
    )
    photographs = [name for split in SPLITS for name in _drawn_sources.PHOTOGRAPHS[split]]
    assert len(photographs) == len(set(photographs)) == 16
    pixels = {p.tobytes() for split in SPLITS for p in _drawn_sources.photographs(split)}
    assert len(pixels) == 16
    counts = {s: [len(digit) for digit in _drawn_sources.glyphs(s)] for s in SPLITS}
    assert all(max(c) - min(c) <= 6 for c in counts.values())


def test_digits_are_balanced():
    # 300 images have some 1000 digits: each class within 5 standard deviations of a tenth.
    dataset = DrawnDigits("train", size=(64, 64), digit_size=(16, 24), length=300)
    labels = torch.cat([target["labels"] for _, target in dataset])
    counts = labels.bincount(minlength=11)
    assert counts[0] == 0
    share = len(labels) / 10
    assert (counts[1:] - share).abs().max() < 5 * share**0.5
    assert len(labels) > 2.5 * 300


def test_digits_stand_out_and_stay_visible(monkeypatch):
    # What each digit was drawn on, colour and cover, seen through the drawing itself.
    calls = []
    legible = _drawn_page._legible

    def watched(patch, ink, luma):
        calls.append(legible(patch, ink, luma))
        return calls[-1]

    monkeypatch.setattr(_drawn_page, "_legible", watched)
    dataset = DrawnDigits("test", max_digits=12, min_visible=0.8, length=20)
    seen = sum(len(target["labels"]) for _, target in dataset)
    assert sum(calls) == seen and len(calls) > seen
    ink = np.ones((4, 4), bool)
    gray = np.full((3, 4, 4), 0.5, np.float32)
    assert legible(gray, ink, 0.8) and legible(gray, ink, 0.2) and not legible(gray, ink, 0.6)


def test_a_covered_digit_keeps_its_share():
    # Squares of ink on black, as many as fit: none may lose more than a tenth.
    page = _drawn_page.Page(np.zeros((3, 60, 60), np.float32), min_visible=0.9)
    rng = np.random.default_rng(0)
    for _ in range(20):
        page.draw(rng, 1, np.ones((20, 20), np.float32), np.zeros((5, 2), np.float32))
    area = page.target(0)["area"]
    assert len(area) >= 4
    assert area.min() >= 0.9 * 400 and area.min() < 400


def test_arguments():
    assert len(DrawnDigits("train")) == 4000 and len(DrawnDigits("val", length=7)) == 7
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'dev'"):
        DrawnDigits("dev")
    with pytest.raises(TypeError, match=r"size must be \(height, width\) in pixels, got 192"):
        DrawnDigits("val", size=192)
    with pytest.raises(ValueError, match=r"digit_size must be .*got \(20.0, 64.0\) in an image of"):
        DrawnDigits("val", size=(64, 640))
    with pytest.raises(ValueError, match="max_digits must be 1 to 255, got 0"):
        DrawnDigits("val", max_digits=0)
    with pytest.raises(IndexError):
        DrawnDigits("val", length=2)[2]


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    _drawn_sources.glyphs.cache_clear()
    with pytest.raises(ImportError, match=r"sklearn is needed here: run `pip install"):
        DrawnDigits("val")[0]


def test_docs_name_each_splits_photographs():
    page = (ROOT / "docs" / "data.md").read_text()
    for split, names in _drawn_sources.PHOTOGRAPHS.items():
        assert f"| {split} | {', '.join(names)} |\n" in page


def test_example_draws_its_picture(tmp_path, monkeypatch):
    out = tmp_path / "new" / "digits.png"
    monkeypatch.setattr(sys, "argv", ["drawn_digits.py", "--out", str(out)])
    runpy.run_path(str(ROOT / "examples" / "drawn_digits.py"), run_name="__main__")
    with Image.open(out) as picture:
        assert picture.size == (6 * 192, 3 * 192)
    assert [path.name for path in out.parent.iterdir()] == ["digits.png"]
