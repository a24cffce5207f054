"""SoundNet: convolutions on raw waveforms, taught by what image classifiers say of the frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.audio._sound_model import SoundModel
from fastcv.nn.losses._tensors import check_two_tensors
from fastcv.results import Classification, SoundClasses
from fastcv.sounds import Sound

RATE = 22050  # Hz
SCALE = 256.0  # of samples in [-1, 1]
KERNELS = (64, 32, 16, 8, 4, 4, 4)  # of conv1 to conv7; stride 2, padding of half a kernel
POOLED = (1, 2, 5)  # the convolutions with a max pool behind them
POOLS = (8, 8, 4)  # kernels and strides of those
HEAD_KERNEL, STRIDE = 8, 2
LOSS_WEIGHT = 250.0  # lambda
OF_HEADS = {"conv8": "conv8_objs", "conv8_2": "conv8_scns"}  # in ports that number them


class SoundLogits(NamedTuple):
    """What the two heads say at each time step.

    Args:
        objects: ``[B, num_classes, T]``.
        scenes: ``[B, num_scenes, T]``.
    """

    objects: Tensor
    scenes: Tensor


class SoundNet(SoundModel):
    """Seven convolutions with batch norms and ReLUs, and two heads of one convolution each.

    20 s of sound are four time steps. What ``pool5`` has serves other tasks.

    Args:
        num_classes: objects, the first head.
        num_scenes: the second head.
        width: channels of the first convolution; each next one doubles them.
        pools: kernels of the max pools behind conv1, conv2 and conv5.
        head_kernel: of both heads; smaller ones take shorter sounds.
        rate: samples a second that the weights are for, in Hz.

    Source: Aytar, Vondrick and Torralba, "SoundNet: Learning Sound Representations from Unlabeled
        Video" (2016), table 1 (eight layers) and section 3.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("soundnet8", width=2).eval()
        >>> waves = torch.rand(1, 441000) * 2 - 1  # 20 s
        >>> output = model(waves)
        >>> output.objects.shape, output.scenes.shape
        (torch.Size([1, 1000, 4]), torch.Size([1, 401, 4]))
        >>> model.features(waves, "pool5").shape
        torch.Size([1, 32, 54])
    """

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        num_scenes: int = 401,
        width: int = 16,
        pools: Sequence[int] = POOLS,
        head_kernel: int = HEAD_KERNEL,
        rate: int = RATE,
    ) -> None:
        super().__init__()
        if len(pools) != len(POOLED):
            raise ValueError(f"pools must be {len(POOLED)} numbers, got {list(pools)}")
        self.rate, self.head_kernel = rate, head_kernel
        self.pools = dict(zip(POOLED, pools, strict=True))
        channels = 1
        for number, kernel in enumerate(KERNELS, 1):
            more = width * 2 ** (number - 1)
            conv = nn.Conv1d(channels, more, kernel, STRIDE, kernel // 2)
            setattr(self, f"conv{number}", conv)
            setattr(self, f"batchnorm{number}", nn.BatchNorm1d(more))
            channels = more
        self.conv8_objs = nn.Conv1d(channels, num_classes, head_kernel, STRIDE)
        self.conv8_scns = nn.Conv1d(channels, num_scenes, head_kernel, STRIDE)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # all have one
            elif isinstance(module, nn.BatchNorm1d):
                nn.init.normal_(module.weight, mean=1.0, std=0.02)
        self.classes = default_classes("imagenet", num_classes)
        self.scenes = tuple(f"scene {i}" for i in range(num_scenes))

    @property
    def layers(self) -> tuple[str, ...]:
        """What ``features`` takes, from the waveform to the heads."""
        names = []
        for number in range(1, len(KERNELS) + 1):
            names += [f"conv{number}", *[f"pool{number}"] * (number in self.pools)]
        return (*names, "objects", "scenes")

    def min_samples(self, layer: str = "objects") -> int:
        """How many samples a sound must have for one time step of a layer."""
        self._check_layer(layer)
        length = self.head_kernel if layer in ("objects", "scenes") else 1
        names = self.layers[: self.layers.index(layer) + 1]
        for name in reversed([n for n in names if n not in ("objects", "scenes")]):
            pooled = name.startswith("pool")
            length = length * self.pools[int(name[-1])] if pooled else STRIDE * (length - 1)
            length = max(length, 1)
        return length

    def forward(self, waves: Tensor) -> SoundLogits:
        """Logits of waveforms ``[B, N]`` in [-1, 1] at ``rate``.

        Raises:
            ValueError: waves of another shape, or shorter than one time step.
        """
        maps = self._run(waves, "objects")
        return SoundLogits(self.conv8_objs(maps), self.conv8_scns(maps))

    def features(self, waves: Tensor, layer: str = "pool5") -> Tensor:
        """What a layer has of waveforms, for another task.

        Args:
            waves: ``[B, N]`` in [-1, 1] at ``rate``.
            layer: one of ``layers``: convolutions behind their norms and ReLUs, pools, and the
                heads' logits.

        Returns:
            ``[B, channels, time]``.

        Raises:
            ValueError: no such layer, waves of another shape, or shorter than one time step.
        """
        maps = self._run(waves, layer)
        heads = {"objects": self.conv8_objs, "scenes": self.conv8_scns}
        return heads[layer](maps) if layer in heads else maps

    def _run(self, waves: Tensor, layer: str) -> Tensor:
        """The maps of a layer, of a head those that it takes."""
        if waves.ndim != 2:
            raise ValueError(f"waves must be [B, N], got {list(waves.shape)}")
        self._check_length(waves.shape[1], layer)
        x = waves[:, None] * SCALE
        for number in range(1, len(KERNELS) + 1):
            x = self.get_submodule(f"conv{number}")(x)
            x = F.relu(self.get_submodule(f"batchnorm{number}")(x))
            if layer == f"conv{number}":
                break
            if number in self.pools:
                x = F.max_pool1d(x, self.pools[number])
            if layer == f"pool{number}":
                break
        return x

    def loss(self, output: SoundLogits, targets: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """How far the student's answers are from the teachers': KL(teacher || student) of each
        head, averaged over time and batch, times 250.

        Args:
            output: what ``forward`` returned.
            targets: the teachers' probabilities, ``[B, num_classes, T]`` and ``[B, num_scenes,
                T]``.

        Raises:
            TypeError: targets that are no two tensors.
            ValueError: targets of another shape, or no probabilities.
        """
        check_two_tensors("targets", targets, "two tensors, of objects and of scenes")
        losses = {}
        for name, logits, teacher in zip(SoundLogits._fields, output, targets, strict=True):
            if teacher.shape != logits.shape or not teacher.is_floating_point():
                raise ValueError(
                    f"targets of {name} must be floating {list(logits.shape)}, got "
                    f"{teacher.dtype} {list(teacher.shape)}"
                )
            if not bool((teacher >= 0).all() & ((teacher.sum(dim=1) - 1).abs() < 1e-2).all()):
                raise ValueError(f"targets of {name} must be probabilities that add up to 1")
            apart = F.kl_div(logits.log_softmax(dim=1), teacher, reduction="none")
            losses[name] = LOSS_WEIGHT * apart.sum(dim=1).mean()
        return losses

    def as_wave(self, sound: Sound) -> Tensor:
        """``[N]`` at ``rate``, on the model's device and in its dtype.

        Raises:
            ValueError: it is shorter than one time step.
        """
        wave = super().as_wave(sound)
        self._check_length(len(wave), "objects")
        return wave

    def prepare(self, waves: list[Tensor]) -> Tensor:
        """Waveforms of one length as a batch.

        Raises:
            ValueError: of several lengths; silence behind the shorter ones would be heard.
        """
        lengths = sorted({len(wave) for wave in waves})
        if len(lengths) > 1:
            raise ValueError(
                f"sounds of a batch must have one length, got {lengths[0]} to {lengths[-1]} "
                "samples: pass batch_size=1"
            )
        return torch.stack(waves)

    def postprocess(self, output: SoundLogits) -> list[SoundClasses]:
        """Both heads' probabilities, averaged over time, for each sound."""
        objects, scenes = (logits.softmax(dim=1).mean(dim=2) for logits in output)
        return [
            SoundClasses(Classification(o, self.classes), Classification(s, self.scenes))
            for o, s in zip(objects, scenes, strict=True)
        ]

    def rename_key(self, key: str) -> str:
        """Of ports whose blocks are ``conv1.0`` and ``conv1.1``, the heads ``conv8`` and
        ``conv8_2``."""
        block, _, rest = key.partition(".")
        part, _, name = rest.partition(".")
        if not part.isdigit():
            return key
        if block in OF_HEADS:
            return f"{OF_HEADS[block]}.{name}"
        return f"batchnorm{block.removeprefix('conv')}.{name}" if part == "1" else f"{block}.{name}"

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # Ports have convolutions of pictures that are one pixel wide.
        for key, value in list(state_dict.items()):
            if key.startswith(prefix) and value.ndim == 4 and 1 in value.shape[2:]:
                state_dict[key] = value.flatten(2)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _check_length(self, samples: int, layer: str) -> None:
        least = self.min_samples(layer)
        if samples < least:
            raise ValueError(
                f"a sound must be at least {least / self.rate:.2f} s ({least} samples at "
                f"{self.rate} Hz) for one time step of {layer}, got {samples} samples"
            )

    def _check_layer(self, layer: str) -> None:
        if layer not in self.layers:
            raise ValueError(f"layer must be one of {', '.join(self.layers)}, got {layer!r}")


@register("soundnet8", task="sound")
def soundnet8(**config: Any) -> SoundNet:
    """SoundNet of eight layers; ``config``: what ``SoundNet`` takes."""
    return SoundNet(**config)
