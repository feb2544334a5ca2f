"""What people write who look for a way around a check."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from providers.catalogue import MODELS

#: numbers as programs, people and attackers write them
NUMBERS: Final = (
    *("0", "-0", "+1", "00", "1_0", "1e1", "1e309", "-1e309", "0x10", "0b1", "1.", ".5", "1,5", "１２", "¹", "٣", "½"),  # noqa: RUF001 - what looks alike is the point
    *(
        "nan",
        "-nan",
        "inf",
        "-inf",
        "Infinity",
        "1e-400",
        "9" * 400,
        "9" * 5000,
        "1" + "0" * 4299,
        "0." + "0" * 500 + "1",
    ),
    *("true", "TRUE", "yes", "on", "off", "None", "", " ", "\0", "\ud800", "1\u200b", "`1`", "@everyone", "<@1>"),
)
_KEYS: Final = (
    *(parameter.key for spec in MODELS for parameter in spec.parameters),
    *("Steps", "ＳＴＥＰＳ", "ſteps", "İ", "", "prompt", "model", "__class__", "steps\0", "`", "@here", "k" * 300),  # noqa: RUF001 - as above
)

#: any short text, and one of what Discord or Python treats differently
texts: Final = st.text(max_size=60) | st.text("@`*_~|<>#\\=, \n\u202e\u200b\0", max_size=30)
numbers: Final = st.sampled_from(NUMBERS) | st.integers().map(str) | st.floats().map(str) | texts
_words: Final = st.builds(
    "{}{}{}".format, st.sampled_from(_KEYS) | texts, st.sampled_from(("=", "==", " = ", "")), numbers
)
#: for the option ``settings``
settings_texts: Final[st.SearchStrategy[str]] = (
    st.lists(_words, max_size=8).map(" ".join) | _words.map(lambda word: f"{word} " * 200) | texts
)
