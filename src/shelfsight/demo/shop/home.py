"""Draw things for the home and for play: posters, cushions, clocks, plates, skateboards, kites."""

import math

from shelfsight.demo.shop.canvas import Canvas, TiledFill, difference, intersection, stroke, union
from shelfsight.demo.shop.palettes import mix
from shelfsight.demo.shop.shapes import curve, disc, ellipse, parse_curve, rectangle, rotated
from shelfsight.demo.shop.style import Style


def poster(canvas: Canvas, style: Style) -> None:
    """Draw a framed poster on a wall."""
    frames = ("#2b2b2e", "#b88a57", "#f4f2ee", "#7b4f2c")
    wood = frames[int(style.random.integers(4))]
    outer, inner = rectangle((0.19, 0.06, 0.81, 0.93)), rectangle((0.215, 0.085, 0.785, 0.905))
    canvas.shadow(outer, (0.025, 0.04), blur=0.025, strength=0.5)
    canvas.fill(outer, wood)
    canvas.shade_volume(difference(outer, inner), 0.012, 0.8)
    canvas.fill(inner, "#fdfcf9")
    sheet = (0.25, 0.12, 0.75, 0.87)
    canvas.fill(rectangle(sheet), style.palette.paper)
    if style.is_picture:
        canvas.fill(
            rectangle((0.25, 0.12, 0.75, 0.62)), TiledFill(style.artwork, (0.25, 0.12, 0.75, 0.62))
        )
        canvas.fill(rectangle((0.25, 0.62, 0.75, 0.87)), style.palette.ink)
        for y, width in ((0.7, 0.3), (0.76, 0.18), (0.8, 0.24)):
            canvas.line([(0.5 - width / 2, y), (0.5 + width / 2, y)], 0.012, style.palette.paper)
    else:
        canvas.fill(rectangle(sheet), TiledFill(style.artwork, (0.25, 0.12, 0.75, 0.62)))
    canvas.darken(
        [(0.215, 0.085), (0.785, 0.085), (0.785, 0.1), (0.23, 0.1), (0.23, 0.905), (0.215, 0.905)],
        0.3,
        blur=0.006,
    )
    canvas.lighten(
        [(0.5, 0.085), (0.72, 0.085), (0.36, 0.905), (0.215, 0.905), (0.215, 0.73)],
        0.1,
        within=union(inner),
    )


def cushion(canvas: Canvas, style: Style) -> None:
    """Draw a square cushion, plump in the middle, with piping."""
    outline = parse_curve(
        "10,12! 30,16 50,17 70,16 90,12! 86,30 85,50 86,70 90,90! 70,86.5 50,86 "
        "30,86.5 10,90! 14,70 15,50 14,30"
    )
    canvas.shadow(outline, (0.02, 0.05), blur=0.035, strength=0.5)
    mask = canvas.fill(outline, TiledFill(style.artwork, (0.14, 0.15, 0.86, 0.87)))
    canvas.line([*outline, outline[0]], 0.014, style.base_colour)
    canvas.shade_volume(mask, 0.1, 0.5)
    canvas.shade_volume(mask, 0.03, 0.45)
    canvas.lighten(ellipse((0.42, 0.4), 0.2, 0.16), 0.14, blur=0.08, within=mask)
    corner = [
        parse_curve(path, closed=False)
        for path in ("15,12 22,10.8 29,11.6", "15,16 22,17.2 29,16.4")
    ]
    lines = [
        rotated(rotated(line, 45, (0.12, 0.14)), turn)
        for line in corner
        for turn in (0, 90, 180, 270)
    ]
    canvas.crease(mask, lines, 0.35)


