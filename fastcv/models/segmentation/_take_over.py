"""Weights of a classifier in a network that is all convolutions."""

from __future__ import annotations

from torch import nn


def take_over(model: nn.Module, trained: nn.Module, new: tuple[str, ...]) -> None:
    """Copies the weights that two models share.

    A classifier's first two fully connected layers are the convolutions ``fc6`` and ``fc7`` of the
    other: the same numbers, for maps of the size that the classifier has.

    Args:
        model: gets them.
        trained: a classifier with ``features`` and ``classifier``, or a model like ``model``.
        new: how names of layers begin that may lack in ``trained``, or be of another size there.

    Raises:
        ValueError: another layer lacks, or is of another size.
    """
    state = trained.state_dict()
    linear = [
        key for key, value in state.items() if key.startswith("classifier.") and value.ndim == 2
    ]
    for name, weight in zip(("fc6", "fc7"), linear, strict=False):
        state[f"{name}.weight"] = state[weight]
        state[f"{name}.bias"] = state[weight.replace("weight", "bias")]
    shared = {}
    for key, value in model.state_dict().items():
        if key in state and state[key].numel() == value.numel():
            shared[key] = state[key].view_as(value)
        elif not key.startswith(new):
            got = list(state[key].shape) if key in state else "missing"
            raise ValueError(
                f"trained must have the same layers as {type(model).__name__}: of "
                f"{type(trained).__name__} {key} is {got}, must be {list(value.shape)}"
            )
    model.load_state_dict(shared, strict=False)
