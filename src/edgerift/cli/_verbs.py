"""The verbs by name, in the groups in which the help lists them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Union

import tyro

from edgerift.cli._adapt import Adapt
from edgerift.cli._audit import AuditCommand
from edgerift.cli._card import CardCommand
from edgerift.cli._certify import CertifyCommand
from edgerift.cli._defend import DefendCommand
from edgerift.cli._doctor import Doctor
from edgerift.cli._extract import ExtractCommand
from edgerift.cli._fields import Command, Family
from edgerift.cli._harden import HardenCommand
from edgerift.cli._inspect import InspectCommand
from edgerift.cli._replay import ReplayCommand
from edgerift.cli._serve import ServeCommand
from edgerift.cli._store import STORE
from edgerift.cli._study import STUDY
from edgerift.cli._train import Train

GROUPS: Final[dict[str, dict[str, type[Command] | Family]]] = {
    "make a model": {"train": Train, "adapt": Adapt, "card": CardCommand},
    "examine it": {
        "inspect": InspectCommand,
        "audit": AuditCommand,
        "certify": CertifyCommand,
        "replay": ReplayCommand,
        "extract": ExtractCommand,
        "harden": HardenCommand,
        "defend": DefendCommand,
    },
    "serve it": {"serve": ServeCommand},
    "run studies": {"study": STUDY},
    "maintain": {"store": STORE, "doctor": Doctor},
}

VERBS: Final[dict[str, type[Command] | Family]] = {
    name: verb for verbs in GROUPS.values() for name, verb in verbs.items()
}

EXAMPLES: Final = ("edgerift doctor", "edgerift audit --out audit", "edgerift adapt --data cifar10 --out adapted")

#: Options by their earlier names, which are still taken.
RENAMED: Final = {
    "--thief-epochs": "--clone-epochs",
    "--thief-learning-rate": "--clone-learning-rate",
    "--thief-batch-size": "--clone-batch-size",
    "--thief-precision": "--clone-precision",
    "--thief-seed": "--clone-seed",
    "--victims": "--variants",
}


def parsed_type() -> Any:
    """Make the type that tyro parses: one subcommand for each verb."""
    return Union[  # noqa: UP007 - only this form takes a tuple.
        tuple(_subcommand(name, verb) for name, verb in VERBS.items())
    ]


def _subcommand(name: str, verb: Any) -> Any:
    # A type checker would take what is computed here for a wrong alias.
    annotated: Any = Annotated
    if isinstance(verb, Family):
        verb = Union[tuple(_subcommand(*pair) for pair in verb.verbs.items())]  # noqa: UP007
    return annotated[verb, tyro.conf.subcommand(name)]
