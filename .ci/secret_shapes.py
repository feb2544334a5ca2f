"""Shapes of keys that detect-secrets doesn't know, in any file and without quotes."""

from __future__ import annotations

import re

from detect_secrets.plugins.base import RegexBasedDetector


class OwnShapesDetector(RegexBasedDetector):
    """Keys that this project's people have."""

    secret_type = "Key of a vendor, of Discord, or in a setting"  # noqa: S105 - what is found is called so
    denylist = (
        # OpenAI, Anthropic, Alibaba and those who write theirs like them
        re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
        re.compile(r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d{17,20}/[\w-]{60,}"),
        # a password in an address, longer than those of examples
        re.compile(r"://[^\s:/@{}]*:([^\s@{}/]{13,})@"),
        # a setting of ours with a value, which has a digit, as words have not
        re.compile(r"\b[A-Z]+_(?:API_KEY|TOKEN|PASSWORD)\b[\"'`]?\s*[:=]\s*[\"'`]?((?=[A-Za-z_.+/-]*\d)[\w.+/-]{16,})"),
    )
