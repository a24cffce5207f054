"""CenterNet of points: checkpoints' keys, maps' sizes, losses and boxes by hand."""

import math

import pytest
import torch

from fastcv.models import create_model
from fastcv.models._weights import load_state_dict
from fastcv.models.detection.points._detector import PointOutput
from fastcv.nn.detection.transform import ImageBatch
from fastcv.nn.points.heads import PointMaps

# Some of the keys and shapes of xingyizhou's checkpoints, and how many there are in all.
KEYS = {
    "centernet_resdcn18": (
        177,
        {
            "conv1.weight": (64, 3, 7, 7),
            "layer4.1.bn2.running_var": (512,),
            "deconv_layers.0.conv_offset_mask.weight": (27, 512, 3, 3),
            "deconv_layers.0.bias": (256,),
            "deconv_layers.3.weight": (256, 256, 4, 4),
            "deconv_layers.16.bias": (64,),
            "hm.0.weight": (64, 64, 3, 3),
            "hm.2.bias": (80,),
            "wh.2.weight": (2, 64, 1, 1),
            "reg.2.weight": (2, 64, 1, 1),
        },
    ),
    "centernet_dla34": (
        398,
        {
            "base.base_layer.0.weight": (16, 3, 7, 7),
            "base.level1.1.running_mean": (32,),
            "base.level3.project.0.weight": (128, 64, 1, 1),
            "base.level3.tree2.root.conv.weight": (128, 448, 1, 1),
            "base.level5.tree1.bn1.weight": (512,),
            "dla_up.ida_0.proj_1.conv.conv_offset_mask.weight": (27, 512, 3, 3),
            "dla_up.ida_2.node_3.actf.0.running_mean": (64,),
            "dla_up.ida_1.up_2.weight": (128, 1, 4, 4),
            "ida_up.up_2.weight": (64, 1, 8, 8),
            "hm.0.bias": (256,),
            "wh.2.weight": (2, 256, 1, 1),
        },
    ),
    "centernet_hourglass104": (
        984,
        {
            "pre.0.conv.weight": (128, 3, 7, 7),
            "pre.1.skip.0.weight": (256, 128, 1, 1),
            "kps.1.low2.low2.low2.low2.low2.3.conv2.weight": (512, 512, 3, 3),
            "kps.0.low2.low2.low2.low2.low3.1.skip.1.num_batches_tracked": (),
            "inters_.0.0.weight": (256, 256, 1, 1),
            "hm.1.0.conv.bias": (256,),
            "hm.1.1.weight": (80, 256, 1, 1),
            "wh.0.1.bias": (2,),
        },
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_checkpoints(name):
    count, facts = KEYS[name]
    with torch.device("meta"):
        model = create_model(name)
    state = model.state_dict()
    assert len(state) == count
    for theirs, shape in facts.items():
        ours = model.rename_key(theirs).replace("conv_offset_mask", "conv_offset")
        assert tuple(state[ours].shape) == shape, theirs
    assert all(model.rename_key(key) == key for key in state)


def test_a_checkpoint_loads_and_dlas_old_classifier_is_ignored():
    options = {"num_classes": 3, "channels": (4, 4, 8, 8, 16, 16), "head_channels": 8}
    one, other = (create_model("centernet_dla34", **options) for _ in range(2))
    state = {}
    for key, value in one.state_dict().items():
        key = key.removeprefix("backbone.").replace("conv_offset", "conv_offset_mask")
        for theirs, ours in (("hm", "heatmap"), ("wh", "size"), ("reg", "offset")):
            key = key.replace(f"heads.0.{ours}", theirs)
        state[key] = value
    assert "hm.2.bias" in state and "base.level0.0.weight" in state
    state |= {"base.fc.weight": torch.zeros(9, 16, 1, 1), "base.fc.bias": torch.zeros(9)}
    load_state_dict(other, state, "does not fit")
    assert all(torch.equal(other.state_dict()[k], v) for k, v in one.state_dict().items())
    del state["wh.2.bias"]
    with pytest.raises(ValueError, match=r"missing: heads\.0\.size\.2\.bias"):
        load_state_dict(other, state, "does not fit")


@pytest.mark.slow
def test_maps_of_the_papers_size():
    torch.manual_seed(0)
    model = create_model("centernet_resdcn18").eval()
    with torch.inference_mode():
        output = model([torch.rand(3, 512, 512)])
    (maps,) = output.stacks
    assert output.batch.tensors.shape == (1, 3, 512, 512)
    assert maps.heatmap.shape == (1, 80, 128, 128)
    assert maps.size.shape == maps.offset.shape == (1, 2, 128, 128)
    # Nearly everything is no object in the beginning.
    assert maps.heatmap.sigmoid().mean() == pytest.approx(0.1, abs=0.03)


def test_images_are_bgr_and_normalised_with_cocos_numbers():
    model = create_model("centernet_resdcn18", num_classes=2, width=4, size=64)
    image = torch.tensor([0.9, 0.5, 0.2])[:, None, None].expand(3, 64, 64)
    (tensor,) = model([image]).batch.tensors
    want = torch.tensor(
        [
            (0.2 - 0.40789654) / 0.28863828,
            (0.5 - 0.44719302) / 0.27408164,
            (0.9 - 0.47026115) / 0.27809835,
        ]
    )
    torch.testing.assert_close(tensor[:, 10, 10], want)


def planted(*objects):
    """The output for an image of 48 x 60, enlarged to 64 x 80, as if it held these objects."""
    heatmap = torch.full((1, 2, 16, 24), -12.0)
    size, offset = torch.zeros(1, 2, 16, 24), torch.zeros(1, 2, 16, 24)
    for channel, x, y, score, wh, dxy in objects:
        heatmap[0, channel, y, x] = math.log(score / (1 - score))
        size[0, :, y, x], offset[0, :, y, x] = torch.tensor(wh), torch.tensor(dxy)
    batch = ImageBatch(torch.zeros(1, 3, 64, 96), [(64, 80)], [(48, 60)])
    return PointOutput(batch, [PointMaps(heatmap, size, offset)])


def small():
    return create_model("centernet_resdcn18", num_classes=3, width=4, size=80)


def test_planted_objects_are_found():
    output = planted(
        (1, 5, 6, 0.9, (8.0, 4.0), (0.5, 0.25)),
        (0, 10, 6, 0.6, (4.0, 4.0), (0.0, 0.0)),
        (0, 11, 6, 0.5, (4.0, 4.0), (0.0, 0.0)),  # next to the one before: no peak
        (0, 17, 12, 0.8, (12.0, 2.0), (0.0, 0.0)),  # reaches beyond the image
        (1, 15, 2, 0.04, (4.0, 4.0), (0.0, 0.0)),  # below the threshold
    )
    (found,) = small().postprocess(output)
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.8, 0.6]))
    assert found.labels.tolist() == [2, 1, 1]
    # Cells to pixels of the batch: 4; to those of the image: 3 / 4 of it.
    want = [[4.5, 12.75, 28.5, 24.75], [33.0, 33.0, 60.0, 39.0], [24.0, 12.0, 36.0, 24.0]]
    torch.testing.assert_close(found.boxes, torch.tensor(want))


def test_losses_by_hand():
    """A box of 8 x 4 cells about (5.5, 6.25), where the maps say 6 x 5 and the cell's corner."""
    output = planted((1, 5, 6, 0.7, (6.0, 5.0), (0.0, 0.0)))
    target = {"boxes": torch.tensor([[4.5, 12.75, 28.5, 24.75]]), "labels": torch.tensor([2])}
    losses = small().loss(output, [target])
    assert losses["loss_size"].item() == pytest.approx(0.1 * (2 + 1))
    assert losses["loss_offset"].item() == pytest.approx(0.5 + 0.25)
    # All but one cell say e^-12 and cost next to nothing.
    assert losses["loss_heatmap"].item() == pytest.approx(-(0.3**2) * math.log(0.7), rel=1e-4)


def test_a_larger_picture_has_larger_boxes():
    """The network sees the same; the boxes are in the picture's own pixels."""
    output = planted((1, 5, 6, 0.9, (8.0, 4.0), (0.5, 0.25)))
    batch = output.batch._replace(original_sizes=[(96, 120)])
    model = small()
    (found,), (twice,) = model.postprocess(output), model.postprocess(output._replace(batch=batch))
    torch.testing.assert_close(twice.boxes, 2 * found.boxes)
