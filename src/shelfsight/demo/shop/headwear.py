"""Draw headwear: caps and bobble hats."""

from shelfsight.demo.shop.canvas import Canvas, TiledFill, stroke
from shelfsight.demo.shop.palettes import mix
from shelfsight.demo.shop.shapes import (
    Shape,
    curve,
    disc,
    ellipse,
    parse_curve,
    rectangle,
    rotated,
    translated,
)
from shelfsight.demo.shop.style import Style


def cap(canvas: Canvas, style: Style) -> None:
    """Draw a baseball cap from the side: panels, a button, a brim to the left."""
    canvas.shadow(ellipse((0.48, 0.74), 0.42, 0.05), (0.01, 0.015), blur=0.03, strength=0.5)
    hollow = parse_curve("55,64 72,62 89,60 88,68 75,71.5 55,70")
    canvas.fill(hollow, mix(style.base_colour, "#000000", 0.55))
    crown = parse_curve("30,60! 31,42 40,27 58,21 76,27 87,43 89,62! 70,66 50,66")
    mask = canvas.fill_shaded(crown, TiledFill(style.artwork, (0.32, 0.19, 0.82, 0.69)), 0.06)
    seams = [
        parse_curve(path, closed=False)
        for path in (
            "58.5,21.5 47,32 42,48 43,65",
            "58.5,21.5 62,33 64,50 63,66",
            "58.5,21.5 75,31 81,46 82,63",
        )
    ]
    canvas.darken(stroke(0.007, *seams), 0.55, within=mask)
    canvas.lighten(
        stroke(0.004, *(translated(seam, -0.008, 0) for seam in seams)), 0.4, within=mask
    )
    for at in ((0.52, 0.35), (0.7, 0.36)):
        canvas.fill_flat(ellipse(at, 0.014, 0.017), style.palette.ink)
        canvas.fill_flat(ellipse(at, 0.006, 0.008), "#0c0c0e")
    canvas.fill_shaded(ellipse((0.583, 0.21), 0.032, 0.017), style.base_colour, 0.01, 0.8)
    brim = parse_curve("31,57! 20,58 9,63 4.5,70 10,73.5 25,71 42,69 56,68.5 56,65.5 42,63")
    canvas.shadow(brim, (0.0, 0.012), blur=0.012, strength=0.4)
    canvas.fill_shaded(brim, style.base_colour, 0.022, 0.75)
    for path in (
        "34,59 20,61 10,66.5",
        "34,61 20,63.2 10,67.9",
        "34,63 20,65.4 10,69.3",
        "34,65 20,67.6 10,70.7",
    ):
        canvas.line(parse_curve(path, closed=False), 0.003, mix(style.base_colour, "#ffffff", 0.35))


def beanie(canvas: Canvas, style: Style) -> None:
    """Draw a knitted hat with a turned-up rim and a pompom."""
    canvas.shadow(ellipse((0.5, 0.87), 0.32, 0.04), (0.01, 0.01), blur=0.03, strength=0.45)
    body = parse_curve("20,70! 22,48 32,31 50,25 68,31 78,48 80,70!")
    mask = canvas.fill(body, TiledFill(style.artwork, (0.22, 0.22, 0.78, 0.78)))
    ribs = [
        curve((0.5 + x * 0.07, 0.26), (0.5 + x * 0.22, 0.42), (0.5 + x * 0.31, 0.72), closed=False)
        for x in (-1 + i / 14 for i in range(29))
    ]
    canvas.darken(stroke(0.005, *ribs), 0.22, within=mask)
    canvas.shade_volume(mask, 0.07, 0.6)
    rim = canvas.fill(rectangle((0.175, 0.66, 0.825, 0.86), 0.06), style.base_colour)
    grooves: list[Shape] = [[(x, 0.66), (x, 0.86)] for x in (0.18 + i * 0.0201 for i in range(33))]
    canvas.darken(stroke(0.006, *grooves), 0.28, within=rim)
    canvas.shade_volume(rim, 0.04, 0.7)
    _pompom(canvas, style)


def _pompom(canvas: Canvas, style: Style) -> None:
    canvas.shadow(disc(0.5, 0.21, 0.11), (0.0, 0.02), blur=0.02, strength=0.4)
    for ring in range(5, 0, -1):
        for i in range(9 * ring):
            at = rotated([(0.5 + 0.024 * ring, 0.18)], i * 360 / (9 * ring), (0.5, 0.18))[0]
            tone = "#ffffff" if i % 2 else "#000000"
            wool = mix(style.palette.third, tone, style.random.uniform(0, 0.25))
            canvas.fill_flat(disc(*at, 0.02), wool)
    canvas.shade_volume(disc(0.5, 0.18, 0.14), 0.04, 0.6)


HEADWEAR = {
    "cap": cap,
    "beanie": beanie,
}
"""Headwear, by kind of product."""
