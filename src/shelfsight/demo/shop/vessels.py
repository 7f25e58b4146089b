"""Draw round things: mugs, bottles, tumblers, plant pots, lamps, baubles."""

import math

from PIL import Image

from shelfsight.demo.shop.canvas import Canvas, difference, intersection, stroke
from shelfsight.demo.shop.palettes import mix
from shelfsight.demo.shop.revolved_body import RevolvedBody, draw_revolved
from shelfsight.demo.shop.shapes import curve, disc, ellipse, leaf, parse_curve, rectangle, rotated
from shelfsight.demo.shop.style import Style


def _single_colour(colour: str) -> Image.Image:
    """Return artwork of one colour, for unprinted bodies."""
    return Image.new("RGB", (8, 8), colour)


def _table_shadow(canvas: Canvas, x: float, y: float, width: float) -> None:
    """Draw the shadow that something standing at (x, y) casts on the table."""
    canvas.shadow(ellipse((x + 0.03, y), width * 1.12, 0.045), (0.02, 0), blur=0.03, strength=0.45)
    canvas.shadow(ellipse((x, y), width, 0.022), (0.004, 0.004), blur=0.01, strength=0.6)


def mug(canvas: Canvas, style: Style) -> None:
    """Draw a mug with a handle, seen slightly from above."""
    side = 1 if style.random.random() < 0.7 else -1
    x, inside = 0.5 - side * 0.08, style.base_colour
    _table_shadow(canvas, x, 0.83, 0.25)
    ear = x + side * 0.25
    handle = difference(ellipse((ear, 0.53), 0.17, 0.2), ellipse((ear, 0.53), 0.112, 0.142))
    canvas.fill(handle, inside if style.random.random() < 0.5 else style.pale_colour)
    canvas.shade_volume(handle, 0.018, 0.9)
    body = RevolvedBody(x, ((0.25, 0.262), (0.72, 0.262), (0.78, 0.25), (0.81, 0.225)), tilt=0.05)
    draw_revolved(canvas, body, style.artwork)
    canvas.fill(ellipse((x, 0.25), 0.264, 0.062), style.pale_colour)
    hollow = canvas.fill(ellipse((x, 0.252), 0.246, 0.051), mix(inside, "#ffffff", 0.25))
    canvas.darken(ellipse((x - 0.1, 0.23), 0.25, 0.05), 0.5, blur=0.03, within=hollow)
    if style.random.random() < 0.5:
        drink = intersection(hollow, ellipse((x, 0.285), 0.236, 0.045))
        canvas.fill(drink, "#4a2a17")
        canvas.lighten(ellipse((x - 0.08, 0.275), 0.06, 0.01), 0.35, blur=0.012, within=drink)


def bottle(canvas: Canvas, style: Style) -> None:
    """Draw a steel drinking bottle with a screw cap and a loop."""
    _table_shadow(canvas, 0.5, 0.925, 0.15)
    loop = difference(ellipse((0.5, 0.1), 0.062, 0.06), ellipse((0.5, 0.1), 0.036, 0.036))
    canvas.fill(loop, "#33363b")
    canvas.shade_volume(loop, 0.01, 0.8)
    body = RevolvedBody(
        0.5,
        (
            (0.215, 0.08),
            (0.24, 0.085),
            (0.29, 0.13),
            (0.33, 0.156),
            (0.37, 0.163),
            (0.88, 0.163),
            (0.9, 0.155),
            (0.91, 0.14),
        ),
        tilt=0.025,
        gloss=0.7,
    )
    draw_revolved(canvas, body, style.artwork)
    draw_revolved(
        canvas,
        RevolvedBody(0.5, ((0.195, 0.074), (0.225, 0.074)), tilt=0.014, gloss=1),
        _single_colour("#c3c7cc"),
    )
    draw_revolved(
        canvas,
        RevolvedBody(0.5, ((0.125, 0.072), (0.135, 0.08), (0.2, 0.08)), tilt=0.014),
        _single_colour("#33363b"),
    )
    canvas.fill(ellipse((0.5, 0.13), 0.072, 0.014), "#4b4f55")


