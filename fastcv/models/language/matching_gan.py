"""The players of a text-to-image GAN, whose discriminator knows which text is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.language import tokenize
from fastcv.models.generative.gan import GAN
from fastcv.models.language._text_to_image import TextToImage
from fastcv.nn.losses.adversarial import NonSaturating


class MatchingGAN(GAN):
    """GAN-CLS: the discriminator refuses made pictures, and real ones with a wrong text.

    Without the second kind it could only learn that made pictures do not look real, and the
    generator would never be told that a picture does not show what the text says. With
    ``interpolation`` the generator must also please the discriminator with texts between two texts
    of the batch (GAN-INT).

    Targets name the right texts of each picture, all that are known: a text of another picture is
    taken as a wrong one only if it is not among them. In each step one right text is drawn for a
    picture, and one wrong.

    Texts that say three things of a picture mostly differ in all of them, and a discriminator gets
    along with the easiest. With ``nearest_of`` several wrong texts are drawn, and the one whose
    vector is nearest to that of the right text is taken.

    Args:
        generator: from latents and vectors of texts to pictures.
        discriminator: from pictures ``[B, 3, H, W]`` and vectors of texts ``[B, D]`` to scores
            ``[B]``; and with several texts each, ``[K, B, D]``, to scores ``[K, B]``.
        interpolation: how much of the first of two texts is in the mixture, the paper's beta;
            None: no mixtures.
        nearest_of: how many wrong texts are drawn for a picture; 1 is the paper.

    Raises:
        ValueError: ``interpolation`` is not 0 to 1, or ``nearest_of`` under 1.

    Source: Reed et al., "Generative Adversarial Text to Image Synthesis" (2016), algorithm 1 and
        equation 5.

    Example:
        >>> import torch
        >>> from fastcv.models.language.gan_cls import GANCLS
        >>> gan = GANCLS(["red", "blue", "seven"], size=8, width=4).gan()
        >>> real = gan(torch.rand(4, 3, 8, 8))
        >>> texts = [["red seven", "seven in red"], ["blue seven"], ["red"], ["blue"]]
        >>> list(gan.loss(real, texts, player="discriminator"))
        ['real', 'fake', 'wrong text']
        >>> list(gan.loss(real, texts, player="generator"))
        ['score', 'between texts']
    """

    generator: TextToImage

    def __init__(
        self,
        generator: TextToImage,
        discriminator: nn.Module,
        *,
        interpolation: float | None = 0.5,
        nearest_of: int = 1,
    ) -> None:
        if nearest_of < 1:
            raise ValueError(f"nearest_of must be at least 1, got {nearest_of}")
        if interpolation is not None and not 0 <= interpolation <= 1:
            raise ValueError(f"interpolation must be 0 to 1, or None, got {interpolation}")
        super().__init__(generator, discriminator, NonSaturating(), penalty=0, drift=0)
        self.interpolation, self.nearest_of = interpolation, nearest_of

    def loss(self, output: Tensor, targets: Any, *, player: str) -> dict[str, Tensor]:
        """The terms of one player.

        Args:
            output: of ``forward``, ``[B, 3, H, W]``.
            targets: the right texts of each picture: ``[["a red seven", ...], ...]``; a string in
                place of a list where there is one; or vectors ``[B, D]``, or ``[B, K, D]`` of K
                right texts each.
            player: ``"discriminator"`` or ``"generator"``.

        Raises:
            ValueError: another player, or not one target for each picture, or a text that
                ``embed`` refuses.
            TypeError: targets that are neither texts nor vectors.
        """
        self.check_player(player)
        vectors, kinds, owners = self._texts(targets, len(output))
        right = vectors[kinds[_draw(owners)[:, 0]]]
        if player == "generator":
            return self._terms_of_generator(output, right)
        with torch.no_grad():
            fake = self.generator(self.random_latents(output), right)
        allowed = wrong_texts(kinds, owners)
        has_wrong = allowed.any(dim=1)
        # Where all texts of the batch are right, any text stands in, and does not count.
        drawn = vectors[kinds[_draw(allowed | ~has_wrong[:, None], self.nearest_of)]]
        near = nn.functional.cosine_similarity(drawn, right[:, None], dim=2).argmax(dim=1)
        wrong = drawn[torch.arange(len(drawn), device=drawn.device), near]
        real, mismatched = self.discriminator(output, torch.stack([right, wrong]))
        terms = self.adversarial.discriminator(real, self.discriminator(fake, right))
        refused = nn.functional.softplus(mismatched) * has_wrong
        return {
            "real": terms["real"],
            "fake": terms["fake"] / 2,
            "wrong text": refused.sum() / has_wrong.sum().clamp(min=1) / 2,
        }

    def _terms_of_generator(self, output: Tensor, right: Tensor) -> dict[str, Tensor]:
        fake = self.generator(self.random_latents(output), right)
        terms = {"score": self.adversarial.generator(self.discriminator(fake, right))}
        half = len(right) // 2
        if self.interpolation is not None and half:
            # Of the order of a batch nothing is known: its halves are pairs drawn at random.
            mixed = torch.lerp(right[half : 2 * half], right[:half], self.interpolation)
            made = self.generator(self.random_latents(mixed), mixed)
            terms["between texts"] = self.adversarial.generator(self.discriminator(made, mixed))
        return terms

    def _texts(self, targets: Any, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The different texts' vectors ``[U, D]``; of all M texts which of them they are, ``[M]``;
        and ``[B, M]``, which picture's they are."""
        if isinstance(targets, Tensor):
            if targets.ndim not in (2, 3):
                raise ValueError(f"targets must be [B, D] or [B, K, D], got {list(targets.shape)}")
            numbers = [targets.shape[1] if targets.ndim == 3 else 1] * len(targets)
            flat = targets.flatten(0, -2)
            vectors, kinds = torch.unique(flat, dim=0, return_inverse=True)
            vectors = self.generator.embed(vectors)
        else:
            lists = _as_lists(targets)
            numbers = [len(texts) for texts in lists]
            said = {" ".join(tokenize(text)): text for texts in lists for text in texts}
            places = {words: i for i, words in enumerate(said)}
            kinds = torch.tensor(
                [places[" ".join(tokenize(text))] for texts in lists for text in texts]
            )
            vectors = self.generator.embed(list(said.values()))
        if len(numbers) != count:
            raise ValueError(
                f"targets must be the texts of {count} pictures, got those of {len(numbers)}"
            )
        owner = torch.repeat_interleave(torch.tensor(numbers, device=kinds.device))
        owners = owner == torch.arange(count, device=kinds.device)[:, None]
        return vectors, kinds.to(vectors.device), owners.to(vectors.device)


