"""Recipes of conditional generation."""