def clock(canvas: Canvas, style: Style) -> None:
    """Draw a round wall clock: a frame, twelve marks, two hands."""
    rim = disc(0.5, 0.5, 0.42)
    canvas.shadow(rim, (0.025, 0.045), blur=0.03, strength=0.5)
    canvas.fill(rim, style.palette.ink if style.random.random() < 0.5 else "#b88a57")
    canvas.shade_volume(difference(rim, disc(0.5, 0.5, 0.375)), 0.016, 0.9)
    face = canvas.fill(
        disc(0.5, 0.5, 0.375), TiledFill(style.artwork, (0.125, 0.125, 0.875, 0.875))
    )
    canvas.darken(difference(face, disc(0.51, 0.52, 0.36)), 0.35, blur=0.015, within=face)
    for hour in range(12):
        x, y = rotated([(0.5, 0.175)], hour * 30)[0]
        size = 0.03 if hour % 3 == 0 else 0.02
        canvas.fill_flat(disc(x, y, size + 0.004), "#1b1c20")
        canvas.fill_flat(disc(x, y, size), "#ffffff")
    minutes = int(style.random.integers(60))
    hands = ((0.03, 0.26, minutes * 6), (0.036, 0.17, 30 * (10 + minutes / 60)))
    for width, length, angle in hands:
        hand = rotated([(0.5, 0.55), (0.5, 0.5 - length)], angle)
        canvas.shadow(stroke(width, hand), (0.008, 0.014), blur=0.008, strength=0.5)
        canvas.line(hand, width, "#ffffff")
        canvas.line(hand, width - 0.014, "#1b1c20")
    canvas.line(rotated([(0.5, 0.58), (0.5, 0.2)], style.random.uniform(0, 360)), 0.008, "#d62828")
    canvas.fill_flat(disc(0.5, 0.5, 0.026), "#d62828")
    gloss = [(0.2, 0.28), (0.4, 0.13), (0.56, 0.125), (0.16, 0.6)]
    canvas.lighten(gloss, 0.14, blur=0.01, within=face)


def plate(canvas: Canvas, style: Style) -> None:
    """Draw a dinner plate from above, with a fork and a knife."""
    rim = disc(0.5, 0.5, 0.335)
    canvas.shadow(rim, (0.02, 0.035), blur=0.025, strength=0.5)
    canvas.fill(rim, style.pale_colour)
    mask = canvas.fill(disc(0.5, 0.5, 0.32), TiledFill(style.artwork, (0.18, 0.18, 0.82, 0.82)))
    well = disc(0.5, 0.5, 0.225)
    canvas.darken(difference(disc(0.497, 0.496, 0.232), well), 0.45, blur=0.008, within=mask)
    canvas.lighten(difference(disc(0.505, 0.507, 0.236), well), 0.45, blur=0.008, within=mask)
    canvas.shade_volume(rim, 0.03, 0.5)
    gaps = union(*(rectangle((x, 0.2, x + 0.006, 0.32)) for x in (0.093, 0.103, 0.113)))
    prongs, handle = (
        parse_curve("8.5,22! 12.5,22! 13,34 11.2,40 9.8,40 8,34"),
        (0.097, 0.38, 0.113, 0.84),
    )
    fork = difference(union(prongs, rectangle(handle, 0.007)), gaps)
    blade, handle = (
        parse_curve("88.5,20! 92,26 92.5,46 91.8,50 88.5,50!"),
        (0.889, 0.48, 0.911, 0.84),
    )
    knife = union(blade, rectangle(handle, 0.01))
    for piece in (fork, knife):
        canvas.shadow(piece, (0.008, 0.016), blur=0.01, strength=0.5)
        canvas.fill_shaded(piece, "#c4c9cf", 0.008, 0.9)


def notebook(canvas: Canvas, style: Style) -> None:
    """Draw a spiral notebook with rounded corners, and an elastic band."""
    lean = style.random.uniform(-4, 4)
    cover = rotated(rectangle((0.22, 0.08, 0.8, 0.92), 0.025), lean)
    pages = rotated(rectangle((0.23, 0.095, 0.812, 0.928), 0.015), lean)
    canvas.shadow(cover, (0.022, 0.04), blur=0.025, strength=0.5)
    canvas.fill(pages, "#f3efe4")
    canvas.line(rotated([(0.807, 0.12), (0.807, 0.91)], lean), 0.002, "#b8b3a5")
    box = (0.2, 0.2, 0.84, 0.84) if style.is_picture else (0.22, 0.08, 0.8, 0.66)
    mask = canvas.fill(cover, TiledFill(style.artwork, box, lean))
    if style.is_picture:
        for band in (rectangle((0.1, 0.0, 0.9, 0.2)), rectangle((0.1, 0.84, 0.9, 1.0))):
            canvas.fill(intersection(mask, rotated(band, lean)), style.base_colour)
    canvas.shade_volume(mask, 0.012, 0.5)
    canvas.darken(
        rotated(rectangle((0.27, 0.05, 0.285, 0.95)), lean), 0.35, blur=0.008, within=mask
    )
    for i in range(19):
        y = 4.2 * i
        canvas.fill_flat(disc(*rotated([(0.25, 0.125 + y / 100)], lean)[0], 0.011), "#3a3936")
        ring = parse_curve(
            f"25,{12.5 + y} 21.5,{10.5 + y} 18.5,{12.1 + y} 20,{13.3 + y}", closed=False
        )
        canvas.line(rotated(ring, lean), 0.009, "#8d9298")
    band = rotated(rectangle((0.72, 0.078, 0.742, 0.922)), lean)
    canvas.shadow(band, (0.004, 0.004), blur=0.006, strength=0.4)
    canvas.fill_shaded(band, style.palette.ink, 0.006, 0.6)


