"""Models that find the keypoints of objects."""
