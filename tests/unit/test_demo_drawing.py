"""The demo's videos, drawn for real and decoded again."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import av
import pytest
from av.video.reformatter import Colorspace
from PIL import Image, ImageChops, ImageOps, ImageStat

from providers.catalogue import DEMO
from providers.demo_drawing import Drawing, draw, main, size_of

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024


def drawing(
    *,
    prompt: str = "a calm lake at dawn",
    size: tuple[int, int] = (320, 180),
    seconds: float = 1.0,
    seed: int = 7,
    image: Path | None = None,
    last_image: Path | None = None,
    turns_with_image: bool = False,
) -> Drawing:
    return Drawing(
        prompt=prompt,
        width=size[0],
        height=size[1],
        duration_seconds=seconds,
        seed=seed,
        image=image,
        last_image=last_image,
        turns_with_image=turns_with_image,
    )


def frames(path: Path) -> list[Image.Image]:
    with av.open(str(path)) as video:
        rgb = [
            # a target of another name than the source's makes PyAV heed the source's
            frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU709, dst_colorspace=Colorspace.DEFAULT)
            for frame in video.decode(video=0)
        ]
    return [cast("Image.Image", frame.to_image()) for frame in rgb]  # pyright: ignore[reportUnknownMemberType] - bare


def drawn(of: Drawing, folder: Path, name: str = "video.mp4") -> list[Image.Image]:
    draw(of, folder / name)
    return frames(folder / name)


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean over all pixels and channels, 0 to 255."""
    means = ImageStat.Stat(ImageChops.difference(one, other)).mean
    return sum(means) / len(means)


def picture(path: Path, *, size: tuple[int, int] = (640, 360), turn: int = 0) -> Path:
    """Something with a clear top, so that turning it is seen."""
    shade = Image.linear_gradient("L").rotate(turn)
    image = Image.merge("RGB", (shade, shade.rotate(90), ImageOps.invert(shade)))
    ImageOps.fit(image, size).save(path)
    return path


def noise(path: Path, size: tuple[int, int]) -> Path:
    """The worst that an encoder can be given."""
    Image.merge("RGB", [Image.effect_noise(size, 120) for _ in "rgb"]).save(path)
    return path


@pytest.mark.parametrize(
    ("resolution", "aspect_ratio", "size"),
    [
        ("480p", "16:9", (854, 480)),
        ("480p", "9:16", (480, 854)),
        ("480p", "1:1", (480, 480)),
        ("720p", "4:3", (960, 720)),
        ("1080p", "16:9", (1920, 1080)),
        ("1080p", "3:4", (1080, 1440)),
    ],
)
def test_the_resolution_is_the_shorter_side(resolution: str, aspect_ratio: str, size: tuple[int, int]) -> None:
    assert size_of(resolution, aspect_ratio) == size


def test_every_offered_size_is_even_and_as_asked() -> None:
    for resolution in DEMO.resolutions:
        for shape in DEMO.aspect_ratios:
            width, height = size_of(resolution, shape)
            across, down = (int(part) for part in shape.split(":"))
            assert (width % 2, height % 2) == (0, 0)
            assert f"{min(width, height)}p" == resolution
            assert width / height == pytest.approx(across / down, rel=0.01)


