"""Draws a small dataset of scenes, for a screenshot that shows nobody's photographs: every line of it is ours."""

import random
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SIDE = 600
"""Width and height that scenes are drawn at; they are written half as large, so that edges are smooth."""
CITIES = ("chicago", "london", "newyork", "singapore", "sydney")
Colour = tuple[int, int, int]


def write(folder: Path, posts: int, seed: int = 7) -> None:
    """Write posts in the layout of InstaCities1M.

    Args:
        folder: where to.
        posts: how many.
        seed: of everything random.
    """
    chance = random.Random(seed)
    scenes = list(SCENES.items())
    for number in range(posts):
        (scene, captions) = scenes[number % len(scenes)]
        city = chance.choice(CITIES)
        picture = scene(chance).resize((SIDE // 2, SIDE // 2), Image.Resampling.LANCZOS)
        for kind, suffix in (("img", "jpg"), ("captions", "txt")):
            path = folder / kind / city / f"{1_480_000_000_000_000_000 + number * 10**13}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "img":
                picture.save(path, "JPEG", quality=90)
            else:
                path.write_text(chance.choice(captions), "utf-8")


def _sky(chance: random.Random, top: Colour, bottom: Colour, horizon: float = 0.6) -> tuple[Image.Image, int]:
    """A gradient down to the horizon, and where that is."""
    image = Image.new("RGB", (SIDE, SIDE))
    line = int(SIDE * (horizon + chance.uniform(-0.05, 0.05)))
    draw = ImageDraw.Draw(image)
    for y in range(SIDE):
        part = min(1.0, y / line)
        draw.line([(0, y), (SIDE, y)], tuple(round(a + (b - a) * part) for a, b in zip(top, bottom, strict=True)))
    return image, line


def _clouds(image: Image.Image, chance: random.Random, below: int) -> None:
    layer = Image.new("L", image.size)
    draw = ImageDraw.Draw(layer)
    for _ in range(4):
        x, y = chance.randrange(SIDE), chance.randrange(30, max(40, below // 2))
        for _ in range(6):
            w, dx, dy = chance.randrange(50, 110), chance.randrange(-80, 80), chance.randrange(-15, 15)
            draw.ellipse([x + dx - w, y + dy - w // 4, x + dx + w, y + dy + w // 4], 170)
    image.paste((255, 255, 255), mask=layer.filter(ImageFilter.GaussianBlur(14)))


def _grain(image: Image.Image) -> Image.Image:
    noise = Image.merge("RGB", [Image.effect_noise(image.size, 14)] * 3)
    return Image.blend(image, noise, 0.06)


def _coast(chance: random.Random) -> Image.Image:
    image, line = _sky(chance, (86, 160, 222), (214, 236, 248), 0.45)
    _clouds(image, chance, line)
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, line, SIDE, SIDE], (30, 122, 168))
    for y in range(line, SIDE, 9):
        x = chance.randrange(SIDE)
        draw.line([(x, y), (x + chance.randrange(30, 160), y)], (92, 178, 208), 3)
    shore = [(0, SIDE * 0.78), (SIDE * 0.35, SIDE * 0.72), (SIDE, SIDE * 0.9), (SIDE, SIDE), (0, SIDE)]
    draw.polygon([(x, y - 14) for x, y in shore], (238, 248, 250))
    draw.polygon(shore, (232, 208, 158))
    return _grain(image)


def _mountains(chance: random.Random) -> Image.Image:
    image, line = _sky(chance, (70, 130, 200), (226, 238, 248), 0.7)
    _clouds(image, chance, line)
    draw = ImageDraw.Draw(image)
    for far, colour in ((0.34, (126, 146, 172)), (0.5, (86, 104, 126))):
        for _ in range(4):
            x, height = chance.randrange(SIDE), SIDE * far + chance.randrange(-60, 30)
            width = chance.randrange(180, 300)
            draw.polygon([(x - width, SIDE * 0.8), (x, height), (x + width, SIDE * 0.8)], colour)
            cap = [
                (x - width * 0.22, height + (SIDE * 0.8 - height) * 0.22),
                (x, height),
                (x + width * 0.22, height + (SIDE * 0.8 - height) * 0.22),
                (x, height + 50),
            ]
            draw.polygon(cap, (246, 249, 252))
    draw.rectangle([0, SIDE * 0.8, SIDE, SIDE], (62, 98, 62))
    _trees(draw, chance, SIDE * 0.8, 26)
    return _grain(image)


def _trees(draw: ImageDraw.ImageDraw, chance: random.Random, line: float, count: int) -> None:
    for _ in range(count):
        x, foot = chance.randrange(SIDE), line + chance.randrange(0, 110)
        height = 60 + (foot - line) * 0.9
        green = (chance.randrange(20, 50), chance.randrange(70, 100), chance.randrange(40, 60))
        for step in range(3):
            top, half = foot - height + step * height * 0.24, height * (0.16 + 0.07 * step)
            draw.polygon([(x - half, top + height * 0.42), (x, top), (x + half, top + height * 0.42)], green)


def _forest(chance: random.Random) -> Image.Image:
    image, line = _sky(chance, (170, 200, 190), (226, 234, 214), 0.4)
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, line, SIDE, SIDE], (84, 104, 58))
    for far in range(5):
        shade = 150 - far * 24
        for _ in range(12):
            x, width = chance.randrange(SIDE), 5 + far * 5
            draw.rectangle([x, 0, x + width, line + far * 45], (shade // 2 + 20, shade // 2 + 8, shade // 3))
        for _ in range(60):
            x, y, r = chance.randrange(SIDE), chance.randrange(-40, 200), chance.randrange(12, 46)
            draw.ellipse([x - r, y - r, x + r, y + r], (shade // 3, shade, shade // 3))
    draw.polygon([(SIDE * 0.46, line), (SIDE * 0.53, line), (SIDE * 0.8, SIDE), (SIDE * 0.2, SIDE)], (172, 148, 110))
    return _grain(image)


def _towers(chance: random.Random) -> Image.Image:
    image, line = _sky(chance, (34, 46, 92), (246, 164, 112), 0.75)
    draw = ImageDraw.Draw(image)
    for shade in (70, 44, 26):
        x = -20
        while x < SIDE:
            width, height = chance.randrange(50, 110), chance.randrange(120, 430)
            draw.rectangle([x, line - height + shade * 2, x + width, SIDE], (shade, shade + 6, shade + 26))
            for wx in range(x + 8, x + width - 10, 16):
                for wy in range(line - height + shade * 2 + 10, SIDE, 22):
                    if chance.random() < 0.5:
                        draw.rectangle([wx, wy, wx + 7, wy + 11], (255, 214, 130))
            x += width + chance.randrange(2, 16)
    return _grain(image)


def _lighthouse(chance: random.Random) -> Image.Image:
    image, line = _sky(chance, (98, 156, 214), (250, 226, 196), 0.62)
    _clouds(image, chance, line)
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, line, SIDE, SIDE], (38, 96, 138))
    draw.polygon([(0, SIDE), (60, line + 70), (260, line + 20), (430, line + 60), (520, SIDE)], (92, 86, 78))
    x, foot, top = 265, line + 40, line - 250
    for stripe in range(6):
        upper, lower = (top + (foot - top) * part / 6 for part in (stripe, stripe + 1))
        half = [26 + 22 * (y - top) / (foot - top) for y in (upper, lower)]
        box = [(x - half[0], upper), (x + half[0], upper), (x + half[1], lower), (x - half[1], lower)]
        draw.polygon(box, (200, 46, 46) if stripe % 2 else (246, 246, 242))
    draw.rectangle([x - 34, top - 8, x + 34, top], (60, 60, 64))
    draw.rectangle([x - 20, top - 44, x + 20, top - 8], (255, 236, 150))
    draw.polygon([(x - 28, top - 44), (x, top - 76), (x + 28, top - 44)], (170, 40, 40))
    return _grain(image)


def _bridge(chance: random.Random) -> Image.Image:
    image, line = _sky(chance, (120, 150, 190), (244, 214, 190), 0.6)
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, line, SIDE, SIDE], (58, 92, 120))
    red, deck = (176, 58, 40), line - 50
    for x in (150, 450):
        draw.rectangle([x - 12, line - 300, x + 12, line + 60], red)
    for left, right in ((-150, 150), (150, 450), (450, 750)):
        points = []
        for step in range(41):
            part = step / 40
            points.append((left + (right - left) * part, line - 290 + 4 * 210 * part * (1 - part)))
        draw.line(points, red, 6)
        for rope, sag in points[::3]:
            draw.line([(rope, sag), (rope, deck)], red, 2)
    draw.rectangle([0, deck, SIDE, deck + 16], red)
    for y in range(line + 8, SIDE, 12):
        x = chance.randrange(SIDE)
        draw.line([(x, y), (x + chance.randrange(40, 140), y)], (110, 140, 160), 3)
    return _grain(image)


def _desert(chance: random.Random) -> Image.Image:
    image, line = _sky(chance, (58, 134, 206), (250, 222, 176), 0.45)
    draw = ImageDraw.Draw(image)
    draw.ellipse([420, 60, 500, 140], (255, 244, 200))
    for number, colour in enumerate(((222, 170, 100), (206, 148, 80), (184, 124, 60))):
        peak, y = chance.randrange(100, 500), line + number * 90
        draw.polygon([(-50, y + 110), (peak, y - 50), (650, y + 120), (650, SIDE), (-50, SIDE)], colour)
        shade = tuple(part - 40 for part in colour)
        draw.polygon([(peak, y - 50), (650, y + 120), (650, y + 170), (peak - 40, y + 130)], shade)
    return _grain(image)


Scene = Callable[[random.Random], Image.Image]
SCENES: dict[Scene, tuple[str, ...]] = {
    _coast: ("A day at the coast, so happy! #sea", "Sand everywhere, still smiling"),
    _towers: (
        "Skyscrapers at dusk, what a beautiful city",
        "Stuck downtown again, terrible traffic",
        "city lights over the skyscrapers",
    ),
    _mountains: ("Snow on the mountains, love it up here", "First light on the snowy mountain", ""),
    _lighthouse: ("The old lighthouse, wonderful walk", "Too windy at the lighthouse today", ""),
    _forest: ("Lost on a forest path, lovely and quiet", "A walk on the forest path, then home", ""),
    _bridge: ("Walked across the bridge this morning, great view", "The bridge is closed, I hate detours", ""),
    _desert: ("Nothing but desert sand, great trip!", "The desert. Hot. So hot."),
}
"""How each scene is drawn, and what people write under it."""
