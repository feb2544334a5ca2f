"""What the bot may do with an interaction's token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .calls import Answer, Call, Routes
from .posting import rewrite

if TYPE_CHECKING:
    from .interactions import Interaction
    from .world import World


class Webhooks:
    """The handlers; the token in the path is all the credential there is."""

    def __init__(self, world: World, routes: Routes) -> None:
        self._interactions = world.interactions
        webhook = "/webhooks/{application}/{token}"
        routes.add("POST", "/interactions/{interaction}/{token}/callback", self.callback, public=True)
        routes.add("POST", webhook, self.follow_up, public=True)
        routes.add("GET", f"{webhook}/messages/{{message}}", self.message, public=True)
        routes.add("PATCH", f"{webhook}/messages/{{message}}", self.edit, public=True)
        routes.add("DELETE", f"{webhook}/messages/{{message}}", self.delete, public=True)

    async def callback(self, call: Call) -> Answer:
        response = self._interactions.acknowledge(call.id("interaction"), call.params["token"], call.draft)
        return response if call.query.get("with_response") in ("1", "true") else None

    async def follow_up(self, call: Call) -> Answer:
        return self._interactions.follow_up(self._open(call), call.draft).payload()

    async def message(self, call: Call) -> Answer:
        return self._interactions.find(self._open(call), call.params["message"]).payload()

    async def edit(self, call: Call) -> Answer:
        interaction = self._open(call)
        message = self._interactions.find(interaction, call.params["message"])
        return rewrite(message, call.draft, limit=interaction.upload_limit, via="token").payload()

    async def delete(self, call: Call) -> Answer:
        self._interactions.find(self._open(call), call.params["message"]).delete()

    def _open(self, call: Call) -> Interaction:
        return self._interactions.by_webhook(call.id("application"), call.params["token"])
