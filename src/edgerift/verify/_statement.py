"""Where a build comes from, as a statement for other tools: in-toto with SLSA's provenance, in an envelope of DSSE.

Layouts: in-toto Statement v1, SLSA provenance v1 and DSSE 1.0; see https://slsa.dev/spec/v1.1/provenance.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgerift.errors import InputError
from edgerift.settings import Document, parse_json
from edgerift.verify._signing import is_signed, signature

PAYLOAD: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PROVENANCE: Final = "https://slsa.dev/provenance/v1"
#: What was done, and who did it, as an address: the meaning of `externalParameters` is that of `recipe.json`.
BUILD_TYPE: Final = "https://github.com/edgerift/edgerift/adapt/v1"
BUILDER: Final = "https://github.com/edgerift/edgerift"


class Statement(NamedTuple):
    """A statement that was read: SHA-256 digests by name, and whether a key has signed it.

    `subjects` are the files that were made, `materials` what they were made of. `signed` is None where no key was given
    to check signatures with.
    """

    subjects: dict[str, str]
    materials: dict[str, str]
    signed: bool | None


def write_statement(
    subjects: Sequence[Path], materials: Mapping[str, str], parameters: Mapping[str, Any], key: Path | None = None
) -> str:
    """Write an envelope of the statement that files were made of materials, SHA-256 digests by name.

    `parameters` are those of the recipe. `key` is a private Ed25519 key in PEM; without one the envelope has no
    signature. Raises :class:`~edgerift.errors.InputError` for a key that is none, and
    :class:`~edgerift.errors.MissingRuntimeError` without the extra `signing`.
    """
    payload = json.dumps(_statement(subjects, materials, parameters), indent=2).encode()
    signatures = [] if key is None else [signature(key, _signed_bytes(payload))]
    envelope = {"payloadType": PAYLOAD, "payload": base64.b64encode(payload).decode(), "signatures": signatures}
    return json.dumps(envelope, indent=2) + "\n"


def _statement(subjects: Sequence[Path], materials: Mapping[str, str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": [{"name": path.name, "digest": {"sha256": file_digest(path)}} for path in subjects],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(parameters),
                "resolvedDependencies": [
                    {"name": name, "digest": {"sha256": digest}} for name, digest in materials.items()
                ],
            },
            "runDetails": {"builder": {"id": BUILDER, "version": {"edgerift": version("edgerift")}}},
        },
    }


def read_statement(path: Path, key: Path | None = None) -> Statement:
    """Read an envelope, and check its signatures with a public Ed25519 key in PEM where one is given.

    Raises :class:`~edgerift.errors.InputError` for a file or a key that is none, and
    :class:`~edgerift.errors.MissingRuntimeError` without the extra `signing` where a key is given.
    """
    found = Document(path, "statement", "`edgerift adapt --statement` writes one").json()
    try:
        if found["payloadType"] != PAYLOAD:
            raise ValueError
        payload = base64.b64decode(found["payload"], validate=True)
        stated = parse_json(payload)
        if stated["_type"] != STATEMENT or stated["predicateType"] != PROVENANCE:
            raise ValueError
        subjects = _digests(stated["subject"])
        materials = _digests(stated["predicate"]["buildDefinition"].get("resolvedDependencies", []))
        signatures = [base64.b64decode(one["sig"], validate=True) for one in found["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise InputError(f"{path} is no DSSE envelope of an in-toto statement with SLSA provenance v1") from None
    return Statement(subjects, materials, None if key is None else is_signed(key, _signed_bytes(payload), signatures))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digests(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(entry["name"]): str(entry["digest"]["sha256"]) for entry in entries}


def _signed_bytes(payload: bytes) -> bytes:
    """What is signed: the type and the payload with their lengths, DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)
