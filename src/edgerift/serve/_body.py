"""The body of a request: read up to a size, and unpacked up to the same size."""

from __future__ import annotations

import zlib
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from edgerift.serve._errors import RefusedError

#: What zlib calls the header of a format: gzip alone, or zlib alone.
_FORMATS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


async def read_body(receive: Receive, told: str, most: int) -> bytes:
    """Read a body of at most `most` bytes, of which its header has `told` the length.

    Raises :class:`RefusedError`, 413 for a larger one, and `ClientDisconnect` for a connection that ends before.
    """
    if told.isdecimal() and (len(told) > 18 or int(told) > most):
        raise _too_large(most)
    chunks, total, follows = [], 0, True
    while follows:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, follows = message.get("body", b""), message.get("more_body", False)
        total += len(chunk)
        if total > most:
            raise _too_large(most)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """Unpack a body that a header says is packed; raises :class:`RefusedError`, also for what would be too large."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _FORMATS:
        raise RefusedError(400, f"the Content-Encoding must be one of {', '.join(_FORMATS)}, or be left out")
    reader = zlib.decompressobj(_FORMATS[encoding])
    try:
        content = reader.decompress(body, most + 1)
    except zlib.error:
        raise RefusedError(400, f"the body is not {encoding}, as its Content-Encoding says") from None
    if len(content) > most:
        raise _too_large(most)
    if not reader.eof or reader.unused_data:
        raise RefusedError(400, f"the body is not one whole {encoding} stream")
    return content


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {most:,} bytes; send fewer images in each request")
