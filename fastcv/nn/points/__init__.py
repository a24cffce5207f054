"""What finds objects as corners and centres."""
