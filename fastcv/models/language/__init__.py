"""Vision and text: models that know pictures and words."""
