"""Generators: from random numbers to pictures."""
