"""The JSON schema of a verification."""

from __future__ import annotations

import json

from edgerift.verify._document import Verification


def schema() -> str:
    """The JSON schema of what `edgerift verify --json` prints."""
    described = Verification.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **described}, indent=2) + "\n"
