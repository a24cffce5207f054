"""Units set to 0 or high: what changes, where, and that nothing is left behind."""

import threading

import pytest
import torch
from planted_units import CELLS, GREEN, RED, SCALE, Planted, label
from small_models import make_small

from fastcv.explain import edit_units, receptive_field, unit_quantiles

SIDE = CELLS * SCALE


def planted():
    torch.manual_seed(0)
    return Planted()


def square(top, left, side, size=SIDE):
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[top : top + side, left : left + side] = True
    return mask


def state_of(model):
    return {name: (id(t), t.clone()) for name, t in model.state_dict(keep_vars=True).items()}


def assert_untouched(model, state):
    for name, (identity, value) in state.items():
        tensor = model.state_dict(keep_vars=True)[name]
        assert id(tensor) == identity and torch.equal(tensor, value)
    assert not any(module._forward_hooks for module in model.modules())


def area(model, latents, concept):
    return (label(model.sample(latents).pictures) == concept).sum().item()


def test_without_its_unit_a_concept_is_gone():
    model = planted()
    latents = model.latents(20)
    red, green = area(model, latents, 1), area(model, latents, 2)
    assert red > 500 and green > 500
    with edit_units(model, "units", [RED]):
        assert area(model, latents, 1) == 0 and area(model, latents, 2) >= green
    assert area(model, latents, 1) == red


