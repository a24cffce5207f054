"""Where in a picture a sound comes from: a map of inner products, learnt with labels or without."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models._registry import register
from fastcv.models.audio._localizer import SoundLocalizer
from fastcv.models.audio.soundnet import SoundNet
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.losses._tensors import check_tensor

Supervision = Literal["unsupervised", "supervised", "semi"]
SUPERVISIONS: tuple[Supervision, ...] = ("unsupervised", "supervised", "semi")
LAYERS = 29  # of VGG-16, up to conv5_3 and without its ReLU
STRIDE = 16
OF_OTHERS = "vision_embedding_model.feature_extraction."  # the trunk in the authors' checkpoints


class SoundsAndPictures(NamedTuple):
    """What ``forward`` takes.

    Args:
        images: ``[B, 3, H, W]``, prepared; sides are multiples of 16.
        sounds: ``[B, sound_size]``, the sounds' features: see ``SoundLocalization``.
        others: ``[B, sound_size]``, the features of sounds that do not belong to the pictures;
            None: each picture's is the one before it in the batch, the first's the last.
    """

    images: Tensor
    sounds: Tensor
    others: Tensor | None = None


class Localized(NamedTuple):
    """What ``forward`` returns.

    Args:
        scores: ``[B, h, w]``, cosines of the sound's embedding and each cell's, 0 where negative.
        maps: ``[B, h, w]``, their softmax over all cells.
        attended: ``[B, sound_size]``, z: what is seen where the map is, as a sound's feature.
        sounds, others: the features that z is compared with.
    """

    scores: Tensor
    maps: Tensor
    attended: Tensor
    sounds: Tensor
    others: Tensor


class SoundLocalization(SoundLocalizer):
    """Two streams that meet in a map of cosines; one network, three ways to learn.

    The picture goes through VGG-16 up to conv5_3, the sound's feature through two layers. The map
    says how alike the two are in each cell. Without labels, what the map picks out of the picture
    must be nearer to the picture's sound than to another one. With labels, the map must be the
    annotators'. VGG-16 and SoundNet are frozen.

    The sound's feature is what the layer ``objects`` of SoundNet has, averaged over time: logits,
    not probabilities.

    Args:
        supervision: ``"unsupervised"``, ``"supervised"``, or ``"semi"`` for both terms.
        sound_net: hold a SoundNet, so that ``predict`` takes sounds; without one ``forward`` takes
            features of your own, and ``model.sound_net`` may be set later.
        sound_size: of the sounds' features, SoundNet's objects.
        width: channels of VGG's first stage.
        sound_width: channels of SoundNet's first convolution.
        sound_options: what else ``SoundNet`` is built with.

    Source: Senocak et al., "Learning to Localize Sound Source in Visual Scenes" (2018), section 3.

    Example:
        >>> import fastcv, torch
        >>> from fastcv.models.audio.sound_localization import SoundsAndPictures
        >>> model = fastcv.create_model("sound_localization", width=4, sound_width=2)
        >>> batch = SoundsAndPictures(torch.rand(2, 3, 320, 320), torch.randn(2, 1000))
        >>> found = model(batch)
        >>> found.maps.shape, [round(total, 4) for total in found.maps.sum((1, 2)).tolist()]
        (torch.Size([2, 20, 20]), [1.0, 1.0])
    """

    def __init__(
        self,
        *,
        supervision: Supervision = "semi",
        sound_net: bool = True,
        sound_size: int = 1000,
        width: int = 64,
        sound_width: int = 16,
        sound_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if supervision not in SUPERVISIONS:
            raise ValueError(
                f"supervision must be one of {', '.join(SUPERVISIONS)}, got {supervision!r}"
            )
        self.supervision = supervision
        trunk = VGGTrunk(16, width=width)
        channels = trunk.out_channels[-1]
        self.vision = trunk.features[:LAYERS]
        self.sound_fc1 = nn.Linear(sound_size, sound_size)
        self.sound_fc2 = nn.Linear(sound_size, channels)
        self.vision_fc1 = nn.Linear(channels, channels)
        self.vision_fc2 = nn.Linear(channels, sound_size)
        self.vision.requires_grad_(False)  # no norm and no dropout: that is all it takes
        self.sound_net: SoundNet | None = None
        if sound_net:
            self.sound_net = SoundNet(
                num_classes=sound_size, width=sound_width, **(sound_options or {})
            )
            self.sound_net.requires_grad_(False)  # ``sound_features`` runs it in eval mode

    def make_batch(self, images: Tensor, sounds: Tensor) -> SoundsAndPictures:
        """What ``forward`` takes, of prepared images and sounds' features."""
        return SoundsAndPictures(images, sounds)

    def forward(self, batch: SoundsAndPictures) -> Localized:
        """The maps, and what the unsupervised loss compares.

        Raises:
            TypeError: no ``SoundsAndPictures``.
            ValueError: images or features of another shape.
        """
        self._check(batch)
        seen = self.vision(batch.images)
        embedded = self.sound_fc2(F.relu(self.sound_fc1(F.relu(batch.sounds))))
        cosines = torch.einsum("bchw,bc->bhw", F.normalize(seen, dim=1), F.normalize(embedded))
        scores = F.relu(cosines)
        maps = scores.flatten(1).softmax(dim=1).view_as(scores)
        attended = F.relu(torch.einsum("bchw,bhw->bc", seen, maps))
        attended = self.vision_fc2(F.relu(self.vision_fc1(attended)))
        others = batch.sounds.roll(1, dims=0) if batch.others is None else batch.others
        return Localized(scores, maps, attended, batch.sounds, others)

    def loss(self, output: Localized, targets: Tensor | None = None) -> dict[str, Tensor]:
        """The terms of ``supervision``; ``"semi"`` is their sum.

        ``unsupervised``: ``mean((softmax(d, d') - (0, 1))^2)``; d and d' are the distances of z to
        the picture's sound and to another one. ``supervised``: the cross-entropy of the map with
        the annotators', a mean over the whole batch.

        Args:
            output: what ``forward`` returned.
            targets: ``[B, h, w]`` floating, 0 or more: the annotators' maps, which are divided by
                their sums. One of zeros is of a picture without annotations: it does not count.
                Not looked at where the supervision is ``"unsupervised"``.

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape or below 0; or a batch of one sound, which no other
                can be compared with.
        """
        losses = {}
        if self.supervision != "supervised":
            losses["unsupervised"] = self._unsupervised(output)
        if self.supervision != "unsupervised":
            losses["supervised"] = self._supervised(output.maps, targets)
        return losses

    @staticmethod
    def _unsupervised(output: Localized) -> Tensor:
        if len(output.sounds) == 1 and torch.equal(output.sounds, output.others):
            raise ValueError("a batch must have two sounds or more: each is compared with another")
        distances = torch.stack(
            [
                F.pairwise_distance(output.attended, sounds)
                for sounds in (output.sounds, output.others)
            ],
            dim=1,
        )
        ideal = distances.new_tensor([0.0, 1.0])
        return (distances.softmax(dim=1) - ideal).square().mean()

    @staticmethod
    def _supervised(maps: Tensor, targets: object) -> Tensor:
        check_tensor("targets", targets)
        assert isinstance(targets, Tensor)
        if targets.shape != maps.shape or not targets.is_floating_point():
            raise ValueError(
                f"targets must be floating {list(maps.shape)}, a map for each picture, got "
                f"{targets.dtype} {list(targets.shape)}"
            )
        if not bool((targets >= 0).all()):
            raise ValueError(f"targets must be 0 or more, got {float(targets.min())}")
        totals = targets.sum(dim=(1, 2), keepdim=True)
        shares = targets / torch.where(totals > 0, totals, 1)
        return -(shares * maps.log()).sum(dim=(1, 2)).mean()

    def rename_key(self, key: str) -> str:
        """The trunk's keys of the authors' checkpoints."""
        return key.replace(OF_OTHERS, "vision.")

    def _check(self, batch: object) -> None:
        if not isinstance(batch, SoundsAndPictures):
            raise TypeError(f"batch must be SoundsAndPictures, got {type(batch).__name__}")
        images, sounds, others = batch
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < STRIDE:
            raise ValueError(
                f"images must be [B, 3, H, W] with sides of {STRIDE} or more, got "
                f"{list(images.shape)}"
            )
        expected = [len(images), self.sound_fc1.in_features]
        for name, given in (("sounds", sounds), ("others", others)):
            if given is not None and list(given.shape) != expected:
                raise ValueError(f"{name} must be {expected}, got {list(given.shape)}")


@register("sound_localization", task="sound_localization")
def sound_localization(**config: Any) -> SoundLocalization:
    """Sound localisation; ``config``: what ``SoundLocalization`` takes."""
    return SoundLocalization(**config)
