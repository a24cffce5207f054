"""UPSNet's keys by the names of the published program's checkpoints."""

from __future__ import annotations

import re

# The published program's keys, and ours.
RENAMED = (
    (r"resnet_backbone\.conv1\.(conv1|bn1)", r"backbone.body.\1"),
    *((rf"resnet_backbone\.res{i + 1}\.layers", f"backbone.body.layer{i}") for i in (1, 2, 3, 4)),
    (r"fpn\.fpn_gap", "backbone.fpn.inner_blocks.3.gap"),
    *((rf"fpn\.fpn_p{i + 2}_1x1", f"backbone.fpn.inner_blocks.{i}.0") for i in (0, 1, 2, 3)),
    *((rf"fpn\.fpn_p{i + 2}", f"backbone.fpn.layer_blocks.{i}.0") for i in (0, 1, 2, 3)),
    (r"rpn\.conv_proposal\.0", "rpn.head.conv.0.0"),
    (r"rpn\.cls_score", "rpn.head.cls_logits"),
    (r"rpn\.bbox_pred", "rpn.head.bbox_pred"),
    (r"rcnn\.(fc[67])\.0", r"roi_heads.box_head.\1"),
    (r"rcnn\.(cls_score|bbox_pred)", r"roi_heads.box_predictor.\1"),
    *((rf"mask_branch\.mask_conv{i + 1}\.0", f"roi_heads.mask_head.{i}.0") for i in (0, 1, 2, 3)),
    (r"mask_branch\.mask_deconv1\.0", "roi_heads.mask_predictor.conv5_mask"),
    (r"mask_branch\.mask_score", "roi_heads.mask_predictor.mask_fcn_logits"),
    (r"fcn_head\.fcn_subnet\.conv\.(\d+)\.0\.conv", r"semantic_head.subnet.\1.0"),
    (r"fcn_head\.fcn_subnet\.conv\.(\d+\.0\.conv_offset)", r"semantic_head.subnet.\1"),
    (r"fcn_head\.score", "semantic_head.score"),
)


def our_key(key: str) -> str:
    """The name that a published key has here; others stay.

    Example:
        >>> from fastcv.models.panoptic._upsnet_keys import our_key
        >>> our_key("rcnn.fc6.0.weight"), our_key("semantic_head.score.bias")
        ('roi_heads.box_head.fc6.weight', 'semantic_head.score.bias')
    """
    for pattern, ours in RENAMED:
        name, number = re.subn(rf"^{pattern}(?=\.\w+$|\.\d+\.)", ours, key)
        if number:
            return name
    return key
