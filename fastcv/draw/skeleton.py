"""Keypoints on a picture: dots, and lines between them."""

from __future__ import annotations

from collections.abc import Sequence

from fastcv.draw.canvas import FAR, Canvas, color_of

Place = tuple[float, float]


def draw_skeleton(
    canvas: Canvas,
    places: Sequence[Place | None],
    edges: Sequence[tuple[int, int]],
    label: int,
) -> None:
    """One object's keypoints.

    Args:
        canvas: of the picture.
        places: (x, y) of each keypoint in pixels of the picture; None: not there.
        edges: which are joined by a line.
        label: the lines have its colour; each dot has one of its own.
    """

    def on_canvas(place: Place) -> Place:
        x, y = (min(max(value, -FAR), FAR) * canvas.scale for value in place)
        return x, y

    width = max(2, canvas.line)
    for dark in (True, False):  # a dark edge first, so that lines show on any ground
        for a, b in edges:
            start, end = places[a], places[b]
            if start is not None and end is not None:
                canvas.draw.line(
                    [on_canvas(start), on_canvas(end)],
                    fill=(0, 0, 0) if dark else color_of(label),
                    width=width + 2 if dark else width,
                )
    radius = 2 * width
    for i, place in enumerate(places):
        if place is not None:
            x, y = on_canvas(place)
            box = (x - radius, y - radius, x + radius, y + radius)
            canvas.draw.ellipse(box, fill=color_of(i), outline=(0, 0, 0), width=1)
