"""Recipes of keypoints."""
