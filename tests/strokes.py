"""The ten digits as pen strokes, points (x, y) in a box 100 wide and 150 high, y growing downwards."""

import math

from PIL import Image, ImageDraw

Stroke = list[tuple[float, float]]


def _arc(x: float, y: float, width: float, height: float, start: float, stop: float) -> Stroke:
    """An elliptic arc about (x, y), from `start` to `stop` degrees, 0 to the right, 90 downwards."""
    angles = [math.radians(start + (stop - start) * i / 24) for i in range(25)]
    return [(x + width / 2 * math.cos(angle), y + height / 2 * math.sin(angle)) for angle in angles]


DIGITS: dict[int, list[Stroke]] = {
    0: [_arc(50, 75, 90, 150, -90, 280)],
    1: [[(58, 0), (50, 75), (44, 150)]],
    2: [[*_arc(50, 40, 80, 80, -170, 30), (8, 148), (100, 148)]],
    3: [_arc(45, 37, 75, 74, -160, 90) + _arc(45, 112, 90, 76, -90, 150)],
    4: [[(30, 0), (8, 85), (95, 85)], [(75, 20), (68, 150)]],
    5: [[(90, 2), (25, 2), (18, 62), *_arc(48, 102, 90, 92, -120, 140)]],
    6: [[(80, 0), (40, 40), (12, 95), *_arc(50, 108, 78, 80, 180, -180)]],
    7: [[(5, 5), (95, 5), (40, 150)]],
    8: [_arc(50, 38, 62, 74, 90, -270) + _arc(50, 112, 80, 76, -90, 270)],
    9: [[*_arc(48, 42, 74, 78, -20, -380), (84, 40), (72, 150)]],
}

SYMBOLS: dict[str, list[Stroke]] = {  # in a box of 100 × 100
    "star": [[(50 + 50 * math.sin(0.8 * math.pi * i), 50 - 50 * math.cos(0.8 * math.pi * i)) for i in range(6)]],
    "triangle": [[(50, 0), (100, 90), (0, 90), (50, 0)]],
    "K": [[(15, 0), (15, 100)], [(85, 0), (15, 50), (85, 100)]],
    "heart": [[(50, 100), (0, 40), (10, 8), (35, 8), (50, 30), (65, 8), (90, 8), (100, 40), (50, 100)]],
}


def place(digit: int, height: float, left: float, top: float) -> list[Stroke]:
    """The strokes of a digit, `height` high, with its box's corner at (left, top)."""
    scale = height / 150
    return [[(left + x * scale, top + y * scale) for x, y in stroke] for stroke in DIGITS[digit]]


def draw(
    strokes: list[Stroke], brush: float, size: int = 280, ink: str | int = 0, paper: str | int = 255, mode: str = "L"
) -> Image.Image:
    """Strokes on a square image, with a round brush and smooth edges."""
    image = Image.new(mode, (4 * size, 4 * size), paper)
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        points = [(4 * x, 4 * y) for x, y in stroke]
        pen.line(points, fill=ink, width=round(4 * brush))
        for x, y in points:
            pen.ellipse((x - 2 * brush, y - 2 * brush, x + 2 * brush, y + 2 * brush), fill=ink)
    return image.reduce(4)
