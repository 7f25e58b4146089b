"""Things to wear that hang or lie flat: shirts, hoodies, dresses, aprons."""

from shelfsight.demo.shop.canvas import Canvas, Laid, area, both, without
from shelfsight.demo.shop.look import Look
from shelfsight.demo.shop.palettes import mix
from shelfsight.demo.shop.shapes import (
    Box,
    Shape,
    curve,
    disc,
    ellipse,
    mirrored,
    polygon,
    rectangle,
    symmetric,
    traced,
    turned,
)


def _chest(canvas: Canvas, look: Look, box: Box) -> None:
    """A single picture on the chest, as a disc, a panel or a hexagon."""
    left, top, right, bottom = box
    x, y, radius = (left + right) / 2, (top + bottom) / 2, (right - left) / 2
    frames = (disc(x, y, radius), rectangle(box, 0.02), polygon((x, y), radius * 1.1, 6))
    canvas.fill(frames[int(look.random.integers(3))], Laid(look.print, box))


def _ground(look: Look) -> str:
    """The cloth of a garment with a single picture: one that differs from the picture's ground."""
    palette = look.palette
    choices = (look.cloth, palette.ink, mix(palette.second, palette.paper, 0.2), look.pale)
    return choices[int(look.random.integers(4))]


def _sew(canvas: Canvas, look: Look, parts: list[tuple[Shape, float]], box: Box) -> str:
    """Draw the parts of a garment, each with the turn of its cloth; gives the plain colour."""
    colour = _ground(look) if look.single else look.cloth
    _hang(canvas, *(part for part, _ in parts))
    for part, turn in parts:
        canvas.solid(part, colour if look.single else Laid(look.print, box, turn), 0.022, 0.5)
    return colour


def _hang(canvas: Canvas, *parts: Shape) -> None:
    """The shadow on the wall behind."""
    canvas.shadow(area(*parts), (0.015, 0.03), blur=0.022, strength=0.45)


def _pair(points: Shape) -> tuple[Shape, Shape]:
    return points, mirrored(points)


def _body_folds(top: float, bottom: float) -> list[Shape]:
    return [
        curve((0.33, top), (0.37, (top + bottom) / 2), (0.34, bottom), closed=False),
        curve((0.66, top + 0.06), (0.62, (top + bottom) / 2), (0.65, bottom), closed=False),
        curve((0.44, bottom - 0.2), (0.46, bottom - 0.1), (0.43, bottom), closed=False),
        curve((0.3, top - 0.02), (0.38, top + 0.04), (0.44, top + 0.05), closed=False),
    ]


def t_shirt(canvas: Canvas, look: Look) -> None:
    """A T-shirt with short sleeves and a round neck."""
    body = symmetric("50,15 39,12 29,16 28,35 28.5,60 27.5,90! 50,91.5")
    left, right = _pair(traced("33,13.5! 20,20 9,37! 22,44! 29,34!"))
    colour = _sew(canvas, look, [(left, 32), (right, -32), (body, 0)], (0.24, 0.12, 0.76, 0.64))
    dark = mix(colour, "#000000", 0.35)
    neck = ellipse((0.5, 0.125), 0.112, 0.085, 0, 180)
    canvas.fill(both(ellipse((0.5, 0.13), 0.118, 0.035), body), dark)
    canvas.fill(both(ellipse((0.5, 0.12), 0.105, 0.078), neck), dark)
    canvas.line(neck, 0.02, colour)
    canvas.line(ellipse((0.5, 0.125), 0.125, 0.1, 8, 172), 0.003, dark)
    canvas.folds(body, _body_folds(0.34, 0.88))
    for hem in (*_pair([(0.105, 0.355), (0.225, 0.42)]), [(0.279, 0.88), (0.721, 0.88)]):
        canvas.line(hem, 0.003, dark)
    if look.single:
        _chest(canvas, look, (0.34, 0.3, 0.66, 0.62))


def hoodie(canvas: Canvas, look: Look) -> None:
    """A hooded sweatshirt with long sleeves, strings and a pouch."""
    body = symmetric("50,22 38,20 29,26 28,50 27.5,84! 50,85")
    left, right = _pair(traced("34,21.5! 22,28 15,50 10,78! 20,80! 26,60 30,40!"))
    hood = traced("35,24 36,12 43,5 50,4 57,5 64,12 65,24 57,32 50,36 43,32")
    box = (0.24, 0.2, 0.76, 0.72)
    colour = _sew(canvas, look, [(left, 14), (right, -14), (body, 0), (hood, 0)], box)
    canvas.fill(traced("42,20 44,12 50,9.5 56,12 58,20 50,33!"), mix(colour, "#000000", 0.4))
    canvas.folds(body, _body_folds(0.42, 0.82))
    cuffs = _pair([(0.1, 0.775), (0.2, 0.795), (0.193, 0.86), (0.103, 0.845)])
    for cuff in (*cuffs, rectangle((0.285, 0.835, 0.715, 0.9), 0.012)):
        canvas.solid(cuff, mix(colour, "#000000", 0.12), 0.014, 0.7)
    if look.single:
        _chest(canvas, look, (0.375, 0.37, 0.625, 0.62))
    pouch = traced("38.5,64.5! 61.5,64.5! 67,76 66,83.5! 34,83.5! 33,76")
    canvas.shadow(pouch, (0.0, 0.004), blur=0.008, strength=0.4)
    canvas.solid(pouch, colour if look.single else Laid(look.print, box), 0.012, 0.5)
    for string in _pair(traced("46.5,31 45,40 46.5,50", closed=False)):
        canvas.line(string, 0.011, look.pale)
        canvas.line(string[-3:], 0.014, mix(look.pale, "#000000", 0.4))


