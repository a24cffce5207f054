"""Recipes of instance segmentation."""
