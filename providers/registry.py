"""Which providers are there, and which models they offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from providers.catalogue import MODELS
from providers.contract import Provider
from providers.types import ModelSpec

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorAccess:
    """How one vendor is reached. The key never shows in a repr."""

    api_key: str = field(repr=False)
    base_url: str
    #: submits and polls together; None: no limit
    requests_per_minute: int | None


@dataclass(frozen=True, slots=True)
class Registry:
    """The providers that can be used, and their models in the order of the catalogue.

    Whoever keeps one of the mappings sees what ``become`` makes of it.
    """

    providers: dict[str, Provider]
    #: what can be asked for
    models: dict[str, ModelSpec]
    #: what jobs may still be under way with: retired models too
    every: dict[str, ModelSpec]
    #: those that others took the place of; somebody may still wait for an answer of theirs
    _replaced: list[Provider] = field(default_factory=list["Provider"], repr=False)

    @classmethod
    def of(cls, providers: Iterable[Provider], models: Iterable[ModelSpec] = MODELS) -> Registry:
        """Offer every model, not retired, whose provider is given and offers it."""
        by_name = {provider.name: provider for provider in providers}
        every = {spec.id: spec for spec in models if spec.provider in by_name}
        offered = {
            spec.id: spec for spec in every.values() if spec.successor is None and by_name[spec.provider].offers(spec)
        }
        return cls(by_name, offered, every)

    def provider_of(self, spec: ModelSpec) -> Provider:
        """The provider that offers this model."""
        return self.providers[spec.provider]

    def become(self, other: Registry) -> None:
        """Offer from now on what another registry does. Who asks a provider at the moment still gets its answer."""
        kept = set(map(id, other.providers.values()))
        self._replaced.extend(provider for provider in self.providers.values() if id(provider) not in kept)
        _replace(self.providers, other.providers)
        _replace(self.models, other.models)
        _replace(self.every, other.every)

    async def close(self) -> None:
        """Close every provider, also those of before."""
        for provider in (*self.providers.values(), *self._replaced):
            await provider.close()


def _replace(content: dict[str, _T], by: Mapping[str, _T]) -> None:
    """Give a mapping another content, in its order."""
    content.clear()
    content.update(by)
