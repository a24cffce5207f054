"""Objects as points: heatmaps, their losses, and how corners and centres become boxes."""
