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

#: What Alibaba's models take, by the vendor (https://www.pixazo.ai/models/image-to-video/wan2.2-api) and, for the
#: alpha channel that it refuses, Alibaba's own reference. "10MB" may be either million, so it is the smaller.
_ALIBABA_IMAGE = ImageLimits(
    content_types=("image/png", "image/jpeg", "image/webp", "image/bmp"),
    max_bytes=10_000_000,
    min_side=360,
    max_side=2000,
    alpha=False,
)

#: Every size of wan2.2-t2v-plus (https://doc.vtrix.ai/docs/api/qwen/wan22-t2v-plus). Its own example,
#: ``1280*720``, is not among them.
_T2V_SIZES = {
    ("480p", "16:9"): "832*480",
    ("480p", "9:16"): "480*832",
    ("480p", "1:1"): "624*624",
    ("1080p", "16:9"): "1920*1080",
    ("1080p", "9:16"): "1080*1920",
    ("1080p", "1:1"): "1440*1440",
    ("1080p", "4:3"): "1632*1248",
    ("1080p", "3:4"): "1248*1632",
}
_WATERMARK = Parameter(key="watermark", kind=bool, default=False)

# https://www.pixazo.ai/models/image-to-video/wan2.2-api, prices too
PIXAZO_WAN_22_I2V_PLUS = ModelSpec(
    id="pixazo/wan2.2-i2v-plus",
    provider="pixazo",
    name="Wan 2.2 Image to Video Plus (Pixazo)",
    modes=(Mode.IMAGE,),
    price=Price(unit=CostUnit.USD, per_video={"480p": Decimal("0.125"), "1080p": Decimal("0.75")}),
    prompt_limit=800,
    prompt_optional=(Mode.IMAGE,),
    has_negative_prompt=True,
    negative_prompt_limit=500,
    resolutions=("480p", "1080p"),
    default_resolution="1080p",
    # the video has the picture's shape: no mode heeds another
    aspect_ratios=("16:9",),
    default_aspect_ratio="16:9",
    aspect_ratio_modes=(),
    enhances_prompt=True,
    parameters=(_WATERMARK,),
    image=_ALIBABA_IMAGE,
)
PIXAZO_WAN_22_I2V_FLASH = replace(
    PIXAZO_WAN_22_I2V_PLUS,
    id="pixazo/wan2.2-i2v-flash",
    name="Wan 2.2 Image to Video Flash (Pixazo)",
    price=Price(unit=CostUnit.USD, per_video={"480p": Decimal("0.085"), "720p": Decimal("0.2")}),
    resolutions=("480p", "720p"),
    default_resolution="720p",
)
PIXAZO_WAN_21_I2V_PLUS = replace(
    PIXAZO_WAN_22_I2V_PLUS,
    id="pixazo/wan2.1-i2v-plus",
    name="Wan 2.1 Image to Video Plus (Pixazo)",
    price=Price(unit=CostUnit.USD, per_video={"720p": Decimal("0.75")}),
    resolutions=("720p",),
    default_resolution="720p",
)
PIXAZO_WAN_21_I2V_TURBO = replace(
    PIXAZO_WAN_22_I2V_PLUS,
    id="pixazo/wan2.1-i2v-turbo",
    name="Wan 2.1 Image to Video Turbo (Pixazo)",
    # the page's prices per second contradict each other; per video both are this
    price=Price(unit=CostUnit.USD, per_video={"480p": Decimal("0.2"), "720p": Decimal("0.2")}),
    resolutions=("480p", "720p"),
    default_resolution="720p",
    durations=(3, 4, 5),
)
# https://www.pixazo.ai/models/text-to-video/wan2.2-api, which shows a body with `size` alone; the other
# parameters and the list of sizes are [assumed] to be those of the same model elsewhere
PIXAZO_WAN_22_T2V_PLUS = replace(
    PIXAZO_WAN_22_I2V_PLUS,
    id="pixazo/wan2.2-t2v-plus",
    name="Wan 2.2 Text to Video Plus (Pixazo)",
    modes=(Mode.TEXT,),
    prompt_optional=(),
    # [assumed] the page names no price; PRICES_FILE puts a real one over it
    price=Price(unit=CostUnit.USD, per_video={"480p": Decimal("0.10"), "1080p": Decimal("0.50")}),
    aspect_ratios=("16:9", "9:16", "1:1", "4:3", "3:4"),
    aspect_ratio_modes=(Mode.TEXT,),
    sizes=_T2V_SIZES,
)
# The page has its price and nothing else: fields and limits are [assumed] to be Alibaba's, the path is a setting.
PIXAZO_WAN_21_KF2V_PLUS = replace(
    PIXAZO_WAN_21_I2V_PLUS,
    id="pixazo/wan2.1-kf2v-plus",
    name="Wan 2.1 First and Last Frame Plus (Pixazo)",
    modes=(Mode.FIRST_LAST,),
    prompt_optional=(Mode.FIRST_LAST,),
    price=Price(unit=CostUnit.USD, per_video={"720p": Decimal("0.6")}),
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

# https://doc.vtrix.ai/docs/api/qwen/wan22-t2v-plus
VTRIX_WAN_22_T2V_PLUS = replace(
    PIXAZO_WAN_22_T2V_PLUS,
    id="vtrix/wan22_t2v_plus",
    provider="vtrix",
    name="Wan 2.2 Text to Video Plus (Vtrix)",
    # [assumed] the page names no price, an answer does; PRICES_FILE puts a real one over it
    price=Price(unit=CostUnit.USD, per_video={"480p": Decimal("0.10"), "1080p": Decimal("0.50")}),
)
# https://doc.vtrix.ai/docs/api/qwen/wan22-i2v-flash
VTRIX_WAN_22_I2V_FLASH = replace(
    PIXAZO_WAN_22_I2V_FLASH,
    id="vtrix/wan22_i2v_flash",
    provider="vtrix",
    name="Wan 2.2 Image to Video Flash (Vtrix)",
    # [assumed] what Pixazo takes for the same model; PRICES_FILE puts a real one over it
    price=Price(unit=CostUnit.USD, per_video={"480p": Decimal("0.085"), "720p": Decimal("0.2")}),
    # the page doesn't say that a picture is enough
    prompt_optional=(),
    has_negative_prompt=False,
    negative_prompt_limit=None,
    image_strategy=ImageStrategy.DATA_URI,
)

DEMO = ModelSpec(
    id="demo",
    provider="demo",
    name="Demo",
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
    PIXAZO_WAN_22_I2V_PLUS,
    PIXAZO_WAN_22_I2V_FLASH,
    PIXAZO_WAN_21_I2V_PLUS,
    PIXAZO_WAN_21_I2V_TURBO,
    PIXAZO_WAN_22_T2V_PLUS,
    PIXAZO_WAN_21_KF2V_PLUS,
    PIXWITH_WAN_22_LITE,
    PIXWITH_WAN_22_PRO,
    PIXWITH_WAN_22_FAST,
    VTRIX_WAN_22_T2V_PLUS,
    VTRIX_WAN_22_I2V_FLASH,
    DEMO,
)

#: every resolution that some model makes, ascending
RESOLUTIONS: tuple[str, ...] = tuple(
    sorted({name for spec in MODELS for name in spec.resolutions}, key=lambda name: int(name.rstrip("p")))
)
