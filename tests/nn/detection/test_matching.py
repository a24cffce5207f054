"""Matcher on matrices made by hand; the sampler by counting."""

import pytest
import torch

from fastcv.nn.detection.matching import BELOW, BETWEEN, BalancedSampler, Matcher, MultiBoxMatcher

IOU = torch.tensor(
    [
        # object 0 has no candidate above 0.7; two share its best overlap
        [0.50, 0.50, 0.10, 0.00, 0.00, 0.20],
        [0.00, 0.60, 0.90, 0.70, 0.29, 0.30],
    ]
)


def test_thresholds():
    want = [BETWEEN, BETWEEN, 1, 1, BELOW, BETWEEN]
    assert Matcher(0.7, 0.3)(IOU).tolist() == want


def test_every_object_keeps_its_best_candidates():
    # Candidate 1 is one of object 0's best, and goes to the object it overlaps most itself.
    want = [0, 1, 1, 1, BELOW, BETWEEN]
    assert Matcher(0.7, 0.3, allow_low_quality_matches=True)(IOU).tolist() == want


def test_an_object_without_overlap_takes_nothing():
    iou = torch.tensor([[0.0, 0.0, 0.0], [0.8, 0.1, 0.0]])
    assert Matcher(0.7, 0.3, allow_low_quality_matches=True)(iou).tolist() == [1, BELOW, BELOW]


@pytest.mark.parametrize("low_quality", [False, True])
def test_nothing(low_quality):
    matcher = Matcher(0.5, 0.5, allow_low_quality_matches=low_quality)
    assert matcher(torch.zeros(0, 3)).tolist() == [BELOW] * 3
    assert matcher(torch.zeros(2, 0)).shape == (0,)


def test_each_object_claims_one_prior():
    iou = torch.tensor(
        [
            [0.6, 0.4, 0.55, 0.1, 0.0],
            [0.2, 0.1, 0.30, 0.3, 0.0],  # below the threshold: it claims the first of its best
            [0.7, 0.0, 0.00, 0.0, 0.0],
            [0.0, 0.0, 0.00, 0.0, 0.0],  # nowhere
        ]
    )
    # Objects 0 and 2 claim prior 0, the later has it; prior 2 goes to 1, though 0 overlaps it more.
    assert MultiBoxMatcher(0.5)(iou).tolist() == [2, BELOW, 1, BELOW, BELOW]
    assert MultiBoxMatcher(0.5)(iou[:1]).tolist() == [0, BELOW, 0, BELOW, BELOW]


def test_an_object_claims_no_prior_that_it_overlaps_less():
    iou = torch.tensor([[0.19, 0.1, 0.0], [0.0, 0.2, 0.1], [0.3, 0.0, 0.4]])
    for min_claim, expected in (
        (0.0, [0, 1, 2]),
        (0.19, [0, 1, 2]),
        (0.2, [BELOW, 1, 2]),
        (0.3, [BELOW, BELOW, 2]),
    ):
        assert MultiBoxMatcher(0.35, min_claim)(iou).tolist() == expected
    assert MultiBoxMatcher(0.35, 0.9)(iou).tolist() == [BELOW, BELOW, 2]  # not claimed, matched


def test_priors_without_objects():
    assert MultiBoxMatcher(0.5)(torch.zeros(0, 3)).tolist() == [BELOW] * 3
    assert MultiBoxMatcher(0.5)(torch.zeros(2, 0)).shape == (0,)


@pytest.mark.parametrize(
    ("positives", "negatives", "want"),
    [(10, 50, (4, 12)), (1, 50, (1, 15)), (10, 3, (4, 3)), (0, 50, (0, 16)), (0, 0, (0, 0))],
)
def test_sampler_fills_up_with_background(positives, negatives, want):
    labels = torch.cat([torch.full((positives,), 7), torch.zeros(negatives), torch.full((5,), -1)])
    labels = labels[torch.randperm(len(labels))]
    positive, negative = BalancedSampler(16, 0.25)(labels)
    assert (len(positive), len(negative)) == want
    assert (labels[positive] == 7).all() and (labels[negative] == 0).all()
    assert len(positive.unique()) == len(positive) and len(negative.unique()) == len(negative)


def test_sampler_draws_all_alike():
    labels = torch.tensor([1] * 10 + [0] * 10)
    torch.manual_seed(0)
    drawn = torch.zeros(20)
    for _ in range(400):
        drawn[torch.cat(BalancedSampler(10, 0.5)(labels))] += 1
    # Each is in half of the samples: 200, standard deviation 10.
    assert drawn.min() > 150 and drawn.max() < 250