def tumbler(canvas: Canvas, style: Style) -> None:
    """Draw a tapered travel cup with a lid and a straw."""
    _table_shadow(canvas, 0.5, 0.93, 0.15)
    straw = stroke(0.026, [(0.535, 0.3), (0.6, 0.03)])
    canvas.fill(straw, style.palette.third)
    canvas.shade_volume(straw, 0.008, 0.8)
    draw_revolved(
        canvas,
        RevolvedBody(0.5, ((0.24, 0.21), (0.88, 0.145), (0.905, 0.13)), tilt=0.032, gloss=0.6),
        style.artwork,
    )
    draw_revolved(
        canvas,
        RevolvedBody(0.5, ((0.205, 0.2), (0.215, 0.22), (0.25, 0.22), (0.258, 0.214)), tilt=0.034),
        _single_colour("#3b3d42"),
    )
    lid = canvas.fill(ellipse((0.5, 0.207), 0.2, 0.042), "#55585e")
    canvas.shade_volume(lid, 0.02, 0.6)
    canvas.fill(ellipse((0.552, 0.205), 0.024, 0.009), "#1d1e21")
    canvas.fill(intersection(straw, rectangle((0, 0, 1, 0.207))), style.palette.third)
    canvas.shade_volume(intersection(straw, rectangle((0, 0, 1, 0.207))), 0.008, 0.8)


def _aloe(canvas: Canvas, style: Style) -> None:
    for i, angle in enumerate((-168, -148, -125, -105, -85, -62, -40, -15, -135, -75, -50)):
        blade = leaf((0.5, 0.5), 0.4 - 0.05 * (i % 3), 0.062, angle + style.random.uniform(-7, 7))
        canvas.fill(blade, mix("#3f8f4f", "#0e3b1e" if i % 2 else "#b9dc8a", 0.12 * (i % 4)))
        canvas.shade_volume(blade, 0.014, 0.7)
        canvas.line([blade[0], blade[7]], 0.004, "#86b78c")


def _tulips(canvas: Canvas, style: Style) -> None:
    for x, top in ((0.33, 0.2), (0.5, 0.11), (0.67, 0.22)):
        canvas.line(
            curve((0.5, 0.5), (0.3 * 0.5 + 0.7 * x, 0.38), (x, top), closed=False), 0.014, "#4d8b3f"
        )
        bloom = curve(
            (x - 0.055, top - 0.09),
            (x - 0.055, top - 0.09),
            (x - 0.02, top - 0.05),
            (x, top - 0.1),
            (x, top - 0.1),
            (x + 0.02, top - 0.05),
            (x + 0.055, top - 0.09),
            (x + 0.055, top - 0.09),
            (x + 0.06, top),
            (x, top + 0.04),
            (x - 0.06, top),
        )
        canvas.fill_shaded(bloom, style.palette.third, 0.018, 0.7)
    for angle in (-150, -118, -62, -30):
        canvas.fill_shaded(leaf((0.5, 0.5), 0.36, 0.04, angle), "#5d9c4c", 0.012, 0.7)


def _cactus(canvas: Canvas, style: Style) -> None:
    arm = [(0.5, 0.36), (0.62, 0.35), (0.63, 0.22)]
    parts = (
        (stroke(0.07, arm), [(0.63, 0.2), (0.63, 0.33)]),
        (stroke(0.06, [(0.5, 0.41), (0.38, 0.4), (0.37, 0.3)]), [(0.37, 0.29), (0.37, 0.38)]),
        (stroke(0.13, [(0.5, 0.16), (0.5, 0.5)]), [(0.5, 0.11), (0.5, 0.48)]),
    )
    for mask, rib in parts:
        canvas.fill_shaded(mask, "#4f8f5b", 0.022, 0.8)
        for shift in (-0.018, 0.018):
            canvas.line([(x + shift, y) for x, y in rib], 0.005, "#a9cf9d")
    for turn in range(0, 360, 60):
        canvas.fill_flat(leaf((0.5, 0.095), 0.055, 0.016, turn), style.palette.second)


