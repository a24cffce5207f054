"""Hard attention: a look at one place, which is drawn, and so is learnt by REINFORCE."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

EXPECTATION = 0.5  # how often a caption is read with the weighted sum in place of a drawn cell
KEPT = 0.9  # of the baseline, at each step of the training
REWARD = 1.0  # weight of the term that learns from rewards
ENTROPY = 0.002  # weight of the entropy; of the authors' code


@dataclass
class Reinforce:
    """What was drawn of a batch, and what it costs.

    A caption's reward is its log-probability, given what was looked at. Where it is above the
    baseline, a moving average, the cells that were drawn become more likely.

    Args:
        drawn: ``[B]`` bool: which captions look at drawn cells; the others at the expectation,
            which makes the gradient less noisy.
        log_probs: for each word ``[B]``, of the cell that was drawn.
        entropies: for each word ``[B]``, of the weights.

    Source: Xu et al. (2015), section 4.1: equations 11 and 12, and the text behind them.
    """

    drawn: Tensor
    log_probs: list[Tensor] = field(default_factory=list)
    entropies: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, batch: int, device: torch.device) -> Reinforce:
        """Chooses which captions of a batch look at drawn cells."""
        return cls(torch.rand(batch, device=device) >= EXPECTATION)

    def loss(
        self, logits: Tensor, words: Tensor, counts: Tensor, baseline: Tensor
    ) -> dict[str, Tensor]:
        """The terms, each divided by the number of words; and a step of the baseline.

        Args:
            logits: ``[B, T, V]``.
            words: ``[B, T]``, the right ones.
            counts: ``[B, T]`` bool, which of them are no padding.
            baseline: a number, changed in place.

        Returns:
            ``nll``, ``reinforce`` and ``entropy``. The value of ``reinforce`` means nothing: its
            gradient does.
        """
        said = -F.cross_entropy(logits.transpose(1, 2), words, reduction="none") * counts
        number = counts.sum()
        reward = said.sum(dim=1).detach()
        of_drawn = (torch.stack(self.log_probs, 1) * counts).sum(dim=1) * self.drawn
        entropy = (torch.stack(self.entropies, 1) * counts).sum()
        terms = {
            "nll": -said.sum() / number,
            "reinforce": -REWARD * ((reward - baseline) * of_drawn).sum() / number,
            "entropy": -ENTROPY * entropy / number,
        }
        baseline.mul_(KEPT).add_((1 - KEPT) * reward.mean())
        return terms


def look_hard(weights: Tensor, draws: Reinforce) -> Tensor:
    """One-hot rows where a cell is drawn, the weights themselves elsewhere.

    Args:
        weights: ``[B, L]``, which add up to 1.
        draws: gets what was drawn.
    """
    cells = torch.multinomial(weights.detach(), 1)
    logs = weights.clamp(min=1e-12).log()
    draws.log_probs.append(logs.gather(1, cells)[:, 0])
    draws.entropies.append(-(weights * logs).sum(dim=1))
    hard = F.one_hot(cells[:, 0], weights.shape[1]).to(weights)
    return torch.where(draws.drawn[:, None], hard, weights)
