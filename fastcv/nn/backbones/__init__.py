"""Trunks: from a picture to maps of features."""
