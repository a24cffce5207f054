"""Recipes of segmenters."""
