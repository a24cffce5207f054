"""What every model is: a module with a loss, a name, and a state dict that knows other names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from fastcv.models._mode import alone
from fastcv.models._too_small import too_small
from fastcv.models._weights import read_state_dict

if TYPE_CHECKING:
    from typing_extensions import Self


class Model(nn.Module):
    """A module with ``loss``, which ``create_model`` builds and ``save_model`` writes.

    A subclass writes ``forward`` and ``loss(output, targets)``. What it predicts from is another
    class's matter: ``ImageModel`` takes pictures. A system of several players, such as a generator
    and a discriminator, also has ``players`` (see ``fastcv.learn.fit``).
    """

    classes: tuple[str, ...] = ()
    """Names by label."""

    preprocessing: Mapping[str, Any] = {}
    """What the weights say of how inputs are prepared, for ``prepare``."""

    model_name: str = ""
    model_config: Mapping[str, Any] = {}

    loss: Callable[..., dict[str, Tensor]]
    """``loss(output, targets)``: the paper's named terms, each a scalar; the sum is minimised."""

    predict: Callable[..., list[Any]]
    """``predict(inputs, *, ...)``: a result for each input, of whatever kind the model takes."""

    predict_iter: Callable[..., Iterator[tuple[Any, Any]]]
    """``predict_iter(inputs, *, on_error="raise", ...)``: the same as ``(input, result)`` one by
    one; with ``on_error="yield"`` an error in place of the result of what cannot be read."""

    predict_options: Callable[[], list[str]]
    """The names of the options that ``predict`` takes."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As of any module; what its layers say of pictures that are too small is a sentence."""
        try:
            return super().__call__(*args, **kwargs)
        except (ValueError, RuntimeError) as error:
            sentence = too_small(error, args[0] if args else None)
            if sentence is None:
                raise
            raise ValueError(sentence) from error

    def train(self, mode: bool = True) -> Self:
        """As of any module; it waits for the predictions that other threads are at."""
        with alone(self):
            return super().train(mode)

    def rename_key(self, key: str) -> str:
        """The model's key for one of a state dict; for those that other implementations name else.

        ``load_state_dict`` asks for every key, so checkpoints of either naming load.
        """
        return key

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for key in [key for key in state_dict if key.startswith(prefix)]:
            renamed = prefix + self.rename_key(key.removeprefix(prefix))
            if renamed != key:
                state_dict[renamed] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """The state dict in a file; for systems that have checkpoints of other formats, too."""
        return read_state_dict(path)


def ignore_keys(module: nn.Module, *beginnings: str) -> None:
    """Lets a module load checkpoints that have more: keys with these beginnings are dropped.

    Example:
        >>> from torch import nn
        >>> from fastcv.models._model import ignore_keys
        >>> layer, larger = nn.Linear(2, 3), nn.Linear(2, 3).state_dict()
        >>> larger["aux.weight"] = larger["weight"]
        >>> ignore_keys(layer, "aux.")
        >>> layer.load_state_dict(larger)
        <All keys matched successfully>
    """
    # A partial and no closure, so that the module can be pickled.
    hook = partial(_drop_keys, beginnings)
    module.register_load_state_dict_pre_hook(hook)  # type: ignore[no-untyped-call]  # torch's is


def _drop_keys(
    beginnings: tuple[str, ...], _: nn.Module, state: dict[str, Any], prefix: str, *_rest: Any
) -> None:
    for key in [key for key in state if key.startswith(tuple(prefix + b for b in beginnings))]:
        del state[key]
