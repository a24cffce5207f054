"""Layers that any model may be built of."""
