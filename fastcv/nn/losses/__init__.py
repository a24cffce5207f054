"""Losses, as modules and functions."""