@pytest.mark.parametrize("batched", [False, True])
def test_inserted_where_somebody_points_and_nowhere_else(batched):
    model = planted()
    latents, state = model.latents(12), state_of(model)
    level = unit_quantiles(model, "units", model.latents(100), 0.99)[[GREEN]]
    places = [(4 + i % 3, 16 - i) for i in range(12)] if batched else [(6, 14)] * 12
    masks = torch.stack([square(*place, 8) for place in places])
    before = model.sample(latents).pictures
    with edit_units(
        model, "units", [GREEN], "insert", mask=masks if batched else masks[0], level=level
    ):
        after = model.sample(latents, batch_size=12).pictures
    assert_untouched(model, state)
    for i, (top, left) in enumerate(places):
        # Whole cells, and one pixel around them: the 3 x 3 convolution.
        y1, x1 = top // SCALE * SCALE - 1, left // SCALE * SCALE - 1
        y2, x2 = -(-(top + 8) // SCALE) * SCALE + 1, -(-(left + 8) // SCALE) * SCALE + 1
        reached = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        reached[y1:y2, x1:x2] = True
        changed = (after[i] != before[i]).any(dim=0)
        assert changed.any() and not (changed & ~reached).any()
        inside = label(after[i : i + 1])[0, top : top + 8, left : left + 8]
        assert (
            (inside == 2) | (label(before[i : i + 1])[0, top : top + 8, left : left + 8] == 1)
        ).all()


@pytest.mark.parametrize("side", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [CELLS // 2, CELLS, SIDE, 3 * SIDE])
def test_a_cell_is_set_where_the_mask_has_a_pixel_in_it(side, size):
    model, seen = planted(), []
    model.paint.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    mask = square(size // 3, size // 2, min(side, size // 2), size)
    with edit_units(model, "units", [2, 4], "insert", mask=mask, level=torch.tensor([7.0, 9.0])):
        model.sample(model.latents(1))
    scale = size / CELLS
    rows, columns = (
        torch.arange(CELLS)[
            ((torch.arange(CELLS) + 1) * scale > low) & (torch.arange(CELLS) * scale < low + n)
        ]
        for low, n in ((size // 3, min(side, size // 2)), (size // 2, min(side, size // 2)))
    )
    expected = torch.zeros(CELLS, CELLS, dtype=torch.bool)
    expected[rows[:, None], columns] = True
    maps = seen[0][0, :, ::SCALE, ::SCALE]
    assert torch.equal(maps[2] == 7, expected) and torch.equal(maps[4] == 9, expected)
    assert not ((maps == 7) | (maps == 9))[[0, 1, 3, 5]].any()


def test_ablated_inside_a_mask():
    model = planted()
    latents, mask = model.latents(10), square(0, 0, 16)
    with edit_units(model, "units", [RED], mask=mask):
        labels = label(model.sample(latents).pictures)
    before = label(model.sample(latents).pictures)
    assert not (labels[:, :15, :15] == 1).any()
    assert torch.equal(labels[:, 17:], before[:, 17:])


def test_nothing_is_left_after_an_exception():
    model = planted()
    state, latents = state_of(model), model.latents(2)
    before = model.sample(latents).pictures
    with pytest.raises(KeyError, match="mine"), edit_units(model, "units", [RED]):
        model.sample(latents)
        raise KeyError("mine")
    assert_untouched(model, state)
    assert torch.equal(model.sample(latents).pictures, before)


def test_edits_add_up_in_order():
    model, latents = planted(), planted().latents(3)
    with (
        edit_units(model, "units", [GREEN], "insert", level=3.0),
        edit_units(model, "units", [RED]),
    ):
        assert not (label(model.sample(latents).pictures) == 1).any()
        assert (label(model.sample(latents).pictures) == 2).float().mean() > 0.85


def test_other_threads_are_not_edited():
    model, latents = planted(), planted().latents(3)
    before, made = model.sample(latents).pictures, []
    with edit_units(model, "units", [RED]):
        thread = threading.Thread(target=lambda: made.append(model.sample(latents).pictures))
        thread.start()
        thread.join(60)
    assert torch.equal(made[0], before)


@pytest.mark.parametrize("training", [True, False])
def test_of_a_classifier(training):
    model = make_small("resnet18").train(training)
    images = torch.rand(2, 3, 64, 64)
    state = state_of(model)
    with torch.no_grad():
        before = model.eval()(images)
        with edit_units(model, "layer2", [1, 5]):
            ablated = model(images)
        with edit_units(model, "layer2", range(16)):
            nothing = model(images)
    assert not torch.allclose(before, ablated)
    torch.testing.assert_close(nothing[0], nothing[1])  # nothing of the images is left
    assert_untouched(model, state)


def test_a_cell_of_a_classifier_reaches_as_far_as_later_layers_look():
    model = make_small("resnet18").eval()
    field = receptive_field(model, "layer2", (64, 64))  # of a cell, by image
    assert field.stride == (8, 8)
    seen = []
    hook = model.layer3.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[17:23, 40:48] = True  # rows of cell 2, columns of cell 5
    with edit_units(model, "layer2", [3], "insert", mask=mask, level=50.0), torch.no_grad():
        model(torch.rand(1, 3, 64, 64))
    hook.remove()
    assert (seen[0] == 50).nonzero().tolist() == [[0, 3, 2, 5]]


def test_gradients_pass():
    """Through what was not edited; none through what was set."""
    layers = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity())
    x = torch.rand(1, 3, 2, 2, requires_grad=True)
    with edit_units(layers, "0", [1], "insert", mask=square(0, 0, 1, 2), level=4.0):
        layers(x).sum().backward()
    expected = torch.ones(1, 3, 2, 2)
    expected[0, 1, 0, 0] = 0
    assert torch.equal(x.grad, expected)


def test_bad_input():
    model = planted()
    z = model.latents(2)
    bits = torch.ones(4, 4, dtype=torch.bool)

    def use(units=(1,), mode="insert", layer="units", level=1.0, **options):
        with edit_units(model, layer, units, mode, level=level, **options):
            model.sample(z)

    for call, kind, words in (
        (lambda: use(layer="unit"), ValueError, "did you mean 'units'"),
        (lambda: use(mode="add"), ValueError, "mode must be 'ablate' or 'insert', got 'add'"),
        (lambda: use(level=None), ValueError, "level is needed to insert"),
        (lambda: use(mode="ablate"), ValueError, "level must be None to ablate: it sets 0"),
        (lambda: use(units=[8]), ValueError, "units must be 0 to 7, of layer 'units', got 8"),
        (lambda: use(units=[-1]), ValueError, "units must be 0 to 7, of layer 'units', got -1"),
        (
            lambda: use(level=torch.ones(2)),
            ValueError,
            r"level must be one number or \[1\], one for each unit, got \[2\]",
        ),
        (lambda: use(mask=bits.float()), TypeError, "mask must be bool, got torch.float32"),
        (lambda: use(mask=bits[0]), ValueError, r"mask must be \[H, W\] or \[B, H, W\], got \[4\]"),
        (
            lambda: use(mask=bits.expand(3, 4, 4)),
            ValueError,
            r"mask must be \[H, W\] or \[2, H, W\], got \[3, 4, 4\]",
        ),
    ):
        with pytest.raises(kind, match=words):
            call()
        assert not any(module._forward_hooks for module in model.modules())
    net = torch.nn.Sequential(torch.nn.Flatten())
    with (
        pytest.raises(ValueError, match=r"layer '0' must give maps \[B, C, H, W\], got \[1, 4\]"),
        edit_units(net, "0", [0]),
    ):
        net(torch.rand(1, 1, 2, 2))
