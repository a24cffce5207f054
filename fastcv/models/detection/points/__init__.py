"""Detectors that find objects as points: corners, centres, or both."""