def dress(canvas: Canvas, look: Look) -> None:
    """A sleeveless summer dress with a belt and a wide skirt."""
    bodice = symmetric("50,20 45,15 44.5,6! 41,6! 39,20 35.5,26 39,44!")
    skirt = symmetric("39,44! 30,62 18,90! 26,92 34,93.5 42,92.5 50,94")
    _hang(canvas, bodice, skirt)
    box = (0.2, 0.44, 0.8, 1.04) if look.single else (0.2, 0.1, 0.8, 0.7)
    canvas.solid(bodice, look.cloth if look.single else Laid(look.print, box), 0.025, 0.6)
    canvas.solid(skirt, Laid(look.print, box), 0.03, 0.5)
    creases = [
        turned([(0.5, 0.46), (0.5, 0.7), (0.5, 0.93)], angle, (0.5, 0.2))
        for angle in (-24, -15, -6, 4, 13, 22)
    ]
    canvas.folds(skirt, creases, 0.35)
    canvas.solid(rectangle((0.383, 0.425, 0.617, 0.465), 0.01), look.palette.ink, 0.01, 0.6)
    buckle = rectangle((0.475, 0.42, 0.525, 0.47), 0.008)
    canvas.fill(without(buckle, rectangle((0.487, 0.432, 0.513, 0.458))), "#d9b44a")


def bodysuit(canvas: Canvas, look: Look) -> None:
    """A baby's bodysuit with short sleeves and snaps."""
    body = symmetric("50,20 40,14 29,20 27,45 25,68! 36,75 43,88!")
    left, right = _pair(traced("35,16! 22,22 12,36! 22,43! 28.5,35!"))
    colour = _sew(canvas, look, [(left, 35), (right, -35), (body, 0)], (0.24, 0.14, 0.76, 0.66))
    neck = both(ellipse((0.5, 0.15), 0.1, 0.09), rectangle((0.3, 0.16, 0.7, 0.5)))
    canvas.fill(neck, mix(colour, "#000000", 0.35))
    for edge in (
        ellipse((0.5, 0.15), 0.105, 0.095, 0, 180),
        *_pair(traced("11.5,36.5 22.2,43.7", closed=False)),
        *_pair(traced("25,68 36,75 43,88", closed=False)),
        *_pair(traced("40.5,15.5 36,19 31,28", closed=False)),
    ):
        canvas.line(edge, 0.02, mix(colour, "#ffffff", 0.45) if look.single else look.palette.third)
    canvas.folds(body, _body_folds(0.36, 0.66), 0.22)
    for x in (0.455, 0.5, 0.545):
        canvas.solid(disc(x, 0.855, 0.014), "#e9e9ec", 0.006, 1.0)
    if look.single:
        _chest(canvas, look, (0.35, 0.3, 0.65, 0.6))


def apron(canvas: Canvas, look: Look) -> None:
    """A kitchen apron with a bib, a pocket and strings."""
    canvas.line(traced("39,17 39,8 50,3 61,8 61,17", closed=False), 0.026, look.palette.ink)
    for string in _pair(traced("23,43 12,46 8,60 12,72", closed=False)):
        canvas.line(string, 0.022, look.palette.ink)
    bib = symmetric("37,16! 34,30 22,42! 20,70 22,94! 50,95")
    _hang(canvas, bib)
    box = (0.12, 0.13, 0.88, 0.89) if look.single else (0.2, 0.16, 0.8, 0.76)
    canvas.solid(bib, Laid(look.print, box), 0.022, 0.5)
    canvas.folds(bib, _body_folds(0.5, 0.92))
    pocket = rectangle((0.37, 0.7, 0.63, 0.86), 0.02)
    canvas.shadow(pocket, (0.004, 0.008), blur=0.01, strength=0.35)
    canvas.solid(pocket, look.cloth, 0.014, 0.5)
    for seam in ([(0.375, 0.73), (0.625, 0.73)], [(0.5, 0.705), (0.5, 0.855)]):
        canvas.line(seam, 0.003, mix(look.cloth, "#ffffff", 0.5))


GARMENTS = {
    "t-shirt": t_shirt,
    "hoodie": hoodie,
    "dress": dress,
    "bodysuit": bodysuit,
    "apron": apron,
}
"""Clothes, by kind."""
