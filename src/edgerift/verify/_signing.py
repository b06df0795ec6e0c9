"""Ed25519 signatures, by keys in PEM files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgerift.errors import InputError, MissingRuntimeError
from edgerift.settings import Document


def signature(key: Path, message: bytes) -> dict[str, str]:
    """Sign a message with a private key: the signature in base64, and the SHA-256 of the public key."""
    from_file = _key(key, private=True)
    return {"keyid": _key_id(from_file.public_key()), "sig": base64.b64encode(from_file.sign(message)).decode()}


def is_signed(key: Path, message: bytes, signatures: Sequence[bytes]) -> bool:
    """Tell whether one of some signatures of a message was made by the owner of a public key."""
    from_file = _key(key, private=False)
    return any(_verifies(from_file, signature, message) for signature in signatures)


def _verifies(key: Any, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _key(path: Path, *, private: bool) -> Any:
    """Read a key; raises `InputError` for what is none, and `MissingRuntimeError` without the library."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
    except ImportError:
        raise MissingRuntimeError("signatures need cryptography: pip install 'edgerift[signing]'") from None
    content = Document(path, "key", "`openssl genpkey -algorithm ed25519` makes one").content()
    key: Any = None
    with suppress(ValueError, TypeError):  # What is none is refused below.
        key = load_pem_private_key(content, password=None) if private else load_pem_public_key(content)
    if not isinstance(key, ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey):
        raise InputError(f"{path} is no {'private' if private else 'public'} Ed25519 key in PEM without a password")
    return key


def _key_id(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
