"""Every model on offer, as data. The vendor's page that a fact comes from stands beside it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from providers.types import CostUnit, ImageLimits, ImageStrategy, Mode, ModelSpec, Parameter, Price

#: PixelDojo states no image limits; these are Wan's own, as Alibaba states them for the same models.
_WAN_IMAGE = ImageLimits(
    content_types=("image/png", "image/jpeg", "image/webp"),
    max_bytes=10 * 1024 * 1024,
    min_side=360,
    max_side=2000,
)

# https://pixeldojo.ai/llm/wan-2.2-standard.txt
PIXELDOJO_WAN_22_STANDARD = ModelSpec(
    id="pixeldojo/wan-2.2-standard",
    provider="pixeldojo",
    name="Wan 2.2 Standard",
    modes=(Mode.TEXT, Mode.IMAGE, Mode.FIRST_LAST),
    price=Price(unit=CostUnit.CREDITS, per_video={"*": Decimal(3)}),
    resolutions=("480p", "720p", "1080p"),
    default_resolution="480p",
    aspect_ratios=("16:9", "9:16"),
    default_aspect_ratio="16:9",
    aspect_ratio_modes=(Mode.TEXT, Mode.IMAGE, Mode.FIRST_LAST),
    # the page gives the bounds 5 and 10 and says "5 or 10"
    durations=(5, 10),
    default_duration=5,
    parameters=(
        Parameter(key="frames", kind=int, default=100, minimum=81, maximum=100),
        Parameter(key="shift", kind=float, default=12.0, minimum=0, maximum=20),
        Parameter(key="steps", kind=int, default=30, minimum=10, maximum=50),
        Parameter(key="fps", kind=int, default=16, minimum=8, maximum=24),
        Parameter(key="interpolate", kind=bool, default=True),
    ),
    image=_WAN_IMAGE,
    adult=True,
)

# https://pixeldojo.ai/llm/wan-2.7-i2v.txt
PIXELDOJO_WAN_27_I2V = ModelSpec(
    id="pixeldojo/wan-2.7-i2v",
    provider="pixeldojo",
    name="Wan 2.7 Image to Video",
    modes=(Mode.IMAGE, Mode.FIRST_LAST, Mode.EXTEND),
    price=Price(unit=CostUnit.CREDITS, per_second={"720p": Decimal("2.5"), "1080p": Decimal(3)}),
    prompt_limit=5000,
    prompt_optional=(Mode.IMAGE, Mode.FIRST_LAST, Mode.EXTEND),
    has_negative_prompt=True,
    negative_prompt_limit=500,
    resolutions=("720p", "1080p"),
    default_resolution="720p",
    aspect_ratios=("16:9", "9:16", "1:1", "4:3", "3:4"),
    default_aspect_ratio="16:9",
    # "text-to-video only", a mode that the page doesn't offer
    aspect_ratio_modes=(),
    durations=tuple(range(2, 16)),
    default_duration=5,
    enhances_prompt=False,
    image=_WAN_IMAGE,
    adult=True,
)

#: jpg, jpeg and png up to 10 MB, says the vendor's skill (nano-banana-image-gen 1.0.1). The sides, and that a
#: picture had better not be transparent, are assumed from what Alibaba states for the same models.
_PIXWITH_IMAGE = ImageLimits(
    content_types=("image/png", "image/jpeg"),
    max_bytes=10_000_000,
    min_side=360,
    max_side=2000,
    alpha=False,
)

# https://pixwith.ai/api/docs/video-models/wan-2-2
PIXWITH_WAN_22_LITE = ModelSpec(
    id="pixwith/wan-2.2-lite",
    provider="pixwith",
    name="Wan 2.2 Lite",
    # "text-to-video and image-to-video", says the page of all three, but of this one: "provide 1 image"
    modes=(Mode.IMAGE,),
    # [assumed] the vendor names no price of a video; PRICES_FILE puts a real one over it
    price=Price(unit=CostUnit.USD, per_video={"*": Decimal("0.10")}),
    resolutions=("720p",),
    default_resolution="720p",
    aspect_ratios=("16:9", "9:16"),
    default_aspect_ratio="16:9",
    aspect_ratio_modes=(Mode.IMAGE,),
    # "fixed duration", without saying which; [assumed] 5, as with the vendor's other two
    durations=(5,),
    default_duration=5,
    fixed_duration=True,
    has_seed=False,
    enhances_prompt=True,
    image=_PIXWITH_IMAGE,
    image_strategy=ImageStrategy.UPLOAD,
)

# https://pixwith.ai/api/docs/video-models/wan-2-2
PIXWITH_WAN_22_PRO = ModelSpec(
    id="pixwith/wan-2.2-pro",
    provider="pixwith",
    name="Wan 2.2 Pro",
    modes=(Mode.TEXT, Mode.IMAGE, Mode.FIRST_LAST),
    # [assumed] US$ 0.20 and 0.40 for 5 s; PRICES_FILE puts a real one over it
    price=Price(unit=CostUnit.USD, per_second={"480p": Decimal("0.04"), "720p": Decimal("0.08")}),
    resolutions=("480p", "720p"),
    default_resolution="480p",
    aspect_ratios=("16:9", "9:16"),
    default_aspect_ratio="16:9",
    aspect_ratio_modes=(Mode.TEXT, Mode.IMAGE, Mode.FIRST_LAST),
    durations=(5, 8),
    default_duration=5,
    has_seed=False,
    enhances_prompt=True,
    image=_PIXWITH_IMAGE,
    image_strategy=ImageStrategy.UPLOAD,
)

# https://pixwith.ai/api/docs/video-models/wan-2-2: the same table as Pro's
PIXWITH_WAN_22_FAST = replace(
    PIXWITH_WAN_22_PRO,
    id="pixwith/wan-2.2-fast",
    name="Wan 2.2 Fast",
    # [assumed] US$ 0.10 and 0.15 for 5 s; PRICES_FILE puts a real one over it
    price=Price(unit=CostUnit.USD, per_second={"480p": Decimal("0.02"), "720p": Decimal("0.03")}),
)

DEMO = ModelSpec(
    id="demo",
    provider="demo",
    name="Demo (drawn on this machine)",
    modes=(Mode.TEXT, Mode.IMAGE, Mode.FIRST_LAST),
    price=Price(unit=CostUnit.USD, per_video={"*": Decimal("0.01")}),
    prompt_limit=2000,
    resolutions=("480p", "720p", "1080p"),
    default_resolution="480p",
    aspect_ratios=("16:9", "9:16", "1:1", "4:3", "3:4"),
    default_aspect_ratio="16:9",
    aspect_ratio_modes=(Mode.TEXT, Mode.IMAGE, Mode.FIRST_LAST),
    durations=tuple(range(2, 11)),
    default_duration=5,
    image_strategy=ImageStrategy.LOCAL,
)

#: In the order in which a model is chosen when nobody chose one; ``demo`` is last.
MODELS: tuple[ModelSpec, ...] = (
    PIXELDOJO_WAN_22_STANDARD,
    PIXELDOJO_WAN_27_I2V,
    PIXWITH_WAN_22_LITE,
    PIXWITH_WAN_22_PRO,
    PIXWITH_WAN_22_FAST,
    DEMO,
)