def test_a_video_is_what_players_expect(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    draw(drawing(size=(854, 480), seconds=2.0), path)
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (854, 480)
        assert (stream.average_rate, stream.frames) == (Fraction(16), 32)
        assert stream.duration is not None
        assert stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(2.0)
        assert sum(1 for _ in video.decode(video=0)) == 32


def test_a_video_can_be_played_before_it_is_loaded_whole(tmp_path: Path) -> None:
    draw(drawing(), tmp_path / "video.mp4")
    content = (tmp_path / "video.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_the_same_drawing_gives_the_same_bytes(tmp_path: Path) -> None:
    draw(drawing(), tmp_path / "one.mp4")
    draw(drawing(), tmp_path / "two.mp4")
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_another_seed_gives_another_landscape(tmp_path: Path) -> None:
    one = drawn(drawing(seed=1), tmp_path)
    other = drawn(drawing(seed=2), tmp_path)
    assert difference(one[0], other[0]) > 5


@pytest.mark.parametrize("seed", range(4))
def test_a_landscape_moves_and_never_jumps(tmp_path: Path, seed: int) -> None:
    shown = drawn(drawing(seed=seed, seconds=2.0), tmp_path)
    steps = [difference(one, other) for one, other in pairwise(shown)]
    assert max(steps) < 3
    assert difference(shown[0], shown[-1]) > 1


def test_progress_is_told_once_a_frame_up_to_the_end(tmp_path: Path) -> None:
    told: list[float] = []
    draw(drawing(), tmp_path / "video.mp4", told.append)
    assert told == [pytest.approx(frame / 16) for frame in range(1, 17)]


def test_the_prompt_is_seen(tmp_path: Path) -> None:
    white = tmp_path / "white.png"
    Image.new("RGB", (320, 180), "white").save(white)
    one, other = (
        drawn(drawing(prompt=prompt, image=white), tmp_path)[0] for prompt in ("a calm lake", "a red kite in the wind")
    )
    changed = ImageChops.difference(one, other).getbbox()
    assert changed is not None
    assert changed[1] > 180 / 3


@pytest.mark.parametrize("prompt", ["", "word " * 400, "w" * 2000, "湖の夜明け", "\U0001f30a\x00\u200d", "Озеро"])
@pytest.mark.parametrize("size", [(320, 180), (180, 320)])
def test_any_prompt_can_be_drawn_at_any_shape(tmp_path: Path, prompt: str, size: tuple[int, int]) -> None:
    shown = drawn(drawing(prompt=prompt, size=size, seconds=0.1), tmp_path)
    assert [frame.size for frame in shown] == [size, size]


def test_a_long_prompt_leaves_the_upper_part_free(tmp_path: Path) -> None:
    long = drawn(drawing(prompt="word " * 400), tmp_path)[0]
    short = drawn(drawing(prompt="word"), tmp_path)[0]
    upper = 0, 0, 320, 40
    assert difference(long.crop(upper), short.crop(upper)) < 1


def test_a_film_begins_with_its_picture_and_comes_nearer(tmp_path: Path) -> None:
    image = picture(tmp_path / "first.png")
    shown = drawn(drawing(image=image), tmp_path)
    upper = 0, 0, 320, 60
    with Image.open(image) as original:
        expected = ImageOps.fit(original, (320, 180))
    assert difference(shown[0].crop(upper), expected.crop(upper)) < 3
    assert difference(shown[0], shown[-1]) > 2


def test_the_camera_goes_where_the_seed_says(tmp_path: Path) -> None:
    image = picture(tmp_path / "first.png")
    ends = [drawn(drawing(image=image, seed=seed), tmp_path)[-1] for seed in (1, 2)]
    assert difference(ends[0].crop((0, 0, 320, 60)), ends[1].crop((0, 0, 320, 60))) > 0.5


def test_the_last_frame_is_the_last_picture(tmp_path: Path) -> None:
    first, last = picture(tmp_path / "first.png"), picture(tmp_path / "last.png", turn=180)
    shown = drawn(drawing(image=first, last_image=last, seconds=2.0), tmp_path)
    with Image.open(last) as original:
        expected = ImageOps.fit(original, (320, 180))
    assert difference(shown[-1], expected) < 3
    assert difference(shown[0], expected) > 30


def test_a_picture_is_shown_upright(tmp_path: Path) -> None:
    upright = picture(tmp_path / "upright.png")
    sideways = tmp_path / "sideways.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me right by 90 degrees"
    with Image.open(upright) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(sideways, exif=exif)
    one, other = (drawn(drawing(image=path, seconds=0.1), tmp_path)[0] for path in (upright, sideways))
    assert difference(one, other) < 2


@pytest.mark.parametrize(("turns", "size"), [(True, (180, 320)), (False, (320, 180))])
def test_a_standing_picture_makes_a_standing_video_when_no_shape_was_chosen(
    tmp_path: Path, *, turns: bool, size: tuple[int, int]
) -> None:
    image = picture(tmp_path / "first.png", size=(300, 500))
    shown = drawn(drawing(image=image, seconds=0.1, turns_with_image=turns), tmp_path)
    assert shown[0].size == size


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "CMYK", "I;16", "1"])
def test_a_picture_of_any_kind_can_be_shown(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("first.tif" if mode == "CMYK" else "first.png")
    Image.new(mode, (200, 200)).save(path)
    assert len(drawn(drawing(image=path, seconds=0.1), tmp_path)) == 2


def test_the_largest_offer_stays_far_below_discords_limit(tmp_path: Path) -> None:
    sizes = [size_of(resolution, shape) for resolution in DEMO.resolutions for shape in DEMO.aspect_ratios]
    largest = max(sizes, key=lambda size: size[0] * size[1])
    worst = drawing(size=largest, seconds=max(DEMO.durations), image=noise(tmp_path / "noise.png", (1200, 700)))
    draw(worst, tmp_path / "video.mp4")
    assert (tmp_path / "video.mp4").stat().st_size < 6 * MIB


def test_the_process_leaves_nothing_but_the_whole_video(tmp_path: Path) -> None:
    spec = {"prompt": "a lake", "width": 320, "height": 180, "duration_seconds": 0.5, "seed": 3}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "providers.demo_drawing", tmp_path / "spec.json", tmp_path / "out.mp4"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)  # noqa: S603 - our own module
    assert (done.stdout, done.stderr) == (b"", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "spec.json"]
    assert len(frames(tmp_path / "out.mp4")) == 8


def test_a_process_that_fails_leaves_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.nice", abs, raising=False)
    (tmp_path / "no.png").write_bytes(b"no picture")
    spec = {"prompt": "", "width": 320, "height": 180, "duration_seconds": 0.5, "seed": 3}
    (tmp_path / "spec.json").write_text(json.dumps(spec | {"image": str(tmp_path / "no.png")}))
    with pytest.raises(OSError, match="cannot identify"):
        main([str(tmp_path / "spec.json"), str(tmp_path / "out.mp4")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["no.png", "spec.json"]