def wrong_texts(kinds: Tensor, owners: Tensor) -> Tensor:
    """Which texts of a batch are wrong for which picture: those that are none of its own.

    Args:
        kinds: ``[M]`` int64; equal texts have the same number.
        owners: ``[B, M]`` bool, which texts are whose.

    Returns:
        ``[B, M]`` bool.

    Example:
        >>> import torch
        >>> from fastcv.models.language.matching_gan import wrong_texts
        >>> owners = torch.tensor([[True, True, False, False], [False, False, True, True]])
        >>> wrong_texts(torch.tensor([5, 6, 6, 7]), owners)  # both pictures may be called 6
        tensor([[False, False, False,  True],
                [ True, False, False, False]])
    """
    same = kinds[:, None] == kinds
    return ~(owners.float() @ same.float()).bool()


def _draw(allowed: Tensor, count: int = 1) -> Tensor:
    """``[B, count]``: of each row ``[B, M]`` places that are allowed, drawn with replacement."""
    return torch.multinomial(allowed.float(), count, replacement=True)


def _as_lists(targets: Any) -> list[list[str]]:
    """The texts of each picture.

    Raises:
        TypeError: it is something else.
        ValueError: a picture has no text.
    """
    if not isinstance(targets, Sequence) or isinstance(targets, str):
        raise TypeError(
            "targets must be the texts of each picture, or a tensor of their vectors, got "
            f"{type(targets).__name__}"
        )
    lists = [[texts] if isinstance(texts, str) else texts for texts in targets]
    for i, texts in enumerate(lists):
        if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"targets must be strings, or lists of them, got {texts!r:.60}")
        if not texts:
            raise ValueError(f"targets must name a text for each picture, picture {i} has none")
    return [list(texts) for texts in lists]
