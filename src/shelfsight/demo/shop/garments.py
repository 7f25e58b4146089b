"""Draw clothes, hanging or lying flat: T-shirts, hoodies, dresses, bodysuits, aprons."""

from shelfsight.demo.shop.canvas import Canvas, TiledFill, difference, intersection, union
from shelfsight.demo.shop.palettes import mix
from shelfsight.demo.shop.shapes import (
    Box,
    Shape,
    curve,
    disc,
    ellipse,
    mirrored,
    parse_curve,
    parse_symmetric_curve,
    polygon,
    rectangle,
    rotated,
)
from shelfsight.demo.shop.style import Style


def _print_on_chest(canvas: Canvas, style: Style, box: Box) -> None:
    """Print the picture on the chest, in a disc, a panel or a hexagon."""
    left, top, right, bottom = box
    x, y, radius = (left + right) / 2, (top + bottom) / 2, (right - left) / 2
    frames = (disc(x, y, radius), rectangle(box, 0.02), polygon((x, y), radius * 1.1, 6))
    canvas.fill(frames[int(style.random.integers(3))], TiledFill(style.artwork, box))


def _fabric_colour(style: Style) -> str:
    """Choose a fabric colour that differs from the background of the picture printed on it."""
    palette = style.palette
    choices = (
        style.base_colour,
        palette.ink,
        mix(palette.second, palette.paper, 0.2),
        style.pale_colour,
    )
    return choices[int(style.random.integers(4))]


def _draw_parts(canvas: Canvas, style: Style, parts: list[tuple[Shape, float]], box: Box) -> str:
    """Draw the parts of a garment; return the colour of its unprinted parts.

    Each part comes with the angle, in degrees, at which its fabric is cut.
    """
    colour = _fabric_colour(style) if style.is_picture else style.base_colour
    _wall_shadow(canvas, *(part for part, _ in parts))
    for part, angle in parts:
        canvas.fill_shaded(
            part, colour if style.is_picture else TiledFill(style.artwork, box, angle), 0.022, 0.5
        )
    return colour


def _wall_shadow(canvas: Canvas, *parts: Shape) -> None:
    """Draw the shadow that the garment casts on the wall behind it."""
    canvas.shadow(union(*parts), (0.015, 0.03), blur=0.022, strength=0.45)


def _with_mirror_image(points: Shape) -> tuple[Shape, Shape]:
    return points, mirrored(points)


def _body_folds(top: float, bottom: float) -> list[Shape]:
    """Return the lines along which the body of a garment creases."""
    return [
        curve((0.33, top), (0.37, (top + bottom) / 2), (0.34, bottom), closed=False),
        curve((0.66, top + 0.06), (0.62, (top + bottom) / 2), (0.65, bottom), closed=False),
        curve((0.44, bottom - 0.2), (0.46, bottom - 0.1), (0.43, bottom), closed=False),
        curve((0.3, top - 0.02), (0.38, top + 0.04), (0.44, top + 0.05), closed=False),
    ]


def t_shirt(canvas: Canvas, style: Style) -> None:
    """Draw a T-shirt with short sleeves and a round neck."""
    body = parse_symmetric_curve("50,15 39,12 29,16 28,35 28.5,60 27.5,90! 50,91.5")
    left, right = _with_mirror_image(parse_curve("33,13.5! 20,20 9,37! 22,44! 29,34!"))
    colour = _draw_parts(
        canvas, style, [(left, 32), (right, -32), (body, 0)], (0.24, 0.12, 0.76, 0.64)
    )
    dark = mix(colour, "#000000", 0.35)
    neck = ellipse((0.5, 0.125), 0.112, 0.085, 0, 180)
    canvas.fill(intersection(ellipse((0.5, 0.13), 0.118, 0.035), body), dark)
    canvas.fill(intersection(ellipse((0.5, 0.12), 0.105, 0.078), neck), dark)
    canvas.line(neck, 0.02, colour)
    canvas.line(ellipse((0.5, 0.125), 0.125, 0.1, 8, 172), 0.003, dark)
    canvas.crease(body, _body_folds(0.34, 0.88))
    for hem in (
        *_with_mirror_image([(0.105, 0.355), (0.225, 0.42)]),
        [(0.279, 0.88), (0.721, 0.88)],
    ):
        canvas.line(hem, 0.003, dark)
    if style.is_picture:
        _print_on_chest(canvas, style, (0.34, 0.3, 0.66, 0.62))


def hoodie(canvas: Canvas, style: Style) -> None:
    """Draw a hooded sweatshirt with long sleeves, strings and a pouch."""
    body = parse_symmetric_curve("50,22 38,20 29,26 28,50 27.5,84! 50,85")
    left, right = _with_mirror_image(parse_curve("34,21.5! 22,28 15,50 10,78! 20,80! 26,60 30,40!"))
    hood = parse_curve("35,24 36,12 43,5 50,4 57,5 64,12 65,24 57,32 50,36 43,32")
    box = (0.24, 0.2, 0.76, 0.72)
    colour = _draw_parts(canvas, style, [(left, 14), (right, -14), (body, 0), (hood, 0)], box)
    canvas.fill(parse_curve("42,20 44,12 50,9.5 56,12 58,20 50,33!"), mix(colour, "#000000", 0.4))
    canvas.crease(body, _body_folds(0.42, 0.82))
    cuffs = _with_mirror_image([(0.1, 0.775), (0.2, 0.795), (0.193, 0.86), (0.103, 0.845)])
    for cuff in (*cuffs, rectangle((0.285, 0.835, 0.715, 0.9), 0.012)):
        canvas.fill_shaded(cuff, mix(colour, "#000000", 0.12), 0.014, 0.7)
    if style.is_picture:
        _print_on_chest(canvas, style, (0.375, 0.37, 0.625, 0.62))
    pouch = parse_curve("38.5,64.5! 61.5,64.5! 67,76 66,83.5! 34,83.5! 33,76")
    canvas.shadow(pouch, (0.0, 0.004), blur=0.008, strength=0.4)
    canvas.fill_shaded(
        pouch, colour if style.is_picture else TiledFill(style.artwork, box), 0.012, 0.5
    )
    for string in _with_mirror_image(parse_curve("46.5,31 45,40 46.5,50", closed=False)):
        canvas.line(string, 0.011, style.pale_colour)
        canvas.line(string[-3:], 0.014, mix(style.pale_colour, "#000000", 0.4))


