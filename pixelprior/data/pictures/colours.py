"""Colours of decoded images: profiles, transparency, palettes, and grey or colour.

Legend: h height, w width, c channels (1 grey, 3 colour).
"""

import functools
import io
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsProfile, ImageCmsTransform

BACKGROUND = 255
"""Value of all channels behind transparent pixels: white, as in browsers."""

_GREY_MODES = ("1", "L", "LA", "La")
_BLOCK = 2**16  # pixels compared at once: these fit into the cache


def eight_bit_pixels(image: "Image") -> UInt8[np.ndarray, "h w c"]:
    """Convert a loaded image to grey pixels or to sRGB colours, on the background."""
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        image = _converted(image, "LA" if image.mode in _GREY_MODES else "RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "CMYK", "LAB"):
        image = _converted(image, "RGB")
    transform = _transform(image.mode, profile)
    # Rounding would turn some grey pixels into colours.
    keep_grey = transform is not None and image.mode.startswith("RGB") and _is_grey(_array(image))
    if transform is not None:
        image = transform.apply(image)
    image = _on_background(_converted(image, "RGB") if image.mode == "CMYK" else image)
    pixels = _array(image.convert("L") if keep_grey else image)
    if pixels.shape[-1] == 3 and _is_grey(pixels):
        pixels = np.ascontiguousarray(pixels[..., :1])
    return read_only(pixels)


def _array(image: "Image") -> UInt8[np.ndarray, "h w c"]:
    return np.asarray(image).reshape(image.height, image.width, -1)


def _converted(image: "Image", mode: str) -> "Image":
    """Convert without the copy that Pillow makes if the mode is the same."""
    return image if image.mode == mode else image.convert(mode)


def _transform(mode: str, profile: bytes | None) -> "ImageCmsTransform | None":
    """Transform to sRGB, or None for pixels that stay as they are."""
    if mode == "LAB":
        return _lab_transform()
    return _profile_transform(profile, mode) if profile else None


@functools.cache
def _lab_transform() -> "ImageCmsTransform":
    from PIL import ImageCms

    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    # The default is a table of colours, with errors of 5 for bright ones.
    return ImageCms.ImageCmsTransform(lab, _srgb(), "LAB", "RGB", flags=ImageCms.Flags.NOOPTIMIZE)


@functools.lru_cache(maxsize=16)  # the images of a folder often share a profile
def _profile_transform(profile: bytes, mode: str) -> "ImageCmsTransform | None":
    """Transform of a colour profile to sRGB, or None if the profile does not apply."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space != mode.removesuffix("A") or _is_srgb(source.profile.profile_description or ""):
            return None
        target_mode = "RGB" if mode == "CMYK" else mode
        return ImageCms.ImageCmsTransform(source, _srgb(), mode, target_mode)
    except Exception:  # a broken profile, or a Pillow without the colour library
        return None


def _srgb() -> "ImageCmsProfile":
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _is_srgb(description: str) -> bool:
    # Linear profiles with the primaries of sRGB have names such as "sRGB Linear" and "sRGB-g10".
    name = description.lower()
    return name.startswith("srgb") and "linear" not in name and "g10" not in name


def _on_background(image: "Image") -> "Image":
    """Composite an image with an alpha channel on the background."""
    from PIL import Image

    if image.mode == "LA":
        background = Image.new("L", image.size, BACKGROUND)
        background.paste(image.getchannel("L"), mask=image.getchannel("A"))
        return background
    if image.mode == "RGBA":
        background = Image.new("RGB", image.size, (BACKGROUND,) * 3)
        background.paste(image, mask=image)
        return background
    return image


def _is_grey(pixels: UInt8[np.ndarray, "h w _"]) -> bool:
    """Compare the first three channels in blocks. Most photographs differ in the first block."""
    height, width, _ = pixels.shape
    rows = max(1, _BLOCK // width)
    for top in range(0, height, rows):
        block = pixels[top : top + rows]
        green = block[..., 1]
        if (block[..., 0] != green).any() or (block[..., 2] != green).any():
            return False
    return True


def read_only(pixels: np.ndarray) -> np.ndarray:
    """Protect an array, and return it."""
    pixels.flags.writeable = False
    return pixels


def as_channels(pixels: UInt8[np.ndarray, "h w _"], channels: int) -> UInt8[np.ndarray, "h w c"]:
    """Convert an image to 1 or 3 channels. Grey is the ITU-R 601 luma, as Pillow computes it."""
    from PIL import Image

    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
