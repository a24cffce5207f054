"""Models of sounds, and of sounds with pictures."""
