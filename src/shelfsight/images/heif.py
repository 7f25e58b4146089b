"""Opens HEIC and HEIF pictures, as phones take them; Pillow alone does not read them."""

from io import BytesIO

from PIL import ImageFile

FORMAT = "HEIF"

_HEVC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
"""Brands of pictures that are compressed with HEVC (ISO/IEC 23008-12)."""
_ANY = (b"mif1", b"msf1")
"""Brands of pictures in this container, whatever compresses them."""
_AVIF = (b"avif", b"avis")


def is_heif(data: bytes) -> bool:
    """Return whether a file says that it is a HEIF picture, and not AVIF, which Pillow reads."""
    if data[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, size, 4))}
    return not brands.isdisjoint(_HEVC) or (data[8:12] in _ANY and brands.isdisjoint(_AVIF))


def open_heif(data: bytes) -> ImageFile.ImageFile:
    """Open a HEIC picture; its pixels are decoded by `load()`, upright.

    Raises:
        SyntaxError: the file is broken.
        OSError: the same.
    """
    # Imported here, because it takes 60 ms, and few shops have such pictures.
    from pi_heif import HeifImageFile, options

    options.DECODE_THREADS = 1  # its processor time is limited
    opened: ImageFile.ImageFile = HeifImageFile(BytesIO(data))
    return opened
