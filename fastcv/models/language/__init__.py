"""Systems of pictures and words."""
