"""Recipes of learning from little data."""
