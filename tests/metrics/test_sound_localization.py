"""cIoU, consensus and AUC, by their definitions in loops."""

import itertools

import pytest
import torch

from fastcv.metrics import consensus_iou, consensus_map, sound_localization_metrics


def by_definition(scores, truth, threshold):
    low, high = min(map(min, scores)), max(map(max, scores))
    inside, beside, total = 0.0, 0, 0.0
    for row, of_truth in zip(scores, truth, strict=True):
        for score, g in zip(row, of_truth, strict=True):
            total += g
            if (score - low) / (high - low) > threshold:
                inside += g
                beside += g == 0
    return inside / (total + beside)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
def test_the_definition(threshold):
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        scores = torch.randn(6, 7, generator=generator)
        votes = torch.rand(3, 6, 7, generator=generator) > 0.6
        truth = consensus_map(votes)
        expected = by_definition(scores.tolist(), truth.tolist(), threshold)
        assert consensus_iou(scores, truth, threshold) == pytest.approx(expected, abs=1e-9)
        # Neither a scale nor a shift of the scores matters.
        assert consensus_iou(3 * scores + 2, truth, threshold) == pytest.approx(expected, abs=1e-4)


def test_consensus_of_three():
    """One of three is half sure, two are sure, and so are three."""
    votes = torch.tensor([[[1, 1, 1, 0]], [[0, 1, 1, 0]], [[0, 0, 1, 0]]]).bool()
    assert consensus_map(votes).tolist() == [[0.5, 1, 1, 0]]
    assert consensus_map(votes, consensus=3)[0, 1] == pytest.approx(2 / 3)


def test_a_flat_map_finds_nothing():
    truth = torch.tensor([[1.0, 0.0]])
    assert consensus_iou(torch.full((1, 2), 0.7), truth) == 0


def test_success_and_the_area():
    """Overlaps of 1, 1/2 and 0: .5 is no success; the curve is 2/3 below .5, then 1/3."""
    truth = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    right, half, wrong = (
        torch.tensor([row]) for row in ([1.0, 0, 0, 0], [1.0, 1, 0, 0], [0.0, 0, 1, 0])
    )
    found = sound_localization_metrics([right, half, wrong], [truth] * 3)
    assert found["cIoU@.5"] == pytest.approx(1 / 3)
    curve = [2 / 3 if step < 10 else 1 / 3 if step < 20 else 0 for step in range(21)]
    area = sum((a + b) / 2 / 20 for a, b in itertools.pairwise(curve))
    assert found["AUC"] == pytest.approx(area)
    assert found["AUC"] == pytest.approx(0.5, abs=0.05)  # the mean cIoU, but for the steps


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: consensus_map(torch.rand(3, 2, 2)), r"annotations must be bool \[A, H, W\], got"),
        (lambda: consensus_map(torch.ones(3, 2, 2).bool(), 0), "consensus must be at least 1"),
        (lambda: consensus_iou(torch.rand(2, 2), torch.ones(2, 3)), "of one size, got"),
        (lambda: consensus_iou(torch.rand(2, 2), torch.zeros(2, 2)), "truth must have a source"),
        (lambda: consensus_iou(torch.rand(2, 2), torch.ones(2, 2), 1.0), r"threshold must be in"),
        (lambda: sound_localization_metrics([], []), "got 0 maps and 0 truths"),
        (lambda: sound_localization_metrics([torch.rand(2, 2)], []), "got 1 maps and 0 truths"),
    ],
)
def test_what_cannot_be(call, words):
    with pytest.raises(ValueError, match=words):
        call()
