"""The colour schemes of the products."""

from dataclasses import dataclass

from PIL import ImageColor


@dataclass(frozen=True, slots=True)
class Palette:
    """Five colours: the background, three to print with, and one for outlines and letters."""

    name: str
    paper: str
    main: str
    second: str
    third: str
    ink: str

    @property
    def prints(self) -> tuple[str, str, str]:
        """The three colours to print with."""
        return (self.main, self.second, self.third)


def mix(one: str, other: str, share: float) -> str:
    """Return a colour between two colours: `share` (0 to 1) of the way to `other`, as #rrggbb."""
    pairs = zip(ImageColor.getrgb(one)[:3], ImageColor.getrgb(other)[:3], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


PALETTES = (
    Palette("Sunset", "#ffe8d6", "#f25f5c", "#ffb400", "#70377e", "#2b1e3f"),
    Palette("Ocean", "#e3f4f8", "#0077b6", "#48cae4", "#ffb703", "#03305a"),
    Palette("Forest", "#eef3e2", "#2d6a4f", "#95c77e", "#d98e04", "#16302b"),
    Palette("Berry", "#fbe6ef", "#c9184a", "#ff8fab", "#5a189a", "#3b0a2a"),
    Palette("Mustard", "#fff6da", "#e0a100", "#3d5a80", "#ee6c4d", "#293241"),
    Palette("Midnight", "#1d2a4d", "#f4d35e", "#7fb7e6", "#ee964b", "#0b132b"),
    Palette("Mint", "#c9f2e0", "#1fae9f", "#ff8f8f", "#ffd166", "#124e4a"),
    Palette("Charcoal", "#ededed", "#2a2a2a", "#8a8a8a", "#e63946", "#0a0a0a"),
    Palette("Terracotta", "#f7e2d0", "#c1440e", "#e6a57e", "#5b7553", "#4a2511"),
    Palette("Lavender", "#e9dffb", "#7b5ea7", "#bb98e8", "#f6c453", "#35234b"),
    Palette("Candy", "#fff0f6", "#ff3d8b", "#36c9f6", "#ffe14d", "#3a1a5e"),
    Palette("Lime", "#f0fad0", "#6fae12", "#f3de2c", "#fb6107", "#234010"),
    Palette("Ruby", "#8c1c2e", "#f6e7cb", "#f2a65a", "#e4576b", "#3e0a14"),
    Palette("Emerald", "#0b5d4e", "#f3e9d2", "#e9b44c", "#79c7a4", "#06332b"),
    Palette("Ink", "#222226", "#f5f5f5", "#ffd60a", "#8d99ae", "#08080a"),
    Palette("Sky", "#bfe1ff", "#1d5fbf", "#ffffff", "#ff7b54", "#12305c"),
    Palette("Coral", "#ff8a73", "#fff3e6", "#24506b", "#ffd56b", "#5a1f1b"),
    Palette("Sand", "#e6d5b5", "#8c5e3c", "#c49a58", "#3f6c6e", "#3a2a1b"),
    Palette("Turquoise", "#12a5a0", "#fffdf2", "#ffc857", "#e9724c", "#0b3f44"),
    Palette("Violet", "#4a2c7a", "#ffd9f0", "#f9a03f", "#8fe3cf", "#22103f"),
    Palette("Lemon", "#ffe45c", "#2f3640", "#e84a5f", "#2a9d8f", "#222831"),
)
