"""The kinds of values that settings have, and the base of every table of the project file."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Quota = Annotated[int, Field(ge=1)] | None
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _language(value: str) -> str:
    # The form of BCP 47; whether such a language exists is not looked up.
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
        raise ValueError('a language is told by its code, such as "en" or "pt-BR"')
    return value


Language = Annotated[str, AfterValidator(_language)]


def variable_name(value: str) -> str:
    # The value is not repeated: it is most often the key itself.
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
        raise ValueError("this is no name of an environment variable (A-Z, 0-9, _)")
    return value


def web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - one that is out of range is no address either
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("this is no address of a server; it starts with http:// or https://")
    if "@" in parts.netloc:
        # The value is not repeated here either.
        raise ValueError(
            "no name and password in an address: keys are read from the environment (api_key_env)"
        )
    if parts.query or parts.fragment:
        raise ValueError("an address has neither ? nor #: what is asked comes behind it")
    return value


def wrong_at(message: str, *place: str | int, remedy: str) -> PydanticCustomError:
    """An error of a validator that sees a whole table, at the place in it that is to be mended."""
    return PydanticCustomError("wrong", "{message}", {"message": message, "place": place, "remedy": remedy})


def is_loopback(url: str | None) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(url).hostname if url else None
    if host is None:
        return False
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return host == "localhost"


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
