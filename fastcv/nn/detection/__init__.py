"""What detectors are built of: anchors, matching, box coding, heads."""
