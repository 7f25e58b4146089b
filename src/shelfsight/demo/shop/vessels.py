"""Things that stand on a table and are round: mugs, bottles, lamps, pots."""

import math

from PIL import Image

from shelfsight.demo.shop.canvas import Canvas, both, stroke, without
from shelfsight.demo.shop.look import Look
from shelfsight.demo.shop.palettes import mix
from shelfsight.demo.shop.shapes import curve, disc, ellipse, leaf, rectangle, traced, turned
from shelfsight.demo.shop.turning import Turned, throw


def _plain(colour: str) -> Image.Image:
    return Image.new("RGB", (8, 8), colour)


def _stand(canvas: Canvas, x: float, y: float, width: float) -> None:
    """The shadow on the table below something that stands there."""
    canvas.shadow(ellipse((x + 0.03, y), width * 1.12, 0.045), (0.02, 0), blur=0.03, strength=0.45)
    canvas.shadow(ellipse((x, y), width, 0.022), (0.004, 0.004), blur=0.01, strength=0.6)


def mug(canvas: Canvas, look: Look) -> None:
    """A mug with a handle, seen a little from above."""
    side = 1 if look.random.random() < 0.7 else -1
    x, inside = 0.5 - side * 0.08, look.cloth
    _stand(canvas, x, 0.83, 0.25)
    ear = x + side * 0.25
    handle = without(ellipse((ear, 0.53), 0.17, 0.2), ellipse((ear, 0.53), 0.112, 0.142))
    canvas.fill(handle, inside if look.random.random() < 0.5 else look.pale)
    canvas.round_off(handle, 0.018, 0.9)
    body = Turned(x, ((0.25, 0.262), (0.72, 0.262), (0.78, 0.25), (0.81, 0.225)), tilt=0.05)
    throw(canvas, body, look.print)
    canvas.fill(ellipse((x, 0.25), 0.264, 0.062), look.pale)
    hollow = canvas.fill(ellipse((x, 0.252), 0.246, 0.051), mix(inside, "#ffffff", 0.25))
    canvas.dim(ellipse((x - 0.1, 0.23), 0.25, 0.05), 0.5, blur=0.03, within=hollow)
    if look.random.random() < 0.5:
        drink = both(hollow, ellipse((x, 0.285), 0.236, 0.045))
        canvas.fill(drink, "#4a2a17")
        canvas.light(ellipse((x - 0.08, 0.275), 0.06, 0.01), 0.35, blur=0.012, within=drink)


