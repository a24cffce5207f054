"""Models that find objects and which pixels are theirs."""
