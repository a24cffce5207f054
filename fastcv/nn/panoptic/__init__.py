"""What panoptic systems share: a semantic head, panoptic logits, and which instances they keep."""
