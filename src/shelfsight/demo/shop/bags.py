"""Draw things to carry: tote bags, backpacks, pouches, umbrellas, phone cases."""

from itertools import pairwise

from shelfsight.demo.shop.canvas import Canvas, TiledFill, difference, intersection, stroke, union
from shelfsight.demo.shop.palettes import mix
from shelfsight.demo.shop.shapes import (
    curve,
    disc,
    ellipse,
    mirrored,
    parse_curve,
    parse_symmetric_curve,
    rectangle,
    translated,
)
from shelfsight.demo.shop.style import Style


def tote_bag(canvas: Canvas, style: Style) -> None:
    """Draw a canvas bag with two long handles."""
    body = parse_symmetric_curve("50,36.5 22,36! 20,65 21,93! 50,94")
    handle = parse_curve("34,44 34.5,30 39,12 50,7 61,12 65.5,30 66,44", closed=False)
    canvas.shadow(body, (0.015, 0.03), blur=0.022, strength=0.45)
    canvas.fill(
        stroke(0.03, translated(handle[8:-8], 0, 0.025)), mix(style.base_colour, "#000000", 0.3)
    )
    if style.is_picture:
        box = (0.27, 0.45, 0.73, 0.91)
        canvas.fill(body, mix(style.base_colour, style.pale_colour, 0.8))
        canvas.fill(rectangle(box), TiledFill(style.artwork, box))
    else:
        canvas.fill(body, TiledFill(style.artwork, (0.2, 0.36, 0.8, 0.96)))
    canvas.shade_volume(body, 0.02, 0.45)
    creases = ("34,42 30,60 33,88", "66,42 71,60 67,86", "50,60 47,76 50,92")
    canvas.crease(body, [parse_curve(path, closed=False) for path in creases], 0.28)
    canvas.line([(0.223, 0.4), (0.777, 0.4)], 0.003, mix(style.base_colour, "#000000", 0.35))
    front = stroke(0.032, handle)
    canvas.shadow(front, (0.006, 0.012), blur=0.01, strength=0.4)
    canvas.fill_shaded(front, style.base_colour, 0.01, 0.7)
    for x in (0.34, 0.66):
        canvas.fill_shaded(
            rectangle((x - 0.022, 0.4, x + 0.022, 0.46)), style.base_colour, 0.008, 0.6
        )
        canvas.line([(x - 0.014, 0.41), (x + 0.014, 0.45)], 0.003, style.pale_colour)
        canvas.line([(x + 0.014, 0.41), (x - 0.014, 0.45)], 0.003, style.pale_colour)


def backpack(canvas: Canvas, style: Style) -> None:
    """Draw a rucksack from the front, with a zip, a front pocket and side pockets."""
    dark = mix(style.base_colour, "#000000", 0.3)
    canvas.shadow(ellipse((0.5, 0.915), 0.32, 0.035), (0.01, 0.01), strength=0.5)
    canvas.fill_shaded(
        stroke(0.03, parse_curve("43,15 44,6 56,6 57,15", closed=False)),
        style.base_colour,
        0.01,
        0.7,
    )
    strap = parse_curve("28,30 19,40 17,70 23,88", closed=False)
    canvas.fill_shaded(stroke(0.035, strap, mirrored(strap)), dark, 0.012, 0.7)
    side = parse_curve("24,62! 18.5,66 18,86 25,90")
    canvas.fill_shaded(union(side, mirrored(side)), mix(style.base_colour, dark, 0.5), 0.02, 0.7)
    body = parse_curve("25,88 23,60 24,34 32,17 50,12 68,17 76,34 77,60 75,88 68,92 32,92")
    box = (0.2, 0.12, 0.8, 0.72) if style.is_picture else (0.24, 0.1, 0.76, 0.62)
    canvas.fill_shaded(body, TiledFill(style.artwork, box), 0.05, 0.65)
    zip_ = parse_curve("27,60 27.5,38 34.5,22 50,17 65.5,22 72.5,38 73,60", closed=False)
    canvas.line(zip_, 0.017, dark)
    canvas.line(zip_, 0.005, "#c9ccd1")
    pocket = parse_curve("30,60! 50,58.5 70,60! 71,80 66,88 50,89 34,88 29,80")
    canvas.shadow(pocket, (0.006, 0.012), blur=0.014, strength=0.5)
    canvas.fill_shaded(pocket, style.base_colour, 0.03, 0.65)
    canvas.line(parse_curve("31,64.5 50,63.2 69,64.5", closed=False), 0.012, dark)
    canvas.fill_shaded(rectangle((0.655, 0.64, 0.672, 0.71), 0.006), "#c9ccd1", 0.006, 0.8)
    canvas.fill(rectangle((0.45, 0.73, 0.55, 0.79), 0.01), mix(style.palette.third, "#7a4a28", 0.3))


