"""Classifiers: images to classes."""