def skateboard(canvas: Canvas, style: Style) -> None:
    """Draw the underside of a skateboard with trucks and wheels, tilted."""
    lean = 14 if style.random.random() < 0.5 else -14
    deck = rotated(rectangle((0.365, 0.03, 0.635, 0.97), 0.134), lean)
    canvas.shadow(deck, (0.03, 0.045), blur=0.03, strength=0.45)
    canvas.fill(rotated(rectangle((0.37, 0.034, 0.645, 0.974), 0.134), lean), "#c79a63")
    if style.is_picture:
        box = (0.31, 0.31, 0.69, 0.69)
        canvas.fill(deck, style.base_colour)
        panel = rotated(rectangle((0.3, 0.31, 0.7, 0.69)), lean)
        canvas.fill(intersection(deck, panel), TiledFill(style.artwork, box, lean))
    else:
        canvas.fill(deck, TiledFill(style.artwork, (0.36, 0.1, 0.76, 0.5), lean))
    canvas.shade_volume(deck, 0.022, 0.55)
    for y in (0.215, 0.785):
        axle = stroke(0.026, rotated([(0.35, y), (0.65, y)], lean))
        base = rotated(rectangle((0.455, y - 0.07, 0.545, y + 0.07), 0.015), lean)
        for metal in (base, axle):
            canvas.shadow(metal, (0.008, 0.014), blur=0.01, strength=0.45)
            canvas.fill_shaded(metal, "#a7acb3", 0.012, 0.9)
        for x in (0.335, 0.625):
            wheel = rotated(rectangle((x, y - 0.042, x + 0.045, y + 0.042), 0.016), lean)
            canvas.shadow(wheel, (0.01, 0.016), blur=0.012, strength=0.5)
            canvas.fill_shaded(wheel, mix(style.palette.third, "#ffffff", 0.15), 0.014, 0.8)
        for dx in (-0.028, 0.028):
            for dy in (-0.05, 0.05):
                canvas.fill_flat(disc(*rotated([(0.5 + dx, y + dy)], lean)[0], 0.007), "#3b3d42")


def kite(canvas: Canvas, style: Style) -> None:
    """Draw a kite with a cross of spars and a tail of bows."""
    tail = [(0.5 + 0.06 * math.sin(t * 0.9), 0.66 + t * 0.033) for t in range(10)]
    canvas.line(curve(*tail, closed=False), 0.006, style.palette.ink)
    for i, (x, y) in enumerate(tail[2::2]):
        for side in (-1, 1):
            bow = [(x, y), (x + side * 0.05, y - 0.022), (x + side * 0.05, y + 0.022)]
            canvas.fill_shaded(bow, style.palette.prints[i % 3], 0.01, 0.6)
    sail = [(0.5, 0.05), (0.82, 0.3), (0.5, 0.68), (0.18, 0.3)]
    canvas.shadow(sail, (0.04, 0.06), blur=0.04, strength=0.3)
    mask = canvas.fill(sail, TiledFill(style.artwork, (0.19, 0.06, 0.81, 0.68)))
    canvas.darken([(0.5, 0.05), (0.82, 0.3), (0.5, 0.68)], 0.16, within=mask)
    canvas.darken([(0.18, 0.3), (0.82, 0.3), (0.5, 0.68)], 0.1, within=mask)
    canvas.line([*sail, sail[0]], 0.012, style.base_colour)
    canvas.line([(0.5, 0.05), (0.5, 0.68)], 0.01, "#9c7a4d")
    canvas.line([(0.18, 0.3), (0.82, 0.3)], 0.01, "#9c7a4d")


HOME = {
    "poster": poster,
    "cushion": cushion,
    "clock": clock,
    "plate": plate,
    "notebook": notebook,
    "skateboard": skateboard,
    "kite": kite,
}
"""Things for the home and for play, by kind of product."""
