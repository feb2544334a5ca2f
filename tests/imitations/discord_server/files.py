"""Attachments, and the links under which they are served for a while."""

from __future__ import annotations

import hashlib
import io
import mimetypes
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .ids import Snowflakes
    from .wire import Payload

Upload = tuple[str, bytes]


@dataclass(eq=False)
class Attachment:
    """One stored file; `folder` is the part of its link before the id."""

    id: int
    folder: str
    filename: str
    content: bytes
    description: str | None = None
    gone: bool = False

    @property
    def path(self) -> str:
        return f"/{self.folder}/{self.id}/{self.filename}"

    @property
    def content_type(self) -> str | None:
        return mimetypes.guess_type(self.filename)[0]

    @property
    def ephemeral(self) -> bool:
        return self.folder.startswith("ephemeral")


class FileStore:
    """Keeps bytes in memory; links carry an expiry and a signature, as Discord's do."""

    def __init__(self, ids: Snowflakes, link_seconds: float) -> None:
        self.base_url = ""
        self.link_seconds = link_seconds
        self._ids = ids
        self._by_path: dict[str, Attachment] = {}

    def add(self, folder: str, upload: Upload, description: str | None = None) -> Attachment:
        name = re.sub(r"[^\w.\-]", "_", upload[0]) or "unknown"
        attachment = Attachment(self._ids.next(), folder, name, upload[1], description)
        self._by_path[attachment.path] = attachment
        return attachment

    def payload(self, attachment: Attachment) -> Payload:
        link = self.link(attachment)
        payload: Payload = {
            "id": str(attachment.id),
            "filename": attachment.filename,
            "size": len(attachment.content),
            "url": link,
            "proxy_url": link,
            "flags": 0,
        }
        optional = {"content_type": attachment.content_type, "description": attachment.description}
        payload |= {key: value for key, value in optional.items() if value is not None}
        if attachment.ephemeral:
            payload["ephemeral"] = True
        return payload | _dimensions(attachment)

    def link(self, attachment: Attachment) -> str:
        expires = f"{int(time.time() + self.link_seconds):x}"
        signature = _signature(attachment.path, expires)
        return f"{self.base_url}{attachment.path}?ex={expires}&is=0&hm={signature}&"

    def linked(self, value: Any, attachments: list[Attachment]) -> Any:
        """Replace every attachment:// in embeds and components by the link of that file."""
        if isinstance(value, str) and value.startswith("attachment://"):
            named = [file for file in attachments if file.filename == value.removeprefix("attachment://")]
            return self.link(named[0]) if named else value
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [self.linked(item, attachments) for item in items]
        if isinstance(value, dict):
            entries = cast("Payload", value)
            return {key: self.linked(item, attachments) for key, item in entries.items()}
        return value

    def fetch(self, path: str, query: Mapping[str, str]) -> Attachment | None:
        """Return the file, unless the link is unsigned, too old, or its file was removed."""
        attachment = self._by_path.get(path)
        expires = query.get("ex", "0")
        if attachment is None or attachment.gone or query.get("hm") != _signature(path, expires):
            return None
        return attachment if int(expires, 16) >= time.time() else None

    def drop_uploads(self) -> None:
        """Let the files end that members attached to commands and forms."""
        for attachment in self._by_path.values():
            attachment.gone = attachment.gone or attachment.ephemeral


def _signature(path: str, expires: str) -> str:
    return hashlib.sha256(f"{path}?{expires}".encode()).hexdigest()


def _dimensions(attachment: Attachment) -> Payload:
    if not (attachment.content_type or "").startswith("image/"):
        return {}
    try:
        with Image.open(io.BytesIO(attachment.content)) as image:
            return {"width": image.width, "height": image.height}
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return {"width": None, "height": None}