def pouch(canvas: Canvas, style: Style) -> None:
    """Draw a flat zip pouch for pencils or make-up, with a wrist loop."""
    loop = difference(ellipse((0.88, 0.43), 0.085, 0.13), ellipse((0.88, 0.43), 0.06, 0.105))
    canvas.shadow(loop, (0.01, 0.02), blur=0.012, strength=0.4)
    canvas.fill_shaded(loop, style.base_colour, 0.01, 0.7)
    body = parse_curve("12,32! 50,31 86,32! 89,55 87,74 82,79 50,80 16,79 11,74 9,55")
    canvas.shadow(body, (0.018, 0.035), blur=0.025, strength=0.5)
    if style.is_picture:
        box = (0.26, 0.36, 0.7, 0.8)
        canvas.fill(body, style.base_colour)
        canvas.fill(intersection(body, rectangle(box)), TiledFill(style.artwork, box))
    else:
        canvas.fill(body, TiledFill(style.artwork, (0.1, 0.3, 0.6, 0.8)))
    canvas.shade_volume(body, 0.04, 0.65)
    canvas.fill(
        intersection(body, rectangle((0, 0.3, 1, 0.375))), mix(style.palette.ink, "#555555", 0.15)
    )
    for i in range(47):
        x = 0.13 + i * 0.0158
        canvas.line([(x, 0.338 + 0.008 * (i % 2)), (x, 0.35 + 0.008 * (i % 2))], 0.008, "#d9b44a")
    pull = [(0.17, 0.348), (0.17, 0.44)]
    canvas.shadow(stroke(0.028, pull), (0.006, 0.012), blur=0.01, strength=0.5)
    canvas.fill_shaded(stroke(0.026, pull), "#d9b44a", 0.01, 0.8)
    creases = ("14,70 20,66 24,70", "84,68 78,64 74,68")
    canvas.crease(body, [parse_curve(path, closed=False) for path in creases], 0.25)


def umbrella(canvas: Canvas, style: Style) -> None:
    """Draw an open umbrella from the side, with ribs and a hooked handle."""
    canvas.shadow(ellipse((0.5, 0.955), 0.12, 0.014), (0, 0), blur=0.015, strength=0.4)
    canvas.line([(0.5, 0.06), (0.5, 0.86)], 0.014, "#7d8288")
    hook = parse_curve("50,78 50,88 47,94 42,93 40,88", closed=False)
    canvas.fill_shaded(stroke(0.032, hook), "#8a5a33", 0.01, 0.8)
    tips = (0.06, 0.2, 0.4, 0.6, 0.8, 0.94)
    hem: list[tuple[float, float]] = []
    for left, right in pairwise(tips):
        hem += [(left, 0.55), (left, 0.55), ((left + right) / 2, 0.5)]
    dome = ellipse((0.5, 0.55), 0.44, 0.44, 180, 360)
    under = curve(*reversed([*hem, (0.94, 0.55), (0.94, 0.55)]), closed=False)
    lining = parse_curve("6,55! 30,47 50,45.5 70,47 94,55! 70,53 50,52.5 30,53")
    canvas.fill(lining, mix(style.base_colour, "#000000", 0.5))
    box = (0.2, 0.08, 0.8, 0.68) if style.is_picture else (0.06, 0.1, 0.52, 0.56)
    mask = canvas.fill_shaded(dome + under, TiledFill(style.artwork, box), 0.07, 0.6)
    ribs = [
        curve((0.5, 0.11), (0.5 + (tip - 0.5) * 0.68, 0.27), (tip, 0.55), closed=False)
        for tip in tips[1:-1]
    ]
    canvas.darken(stroke(0.008, *ribs), 0.55, within=mask)
    canvas.lighten(stroke(0.005, *(translated(rib, -0.009, 0) for rib in ribs)), 0.4, within=mask)
    for tip in tips:
        canvas.fill_flat(disc(tip, 0.553, 0.009), "#5d6166")
    canvas.fill_shaded(rectangle((0.488, 0.05, 0.512, 0.12), 0.008), "#5d6166", 0.008, 0.8)


def phone_case(canvas: Canvas, style: Style) -> None:
    """Draw the back of a phone in its case, with three lenses."""
    outline = rectangle((0.29, 0.05, 0.71, 0.95), 0.065)
    canvas.shadow(outline, (0.02, 0.04), blur=0.025, strength=0.5)
    for top in (0.24, 0.33):
        canvas.fill(rectangle((0.282, top, 0.3, top + 0.06), 0.006), "#2a2b2f")
    canvas.fill(outline, mix(style.palette.ink, "#333333", 0.3))
    face = rectangle((0.3, 0.06, 0.7, 0.94), 0.057)
    mask = canvas.fill(face, style.palette.paper)
    if style.is_picture:
        below = intersection(face, rectangle((0, 0.28, 1, 0.92)))
        canvas.fill(below, TiledFill(style.artwork, (0.18, 0.28, 0.82, 0.92)))
    else:
        canvas.fill(face, TiledFill(style.artwork, (0.3, 0.06, 0.74, 0.5)))
    canvas.shade_volume(mask, 0.018, 0.5)
    canvas.lighten([(0.3, 0.5), (0.3, 0.25), (0.52, 0.06), (0.7, 0.06)], 0.16, within=mask)
    bump = rectangle((0.325, 0.085, 0.51, 0.27), 0.045)
    canvas.shadow(bump, (0.006, 0.01), blur=0.01, strength=0.5)
    canvas.fill_shaded(bump, "#2b2d31", 0.012, 0.8)
    for x, y in ((0.375, 0.135), (0.375, 0.22), (0.46, 0.178)):
        canvas.fill_flat(disc(x, y, 0.034), "#4a4d53")
        canvas.fill_flat(disc(x, y, 0.027), "#08090b")
        canvas.fill_flat(disc(x, y, 0.014), "#1f2b46")
        canvas.fill_flat(disc(x - 0.009, y - 0.009, 0.006), "#ffffff")
    canvas.fill_flat(disc(0.46, 0.12, 0.011), "#fff3cf")


BAGS = {
    "tote-bag": tote_bag,
    "backpack": backpack,
    "pouch": pouch,
    "umbrella": umbrella,
    "phone-case": phone_case,
}
"""Things to carry, by kind of product."""
