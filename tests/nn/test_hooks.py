"""Hooks of one thread: what they see, what they change, and that they go."""

import threading

import pytest
import torch
from torch import nn

from fastcv.nn._hooks import OwnHooks


class Add(nn.Module):
    def forward(self, x, *, more=0):
        if more is None:
            raise KeyError("the module's own fault")
        return x + more


def hooks_of(module):
    return [
        len(hooks)
        for hooks in (
            module._forward_hooks,
            module._forward_hooks_always_called,
            module._forward_pre_hooks,
            module._forward_pre_hooks_with_kwargs,
        )
    ]


def test_see_and_change():
    add, seen = Add(), []
    with OwnHooks() as hooks:
        hooks.before(add, lambda args, kwargs: seen.append((args, kwargs)))
        hooks.before(add, lambda args, kwargs: ((args[0] * 2,), {"more": 5}))
        hooks.after(add, lambda args, output: seen.append((args, output)))
        hooks.after(add, lambda _, output: -output)
        assert add(3, more=1) == -11
    assert seen == [((3,), {"more": 1}), ((6,), 11)]
    assert add(3, more=1) == 4 and not any(hooks_of(add))


@pytest.mark.parametrize("always", [False, True])
def test_gone_after_an_error(always):
    add, outputs = Add(), []
    with pytest.raises(KeyError, match="own fault"), OwnHooks() as hooks:
        hooks.before(add, lambda *_: None)
        hooks.after(add, lambda _, output: outputs.append(output), always=always)
        add(3, more=None)
    assert outputs == [None] * always and not any(hooks_of(add))


def test_other_threads_are_not_seen():
    """Each of four threads counts its own calls, while all of them come and go."""
    layer, counts = nn.Linear(2, 2), {}

    def work(number):
        seen = []
        for _ in range(50):
            with OwnHooks() as hooks:
                hooks.before(layer, lambda args, _: seen.append(len(args[0])))
                hooks.after(layer, lambda _, output: seen.append(len(output)))
                layer(torch.rand(number, 2))
            layer(torch.rand(number, 2))
        counts[number] = seen

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {number: [number] * 100 for number in range(1, 5)}
    assert not any(hooks_of(layer))
