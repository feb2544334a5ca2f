"""Opening, checking and fitting pictures with Pillow. Runs in the child processes only."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError, features

from bot.languages import N_, _
from bot.media import image_encoding
from bot.media.errors import MediaLimit, NotMedia
from bot.media.image_encoding import has_alpha, scaled
from bot.media.plain_files import open_plain, size_of
from bot.media.shapes import LARGEST_MEGAPIXELS, check_size, fitted_size
from providers.types import ImageLimits

#: bytes
LARGEST_INPUT = 20 * 1024 * 1024
ACCEPTED = N_("Accepted are still pictures: PNG, JPEG, WEBP, BMP and GIF.")
DAMAGED = N_("This picture is damaged or incomplete. Please save it anew and send it again.")

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", *(("AVIF",) if features.check("avif") else ()))
_CONTENT_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    # what many phones write: a JPEG with further pictures behind it, which nobody means
    "MPO": "image/jpeg",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}

# The header alone decides, before a pixel is decoded: what lies above this is an error, not a warning.
Image.MAX_IMAGE_PIXELS = LARGEST_MEGAPIXELS * 1_000_000
warnings.simplefilter("error", Image.DecompressionBombWarning)

#: EXIF's orientation: what turns the stored picture into the one that people see
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: from this one on, width and height are exchanged
_FIRST_SIDEWAYS = 5


def fit(arguments: dict[str, Any]) -> dict[str, Any]:
    """Write the picture at ``source`` to ``target``, fitted to ``limits`` and without metadata.

    Raises:
        NotMedia: no still picture, or a damaged one.
        MediaLimit: too large, too small, or of a shape that the limits don't allow.
    """
    limits = _limits(arguments["limits"])
    with open_plain(arguments["source"]) as file:
        content = _read(file)
    picture = _open(content)
    content_type = _CONTENT_TYPES[str(picture.format)]
    stored_size = picture.size
    check_size(*stored_size)
    pixels = _decoded(picture, fitted_size(*stored_size, limits))
    # Only now: of a PNG, Pillow reads the pixels to find its EXIF, and an error there would be lost.
    turn = _orientation(picture)
    upright = pixels.transpose(_TURNS[turn]) if turn in _TURNS else pixels
    encoded = image_encoding.encode(upright, content_type, limits)
    Path(arguments["target"]).write_bytes(encoded.content)
    original = stored_size[::-1] if turn >= _FIRST_SIDEWAYS else stored_size
    return {
        "content_type": encoded.content_type,
        "size": encoded.size,
        "original_size": original,
        "was_changed": encoded.was_flattened or encoded.content_type != content_type or encoded.size != original,
    }


def _limits(stated: dict[str, Any]) -> ImageLimits:
    return ImageLimits(
        content_types=tuple(stated["content_types"]),
        max_bytes=stated["max_bytes"],
        min_side=stated["min_side"],
        max_side=stated["max_side"],
        alpha=stated["alpha"],
    )


def _read(file: BinaryIO) -> bytes:
    """The whole file: a decoder that is told to read a gigabyte then finds no more than there is."""
    size = size_of(file)
    if size > LARGEST_INPUT:
        text = _("This picture has {size} MiB. At most {most} MiB are accepted.")
        raise MediaLimit(text.format(size=f"{size / 2**20:.1f}", most=LARGEST_INPUT // 2**20))
    return file.read(LARGEST_INPUT)


def _open(content: bytes) -> Image.Image:
    """Read the header only."""
    try:
        picture = Image.open(io.BytesIO(content), formats=_FORMATS)
        moves = picture.format != "MPO" and getattr(picture, "is_animated", False)
    except UnidentifiedImageError as error:
        raise NotMedia(_what_it_is(content[:1024])) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        text = _("This picture is too large. At most {most} megapixels are accepted.")
        raise MediaLimit(text.format(most=LARGEST_MEGAPIXELS)) from error
    except MemoryError:
        raise
    except Exception as error:
        raise NotMedia(_(DAMAGED)) from error
    if moves:
        raise NotMedia(_with_accepted(_("This picture is animated.")))
    return picture


def _what_it_is(start: bytes) -> str:
    """Name what was sent instead of a picture, as far as its first bytes tell."""
    brand = start[8:12] if start[4:8] == b"ftyp" else b""
    if brand in {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}:
        return _with_accepted(_("HEIC pictures can't be read."))
    if brand in {b"avif", b"avis"}:
        return _with_accepted(_("This AVIF picture can't be read."))
    if brand or start.startswith(b"\x1a\x45\xdf\xa3"):
        return _with_accepted(_("This is a video, not a picture."))
    if b"<svg" in start.lower():
        return _with_accepted(_("SVG drawings can't be read."))
    return _with_accepted(_("This file is not a picture that can be read."))


def _with_accepted(sentence: str) -> str:
    return f"{sentence} {_(ACCEPTED)}"


def _orientation(picture: Image.Image) -> int:
    """EXIF's orientation; 1 (upright) where there is none, or none that can be read."""
    try:
        turn = int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - cameras write broken EXIF, and the picture is fine all the same
        return 1
    return turn if turn in _TURNS else 1


def _decoded(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The pixels as they are stored, RGB or RGBA in sRGB, scaled to ``size``."""
    if picture.format == "JPEG":
        # The decoder itself can halve a large photo, several times faster than scaling it later.
        picture.draft(None, (2 * size[0], 2 * size[1]))
    try:
        picture.load()
    except MemoryError:
        raise
    except Exception as error:
        raise NotMedia(_(DAMAGED)) from error
    profile = picture.info.get("icc_profile")
    pixels = _in_plain_mode(picture)
    if pixels.size != size:
        pixels = scaled(pixels, size)
    return _in_srgb(pixels, profile)


def _in_plain_mode(picture: Image.Image) -> Image.Image:
    """RGB, or RGBA where something really shows through; CMYK stays until its profile was applied."""
    if picture.mode.startswith("I"):
        picture = _in_8_bits(picture)
    if picture.mode == "CMYK":
        return picture
    if picture.mode not in {"RGBA", "LA", "PA", "La", "RGBa"} and "transparency" not in picture.info:
        return picture.convert("RGB")
    pixels = picture.convert("RGBA")
    return pixels if has_alpha(pixels) else pixels.convert("RGB")


def _in_8_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits; a plain conversion would cut off all that is brighter than 255."""
    wide = picture.convert("I")
    # `point` names numpy in its signature, which isn't there
    return wide.point(lambda value: value / 256).convert("L")  # pyright: ignore[reportUnknownMemberType]


def _in_srgb(pixels: Image.Image, profile: object) -> Image.Image:
    """Colours as people saw them, since the profile goes with the other metadata."""
    wanted = "RGBA" if pixels.mode == "RGBA" else "RGB"
    if isinstance(profile, bytes) and profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            # `createProfile` gives an object of the C library, which has no type
            plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            converted = ImageCms.profileToProfile(pixels, source, plain, outputMode=wanted)
            return converted or pixels.convert(wanted)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            # a profile for another kind of picture, or a broken one: as if there were none
            return pixels.convert(wanted)
    return pixels.convert(wanted)
