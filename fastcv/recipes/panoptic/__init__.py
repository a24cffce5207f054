"""Recipes of panoptic segmentation."""