def plant_pot(canvas: Canvas, style: Style) -> None:
    """Draw a flower pot with a plant."""
    _table_shadow(canvas, 0.5, 0.91, 0.2)
    draw_revolved(
        canvas,
        RevolvedBody(0.5, ((0.55, 0.23), (0.88, 0.165), (0.9, 0.155)), tilt=0.04, gloss=0.3),
        style.artwork,
    )
    draw_revolved(
        canvas,
        RevolvedBody(0.5, ((0.485, 0.25), (0.495, 0.255), (0.56, 0.25)), tilt=0.045, gloss=0.3),
        _single_colour(style.base_colour),
    )
    canvas.fill(ellipse((0.5, 0.487), 0.25, 0.048), mix(style.base_colour, "#ffffff", 0.2))
    soil = canvas.fill(ellipse((0.5, 0.49), 0.228, 0.038), "#3d2a1d")
    canvas.shade_volume(soil, 0.02, 0.6)
    (_aloe, _tulips, _cactus)[int(style.random.integers(3))](canvas, style)


def lamp(canvas: Canvas, style: Style) -> None:
    """Draw a table lamp with a printed shade on a wooden or metal base."""
    _table_shadow(canvas, 0.5, 0.925, 0.16)
    wood = "#b98552" if style.random.random() < 0.5 else "#6d7278"
    outline = parse_curve("56,2.2 62,2.4 66,6 70,7.2 75,5.5 80,2.6 85,3 88,14 91,16", closed=False)
    foot = RevolvedBody(0.5, tuple(outline), tilt=0.02, gloss=0.6)
    draw_revolved(canvas, foot, _single_colour(wood))
    draw_revolved(
        canvas,
        RevolvedBody(0.5, ((0.12, 0.19), (0.58, 0.33)), tilt=0.045, gloss=0.15),
        style.artwork,
    )
    rim = ellipse((0.5, 0.12), 0.19, 0.032)
    canvas.fill(rim, mix("#fff3d6", style.palette.paper, 0.3))
    canvas.lighten(disc(0.5, 0.36, 0.14), 0.3, blur=0.08, within=canvas.coverage)
    canvas.line(ellipse((0.5, 0.12), 0.19, 0.032), 0.008, style.base_colour)
    canvas.line(ellipse((0.5, 0.58), 0.329, 0.045, 0, 180), 0.012, style.base_colour)


def bauble(canvas: Canvas, style: Style) -> None:
    """Draw a ball for the Christmas tree, with a cap and a bow."""
    canvas.shadow(disc(0.5, 0.6, 0.3), (0.03, 0.05), blur=0.05, strength=0.4)
    canvas.line([(0.5, 0.0), (0.5, 0.26)], 0.008, "#c9a227")
    ball = tuple(
        (0.6 - 0.31 * math.cos(turn), 0.001 + 0.31 * math.sin(turn))
        for turn in (math.pi * i / 40 for i in range(41))
    )
    mask = draw_revolved(canvas, RevolvedBody(0.5, ball, tilt=0.0, gloss=0.1), style.artwork)
    canvas.shade_volume(mask, 0.07, 0.75)
    canvas.lighten(
        rotated(ellipse((0.38, 0.45), 0.07, 0.04), -45, (0.38, 0.45)), 0.8, blur=0.02, within=mask
    )
    draw_revolved(
        canvas,
        RevolvedBody(0.5, ((0.25, 0.05), (0.305, 0.055)), tilt=0.012, gloss=1),
        _single_colour("#d4af37"),
    )
    canvas.fill(ellipse((0.5, 0.25), 0.05, 0.012), "#ecd27a")
    for side in (-1, 1):
        bow = curve((0.5, 0.2), (0.5, 0.2), (0.5 + side * 0.13, 0.13), (0.5 + side * 0.14, 0.25))
        canvas.fill_shaded(bow, style.palette.third, 0.015, 0.8)


VESSELS = {
    "mug": mug,
    "bottle": bottle,
    "tumbler": tumbler,
    "plant-pot": plant_pot,
    "lamp": lamp,
    "bauble": bauble,
}
"""Round things, by kind of product."""
