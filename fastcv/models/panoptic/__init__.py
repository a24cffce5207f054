"""Systems that give each pixel a class, and each object its own segment."""
