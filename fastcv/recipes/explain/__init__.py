"""Recipes of models that show why."""