def dress(canvas: Canvas, style: Style) -> None:
    """Draw a sleeveless summer dress with a belt and a wide skirt."""
    bodice = parse_symmetric_curve("50,20 45,15 44.5,6! 41,6! 39,20 35.5,26 39,44!")
    skirt = parse_symmetric_curve("39,44! 30,62 18,90! 26,92 34,93.5 42,92.5 50,94")
    _wall_shadow(canvas, bodice, skirt)
    box = (0.2, 0.44, 0.8, 1.04) if style.is_picture else (0.2, 0.1, 0.8, 0.7)
    canvas.fill_shaded(
        bodice, style.base_colour if style.is_picture else TiledFill(style.artwork, box), 0.025, 0.6
    )
    canvas.fill_shaded(skirt, TiledFill(style.artwork, box), 0.03, 0.5)
    creases = [
        rotated([(0.5, 0.46), (0.5, 0.7), (0.5, 0.93)], angle, (0.5, 0.2))
        for angle in (-24, -15, -6, 4, 13, 22)
    ]
    canvas.crease(skirt, creases, 0.35)
    canvas.fill_shaded(rectangle((0.383, 0.425, 0.617, 0.465), 0.01), style.palette.ink, 0.01, 0.6)
    buckle = rectangle((0.475, 0.42, 0.525, 0.47), 0.008)
    canvas.fill(difference(buckle, rectangle((0.487, 0.432, 0.513, 0.458))), "#d9b44a")


def bodysuit(canvas: Canvas, style: Style) -> None:
    """Draw a baby's bodysuit with short sleeves and snaps."""
    body = parse_symmetric_curve("50,20 40,14 29,20 27,45 25,68! 36,75 43,88!")
    left, right = _with_mirror_image(parse_curve("35,16! 22,22 12,36! 22,43! 28.5,35!"))
    colour = _draw_parts(
        canvas, style, [(left, 35), (right, -35), (body, 0)], (0.24, 0.14, 0.76, 0.66)
    )
    neck = intersection(ellipse((0.5, 0.15), 0.1, 0.09), rectangle((0.3, 0.16, 0.7, 0.5)))
    canvas.fill(neck, mix(colour, "#000000", 0.35))
    for edge in (
        ellipse((0.5, 0.15), 0.105, 0.095, 0, 180),
        *_with_mirror_image(parse_curve("11.5,36.5 22.2,43.7", closed=False)),
        *_with_mirror_image(parse_curve("25,68 36,75 43,88", closed=False)),
        *_with_mirror_image(parse_curve("40.5,15.5 36,19 31,28", closed=False)),
    ):
        canvas.line(
            edge, 0.02, mix(colour, "#ffffff", 0.45) if style.is_picture else style.palette.third
        )
    canvas.crease(body, _body_folds(0.36, 0.66), 0.22)
    for x in (0.455, 0.5, 0.545):
        canvas.fill_shaded(disc(x, 0.855, 0.014), "#e9e9ec", 0.006, 1.0)
    if style.is_picture:
        _print_on_chest(canvas, style, (0.35, 0.3, 0.65, 0.6))


def apron(canvas: Canvas, style: Style) -> None:
    """Draw a kitchen apron with a bib, a pocket and strings."""
    canvas.line(parse_curve("39,17 39,8 50,3 61,8 61,17", closed=False), 0.026, style.palette.ink)
    for string in _with_mirror_image(parse_curve("23,43 12,46 8,60 12,72", closed=False)):
        canvas.line(string, 0.022, style.palette.ink)
    bib = parse_symmetric_curve("37,16! 34,30 22,42! 20,70 22,94! 50,95")
    _wall_shadow(canvas, bib)
    box = (0.12, 0.13, 0.88, 0.89) if style.is_picture else (0.2, 0.16, 0.8, 0.76)
    canvas.fill_shaded(bib, TiledFill(style.artwork, box), 0.022, 0.5)
    canvas.crease(bib, _body_folds(0.5, 0.92))
    pocket = rectangle((0.37, 0.7, 0.63, 0.86), 0.02)
    canvas.shadow(pocket, (0.004, 0.008), blur=0.01, strength=0.35)
    canvas.fill_shaded(pocket, style.base_colour, 0.014, 0.5)
    for seam in ([(0.375, 0.73), (0.625, 0.73)], [(0.5, 0.705), (0.5, 0.855)]):
        canvas.line(seam, 0.003, mix(style.base_colour, "#ffffff", 0.5))


GARMENTS = {
    "t-shirt": t_shirt,
    "hoodie": hoodie,
    "dress": dress,
    "bodysuit": bodysuit,
    "apron": apron,
}
"""Clothes, by kind of product."""
