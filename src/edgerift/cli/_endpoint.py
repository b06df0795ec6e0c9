"""A victim behind an API on the command line: consent, token, rate."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from pydantic import Field

from edgerift import extract
from edgerift.cli._fields import Shown
from edgerift.cli._options import DataOptions
from edgerift.cli._specification import parsed_specification
from edgerift.cli._victim import VictimOptions
from edgerift.errors import InputError
from edgerift.settings import Settings

if TYPE_CHECKING:
    from edgerift.images import ImagesSettings

#: A token on the command line would be in everybody's list of processes.
_TOKEN: Final = "EDGERIFT_VICTIM_TOKEN"


class EndpointOptions(Settings):
    """How an endpoint is queried."""

    i_am_authorised: Annotated[bool, Shown(advanced=True)] = False
    """confirm that the endpoint is yours, or that you may test it; its token is read from EDGERIFT_VICTIM_TOKEN"""
    rate: Annotated[float, Field(gt=0), Shown(advanced=True, metavar="X", default="no limit")] | None = None
    """most images per second to query an endpoint with"""


class FoundEndpoint(NamedTuple):
    """An endpoint as a victim, and the images that it is for; its network is not known."""

    recipe: extract.GivenEndpoint
    images: ImagesSettings
    network: str = ""


def find_endpoint(whom: VictimOptions, options: EndpointOptions, data: DataOptions, seed: int) -> FoundEndpoint:
    """Describe an endpoint and the images that it is for; raises :class:`~edgerift.errors.InputError` without consent.

    On a terminal the consent is asked for.
    """
    given = [name for name in ("original", "adapted", "build", "runtime", "kernels") if getattr(whom, name) is not None]
    if given:
        raise InputError(f"--{given[0]} names a victim and --victim an endpoint; leave one of them out")
    described = data.images(seed)
    endpoint = extract.given_endpoint(
        whom.victim,
        authorised=options.i_am_authorised or _is_confirmed(whom.victim),
        token=os.environ.get(_TOKEN) or None,
        rate=options.rate,
        specification=parsed_specification(whom.build_input),
    )
    return FoundEndpoint(endpoint, described)


def _is_confirmed(url: str) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write(f"Is {url} yours, or are you authorised to test it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