def bottle(canvas: Canvas, look: Look) -> None:
    """A steel drinking bottle with a screw cap and a loop."""
    _stand(canvas, 0.5, 0.925, 0.15)
    loop = without(ellipse((0.5, 0.1), 0.062, 0.06), ellipse((0.5, 0.1), 0.036, 0.036))
    canvas.fill(loop, "#33363b")
    canvas.round_off(loop, 0.01, 0.8)
    body = Turned(
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
    throw(canvas, body, look.print)
    throw(
        canvas,
        Turned(0.5, ((0.195, 0.074), (0.225, 0.074)), tilt=0.014, gloss=1),
        _plain("#c3c7cc"),
    )
    throw(
        canvas,
        Turned(0.5, ((0.125, 0.072), (0.135, 0.08), (0.2, 0.08)), tilt=0.014),
        _plain("#33363b"),
    )
    canvas.fill(ellipse((0.5, 0.13), 0.072, 0.014), "#4b4f55")


def tumbler(canvas: Canvas, look: Look) -> None:
    """A tapered travel cup with a lid and a straw."""
    _stand(canvas, 0.5, 0.93, 0.15)
    straw = stroke(0.026, [(0.535, 0.3), (0.6, 0.03)])
    canvas.fill(straw, look.palette.third)
    canvas.round_off(straw, 0.008, 0.8)
    throw(
        canvas,
        Turned(0.5, ((0.24, 0.21), (0.88, 0.145), (0.905, 0.13)), tilt=0.032, gloss=0.6),
        look.print,
    )
    throw(
        canvas,
        Turned(0.5, ((0.205, 0.2), (0.215, 0.22), (0.25, 0.22), (0.258, 0.214)), tilt=0.034),
        _plain("#3b3d42"),
    )
    lid = canvas.fill(ellipse((0.5, 0.207), 0.2, 0.042), "#55585e")
    canvas.round_off(lid, 0.02, 0.6)
    canvas.fill(ellipse((0.552, 0.205), 0.024, 0.009), "#1d1e21")
    canvas.fill(both(straw, rectangle((0, 0, 1, 0.207))), look.palette.third)
    canvas.round_off(both(straw, rectangle((0, 0, 1, 0.207))), 0.008, 0.8)


def _aloe(canvas: Canvas, look: Look) -> None:
    for i, angle in enumerate((-168, -148, -125, -105, -85, -62, -40, -15, -135, -75, -50)):
        blade = leaf((0.5, 0.5), 0.4 - 0.05 * (i % 3), 0.062, angle + look.random.uniform(-7, 7))
        canvas.fill(blade, mix("#3f8f4f", "#0e3b1e" if i % 2 else "#b9dc8a", 0.12 * (i % 4)))
        canvas.round_off(blade, 0.014, 0.7)
        canvas.line([blade[0], blade[7]], 0.004, "#86b78c")


def _tulips(canvas: Canvas, look: Look) -> None:
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
        canvas.solid(bloom, look.palette.third, 0.018, 0.7)
    for angle in (-150, -118, -62, -30):
        canvas.solid(leaf((0.5, 0.5), 0.36, 0.04, angle), "#5d9c4c", 0.012, 0.7)


def _cactus(canvas: Canvas, look: Look) -> None:
    arm = [(0.5, 0.36), (0.62, 0.35), (0.63, 0.22)]
    parts = (
        (stroke(0.07, arm), [(0.63, 0.2), (0.63, 0.33)]),
        (stroke(0.06, [(0.5, 0.41), (0.38, 0.4), (0.37, 0.3)]), [(0.37, 0.29), (0.37, 0.38)]),
        (stroke(0.13, [(0.5, 0.16), (0.5, 0.5)]), [(0.5, 0.11), (0.5, 0.48)]),
    )
    for mask, rib in parts:
        canvas.solid(mask, "#4f8f5b", 0.022, 0.8)
        for shift in (-0.018, 0.018):
            canvas.line([(x + shift, y) for x, y in rib], 0.005, "#a9cf9d")
    for turn in range(0, 360, 60):
        canvas.patch(leaf((0.5, 0.095), 0.055, 0.016, turn), look.palette.second)


def plant_pot(canvas: Canvas, look: Look) -> None:
    """A flower pot with a plant."""
    _stand(canvas, 0.5, 0.91, 0.2)
    throw(
        canvas,
        Turned(0.5, ((0.55, 0.23), (0.88, 0.165), (0.9, 0.155)), tilt=0.04, gloss=0.3),
        look.print,
    )
    throw(
        canvas,
        Turned(0.5, ((0.485, 0.25), (0.495, 0.255), (0.56, 0.25)), tilt=0.045, gloss=0.3),
        _plain(look.cloth),
    )
    canvas.fill(ellipse((0.5, 0.487), 0.25, 0.048), mix(look.cloth, "#ffffff", 0.2))
    soil = canvas.fill(ellipse((0.5, 0.49), 0.228, 0.038), "#3d2a1d")
    canvas.round_off(soil, 0.02, 0.6)
    (_aloe, _tulips, _cactus)[int(look.random.integers(3))](canvas, look)


def lamp(canvas: Canvas, look: Look) -> None:
    """A table lamp: a printed shade on a wooden or metal foot."""
    _stand(canvas, 0.5, 0.925, 0.16)
    wood = "#b98552" if look.random.random() < 0.5 else "#6d7278"
    outline = traced("56,2.2 62,2.4 66,6 70,7.2 75,5.5 80,2.6 85,3 88,14 91,16", closed=False)
    foot = Turned(0.5, tuple(outline), tilt=0.02, gloss=0.6)
    throw(canvas, foot, _plain(wood))
    throw(canvas, Turned(0.5, ((0.12, 0.19), (0.58, 0.33)), tilt=0.045, gloss=0.15), look.print)
    rim = ellipse((0.5, 0.12), 0.19, 0.032)
    canvas.fill(rim, mix("#fff3d6", look.palette.paper, 0.3))
    canvas.light(disc(0.5, 0.36, 0.14), 0.3, blur=0.08, within=canvas.cover)
    canvas.line(ellipse((0.5, 0.12), 0.19, 0.032), 0.008, look.cloth)
    canvas.line(ellipse((0.5, 0.58), 0.329, 0.045, 0, 180), 0.012, look.cloth)


def bauble(canvas: Canvas, look: Look) -> None:
    """A ball for the Christmas tree, with a cap and a bow."""
    canvas.shadow(disc(0.5, 0.6, 0.3), (0.03, 0.05), blur=0.05, strength=0.4)
    canvas.line([(0.5, 0.0), (0.5, 0.26)], 0.008, "#c9a227")
    ball = tuple(
        (0.6 - 0.31 * math.cos(turn), 0.001 + 0.31 * math.sin(turn))
        for turn in (math.pi * i / 40 for i in range(41))
    )
    mask = throw(canvas, Turned(0.5, ball, tilt=0.0, gloss=0.1), look.print)
    canvas.round_off(mask, 0.07, 0.75)
    canvas.light(
        turned(ellipse((0.38, 0.45), 0.07, 0.04), -45, (0.38, 0.45)), 0.8, blur=0.02, within=mask
    )
    throw(
        canvas, Turned(0.5, ((0.25, 0.05), (0.305, 0.055)), tilt=0.012, gloss=1), _plain("#d4af37")
    )
    canvas.fill(ellipse((0.5, 0.25), 0.05, 0.012), "#ecd27a")
    for side in (-1, 1):
        bow = curve((0.5, 0.2), (0.5, 0.2), (0.5 + side * 0.13, 0.13), (0.5 + side * 0.14, 0.25))
        canvas.solid(bow, look.palette.third, 0.015, 0.8)


VESSELS = {
    "mug": mug,
    "bottle": bottle,
    "tumbler": tumbler,
    "plant-pot": plant_pot,
    "lamp": lamp,
    "bauble": bauble,
}
"""Round things, by kind."""
