"""The statement of where a build comes from: its layout, its signature, and what a verification makes of it."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from edgerift.errors import InputError
from edgerift.verify import file_digest, read_statement, verify, write_statement


@pytest.fixture
def keys(tmp_path):
    """The files of a private key and of its public one."""
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "key.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def stated(tmp_path, build, key=None, materials=None):
    path = tmp_path / "statement.json"
    path.write_text(write_statement([build], materials or {"float.onnx": "a" * 64}, {"method": "ptq"}, key))
    return path


def test_the_layout_is_that_of_in_toto_and_slsa(tmp_path, litert_build):
    envelope = json.loads(stated(tmp_path, litert_build).read_text())
    assert (envelope["payloadType"], envelope["signatures"]) == ("application/vnd.in-toto+json", [])
    payload = json.loads(base64.b64decode(envelope["payload"]))
    assert payload["_type"] == "https://in-toto.io/Statement/v1"
    assert payload["subject"] == [{"name": "model.tflite", "digest": {"sha256": file_digest(litert_build)}}]
    assert payload["predicateType"] == "https://slsa.dev/provenance/v1"
    definition = payload["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {"method": "ptq"}
    assert definition["resolvedDependencies"] == [{"name": "float.onnx", "digest": {"sha256": "a" * 64}}]
    assert payload["predicate"]["runDetails"]["builder"]["id"].startswith("https://")


def test_a_signature_is_that_of_dsse(tmp_path, litert_build, keys):
    private, public = keys
    envelope = json.loads(stated(tmp_path, litert_build, private).read_text())
    payload = base64.b64decode(envelope["payload"])
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    kind = b"application/vnd.in-toto+json"
    message = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    load_pem_public_key(public.read_bytes()).verify(base64.b64decode(envelope["signatures"][0]["sig"]), message)


def test_only_the_key_that_signed_is_accepted(tmp_path, litert_build, keys):
    private, public = keys
    path = stated(tmp_path, litert_build, private)
    assert read_statement(path).signed is None
    assert read_statement(path, public).signed is True
    other = tmp_path / "other.pem"
    other.write_bytes(
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    assert read_statement(path, other).signed is False
    envelope = json.loads(path.read_text())
    payload = base64.b64decode(envelope["payload"]).replace(b"ptq", b"qat")
    path.write_text(json.dumps({**envelope, "payload": base64.b64encode(payload).decode()}))
    assert read_statement(path, public).signed is False
    assert read_statement(stated(tmp_path, litert_build), public).signed is False


@pytest.mark.parametrize(
    ("change", "verdict", "text"),
    [
        ("nothing", "conforms", "model.tflite of the statement"),
        ("file", "deviates", "model.tflite of the statement is"),
        ("key", "deviates", "signature of the statement is by none"),
    ],
)
def test_a_verification_compares_files_and_signature(tmp_path, quantized, litert_build, keys, change, verdict, text):
    private, public = keys
    build = tmp_path / "model.tflite"
    build.write_bytes(litert_build.read_bytes())
    path = stated(tmp_path, build, None if change == "key" else private)
    if change == "file":
        build.write_bytes(litert_build.read_bytes() + b"\0")
    statement = read_statement(path, public)
    whole = verify(quantized.original, build, program=quantized.program, statement=statement, checks=["provenance"])
    found = whole.check("provenance")
    assert (found.verdict, text in found.text) == (verdict, True)


def test_wrong_files_are_told_in_one_line(tmp_path, litert_build, keys):
    private, public = keys
    path = stated(tmp_path, litert_build)
    for wrong in ("[]", "{}", '{"payloadType": "application/vnd.in-toto+json", "payload": "%", "signatures": []}'):
        other = tmp_path / "wrong.json"
        other.write_text(wrong)
        with pytest.raises(InputError, match="no DSSE envelope"):
            read_statement(other)
    with pytest.raises(InputError, match="is no public Ed25519 key"):
        read_statement(path, private)
    with pytest.raises(InputError, match="is no private Ed25519 key"):
        write_statement([litert_build], {}, {}, public)
