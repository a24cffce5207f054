"""What DETR is built of: positions, transformer, matching, loss."""
