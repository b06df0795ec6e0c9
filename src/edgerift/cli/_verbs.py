"""The verbs by name, in the groups in which the help lists them; each is imported when it is run."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from edgerift.cli._fields import Command


class Verb(NamedTuple):
    """A verb by the module and the name of its class."""

    module: str
    name: str

    def command(self) -> type[Command]:
        """Import the class."""
        found: type[Command] = getattr(import_module(self._path), self.name)
        return found

    @property
    def summary(self) -> str:
        """What the verb does in one line: the first of its docstring, read without an import."""
        spec = find_spec(self._path)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).read_text(encoding="utf-8")
        found = re.search(rf'^class {self.name}\(.*\):\n    """(.*?)(?:""")?$', source, re.MULTILINE)
        return "" if found is None else found[1]

    @property
    def _path(self) -> str:
        return f"edgerift.cli.{self.module}"


class Family(NamedTuple):
    """A verb with verbs of its own."""

    summary: str
    example: str
    verbs: dict[str, Verb]


GROUPS: Final[dict[str, dict[str, Verb | Family]]] = {
    "make a model": {
        "train": Verb("_train", "Train"),
        "adapt": Verb("_adapt", "Adapt"),
        "card": Verb("_card", "CardCommand"),
    },
    "examine it": {
        "inspect": Verb("_inspect", "InspectCommand"),
        "verify": Verb("_verify", "VerifyCommand"),
        "audit": Verb("_audit", "AuditCommand"),
        "certify": Verb("_certify", "CertifyCommand"),
        "differ": Verb("_differ", "DifferCommand"),
        "flips": Verb("_flips", "FlipsCommand"),
        "replay": Verb("_replay", "ReplayCommand"),
        "extract": Verb("_extract", "ExtractCommand"),
        "harden": Verb("_harden", "HardenCommand"),
        "defend": Verb("_defend", "DefendCommand"),
    },
    "serve it": {"serve": Verb("_serve", "ServeCommand")},
    "run studies": {
        "study": Family(
            "Plan, run and show grids of experiments from one file.",
            "edgerift study run studies/diva.yaml --profile small --out diva",
            {
                "plan": Verb("_study", "PlanStudy"),
                "run": Verb("_study", "RunStudy"),
                "status": Verb("_study", "StudyStatus"),
                "show": Verb("_study", "ShowStudy"),
            },
        )
    },
    "maintain": {
        "store": Family(
            "List, verify and remove stored results.",
            "edgerift store verify",
            {
                "ls": Verb("_store", "ListStore"),
                "verify": Verb("_store", "VerifyStore"),
                "gc": Verb("_store", "CollectStore"),
            },
        ),
        "doctor": Verb("_doctor", "Doctor"),
    },
}

VERBS: Final[dict[str, Verb | Family]] = {name: verb for verbs in GROUPS.values() for name, verb in verbs.items()}

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
    """Make the type of all verbs that tyro parses, with a subcommand for each."""
    from typing import Union

    return Union[  # noqa: UP007 - only this form takes a tuple.
        tuple(_subcommand(name, verb) for name, verb in VERBS.items())
    ]


def _subcommand(name: str, verb: Verb | Family) -> Any:
    from typing import Annotated, Union

    import tyro

    # A type checker would take what is computed here for a wrong alias.
    annotated: Any = Annotated
    kind: Any = verb.command() if isinstance(verb, Verb) else None
    if isinstance(verb, Family):
        kind = Union[tuple(_subcommand(*pair) for pair in verb.verbs.items())]  # noqa: UP007
    return annotated[kind, tyro.conf.subcommand(name)]
