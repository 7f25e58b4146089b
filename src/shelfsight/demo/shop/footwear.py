"""Draw footwear: sneakers, socks, flip-flops."""

from shelfsight.demo.shop.canvas import Canvas, TiledFill, intersection, stroke
from shelfsight.demo.shop.palettes import mix
from shelfsight.demo.shop.shapes import (
    Shape,
    disc,
    ellipse,
    mirrored,
    parse_curve,
    rectangle,
    rotated,
    translated,
)
from shelfsight.demo.shop.style import Style

LACE_COLOUR = "#fbfaf6"


def sneaker(canvas: Canvas, style: Style) -> None:
    """Draw a low sneaker from the side: sole, toe cap, laces, tongue, heel tab."""
    canvas.shadow(ellipse((0.5, 0.78), 0.46, 0.035), (0.01, 0.012), strength=0.55)
    canvas.fill_shaded(parse_curve("40,36! 47,24! 53,27 60,44!"), style.base_colour, 0.018, 0.8)
    inside = parse_curve("16,32 30,31 43,34 40,42 28,42 17,37")
    canvas.fill_shaded(inside, mix(style.base_colour, "#000000", 0.45), 0.02, 0.5)
    upper = parse_curve(
        "10,30 14,28.5 18,32 27,38.5 37,38 44,32! 52,40 62,48.5 76,52.5 88,57.5 "
        "94,66 94,72! 7,72! 8.5,50"
    )
    mask = canvas.fill_shaded(upper, TiledFill(style.artwork, (0.1, 0.28, 0.56, 0.74)), 0.045, 0.7)
    canvas.fill_shaded(
        intersection(mask, ellipse((0.98, 0.75), 0.2, 0.2)), style.pale_colour, 0.03, 0.7
    )
    canvas.fill_shaded(
        intersection(mask, parse_curve("0,25 14,25 17,40 14,75 0,75")), style.base_colour, 0.02, 0.7
    )
    _laces(canvas, style)
    sole = parse_curve("6,68.5! 40,71 75,71 95.5,68! 97,73 94,78.5! 8,78.5! 5,74")
    canvas.fill_shaded(sole, style.pale_colour, 0.016, 0.8)
    stripe = parse_curve("6,72.2 40,74.2 75,74.2 96.2,71.5", closed=False)
    canvas.line(stripe, 0.008, style.palette.third)
    canvas.line([(0.09, 0.783), (0.935, 0.783)], 0.012, mix(style.palette.ink, "#7a6a58", 0.4))


def _laces(canvas: Canvas, style: Style) -> None:
    stay = parse_curve("41,34.5 44,32! 60,47.2 67,50.5 63,56 52,50 42,42")
    canvas.shadow(stay, (0.0, 0.006), blur=0.008, strength=0.35)
    canvas.fill_shaded(stay, style.base_colour, 0.012, 0.7)
    for i in range(5):
        x, y = 0.452 + i * 0.042, 0.372 + i * 0.034
        canvas.fill_flat(disc(x, y + 0.028, 0.009), "#e8e8ea")
        lace = stroke(0.02, [(x + 0.012, y - 0.038), (x, y + 0.028)])
        canvas.shadow(lace, (0.002, 0.004), blur=0.006, strength=0.4)
        canvas.fill_shaded(lace, LACE_COLOUR, 0.007, 0.7)
    for loop in ("47,34 38,30 35,40 46,37", "47,34 56,28 60,36 48,36"):
        canvas.line(parse_curve(loop, closed=False), 0.012, LACE_COLOUR)


def socks(canvas: Canvas, style: Style) -> None:
    """Draw a pair of socks, one behind the other."""
    outline = parse_curve(
        "30,10! 52,10! 53,35 54,55 66,64 80,70 86,79 80,87 62,87 42,80 30,68 29,40"
    )
    plain = (
        rectangle((0.25, 0.05, 0.6, 0.2)),
        ellipse((0.9, 0.86), 0.15, 0.2),
        ellipse((0.27, 0.76), 0.12, 0.14),
    )
    ribs: list[Shape] = [[(x, 0.1), (x, 0.19)] for x in (0.305 + i * 0.0176 for i in range(13))]
    for dx, dy, angle in ((0.05, -0.02, -9), (-0.13, 0.02, 4)):
        sock, *parts = (rotated(translated(shape, dx, dy), angle) for shape in (outline, *plain))
        canvas.shadow(sock, (0.014, 0.026), blur=0.02, strength=0.45)
        mask = canvas.fill(sock, TiledFill(style.artwork, (0.28 + dx, 0.2, 0.72 + dx, 0.64), angle))
        for part in parts:
            canvas.fill(intersection(mask, part), style.base_colour)
        grooves = stroke(0.004, *(rotated(translated(rib, dx, dy), angle) for rib in ribs))
        canvas.darken(grooves, 0.35, within=mask)
        canvas.shade_volume(mask, 0.04, 0.65)


def sandals(canvas: Canvas, style: Style) -> None:
    """Draw a pair of flip-flops from above: printed soles with straps."""
    left = [
        rotated(shape, -4, (0.28, 0.5))
        for shape in (
            parse_curve("28,9 38,13 42,28 39,48 38.5,68 38,86 28,93 18,86 17,68 13,46 12,26 17,13"),
            disc(0.285, 0.235, 0.03),
            parse_curve("28.5,24 20,34 13.5,50", closed=False),
            parse_curve("28.5,24 36,34 41,48", closed=False),
        )
    ]
    for x, foot in ((0.24, left), (0.76, [mirrored(shape) for shape in left])):
        sole, knob, *straps = foot
        canvas.shadow(sole, (0.015, 0.03), blur=0.02, strength=0.5)
        canvas.fill(translated(sole, 0.006, 0.014), mix(style.palette.ink, "#555555", 0.3))
        canvas.fill_shaded(
            sole, TiledFill(style.artwork, (x - 0.21, 0.08, x + 0.21, 0.5)), 0.015, 0.5
        )
        for strap in straps:
            band = stroke(0.042, strap)
            canvas.shadow(band, (0.008, 0.016), blur=0.012, strength=0.45)
            canvas.fill_shaded(band, style.base_colour, 0.014, 0.8)
        canvas.fill_shaded(knob, style.base_colour, 0.01, 0.8)


FOOTWEAR = {
    "sneaker": sneaker,
    "socks": socks,
    "sandals": sandals,
}
"""Footwear, by kind of product."""
