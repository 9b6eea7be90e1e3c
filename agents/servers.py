"""Which server a section asks, as a question's identity and the price table tell it."""

from __future__ import annotations

from urllib.parse import urlsplit

from agents.providers import PROVIDERS
from schemas.registry import resolve
from schemas.settings_models import ModelSection


def deployment_of(section: ModelSection) -> str:
    """As set, else host and path of `base_url`. Empty for the vendor's own server, and without a wire."""
    provider = resolve(PROVIDERS, section.provider, what="provider")
    if not provider.wire or section.deployment is not None:
        return section.deployment or ""
    vendor = _server(provider.vendor_url)
    server = _server(section.base_url or provider.vendor_url)
    return "" if server == vendor else server


def asks_the_vendor(section: ModelSection) -> bool:
    """Whether a section asks the vendor's own server, whatever its deployment is called."""
    vendor_url = resolve(PROVIDERS, section.provider, what="provider").vendor_url
    return section.base_url is None or _server(section.base_url) == _server(vendor_url)


def vendor_of(section: ModelSection) -> str:
    """Whose prices and token rules hold where a section asks the vendor itself."""
    return str(resolve(PROVIDERS, section.provider, what="provider").vendor)


def _server(url: str) -> str:
    """Host, port and path of a URL; nothing of it that may be secret."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2].lower() + parts.path.rstrip("/")
