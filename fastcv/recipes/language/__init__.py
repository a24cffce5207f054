"""Recipes of words and texts."""
