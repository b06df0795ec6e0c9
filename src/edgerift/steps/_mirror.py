"""The results that machines share: one object for each, at a URL."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final
from urllib.parse import unquote

from edgerift.errors import StoreError, unknown_name
from edgerift.steps._writing import UNFINISHED, disk_error, is_full, sync

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
"""The protocols whose objects appear whole or not at all when they are put."""

LOCAL = ("file", "local")
SIGN = ".edgerift"
SUFFIX = ".tar"
LONGEST_REASON = 300

_OBJECT = re.compile(r"([a-z][a-z0-9_-]*-[0-9a-f]{32})\.tar")
_USER = re.compile(r"(?<=://)(?=[^/]*[@:])(.*)@")
_QUERY = re.compile(r"\?.*")


@final
class Mirror:
    """The place behind an fsspec URL where each result is one object, `<type>-<digest>.tar`.

    An object is there whole or not at all. What an object store promises by itself is done elsewhere with a
    hidden name beside and a move; a killed process can leave such a hidden name, `.*.edgerift-part`, behind.
    Objects never change and never disappear, so a name that was seen once is not asked for again.
    """

    def __init__(self, url: str) -> None:
        """Use `url`, without using the network; raises `StoreError` when it is no URL that fsspec knows."""
        protocol, mark, path = url.partition("://")
        self.url = f"{protocol}{mark}{path.rstrip('/') or path}"
        self.shown = _shown(self.url)
        self._seen: set[str] = set()
        self._listed = False
        self._ready = False
        _check(self.url, self.shown)

    def holds(self, name: str) -> bool:
        """Tell whether the result `name` was there when the objects were listed, which is done at most once."""
        if name not in self._seen and not self._listed:
            self.refresh()
        return name in self._seen

    def refresh(self) -> None:
        """List the objects anew."""
        with self._errors("read"):
            files, prefix = self._open()
            try:
                paths = files.ls(prefix, detail=False)
            except FileNotFoundError:
                paths = []
        found = (_OBJECT.fullmatch(path.rsplit("/", 1)[-1]) for path in paths)
        self._seen.update(match[1] for match in found if match)
        self._listed = True

    def find(self, name: str) -> bool:
        """Ask whether the result `name` is there now."""
        with self._errors("read"):
            files, prefix = self._open()
            if not _is_there(files, f"{prefix}/{name}{SUFFIX}"):
                return False
        self._seen.add(name)
        return True

    def fetch(self, name: str, file: Path) -> None:
        """Copy the object of the result `name` to the local `file`."""
        with self._errors("read"):
            files, prefix = self._open()
            try:
                files.get_file(f"{prefix}/{name}{SUFFIX}", str(file))
            except OSError as error:
                if is_full(error):
                    raise disk_error(error, file) from error
                raise

    def put(self, name: str, file: Path) -> None:
        """Copy the local `file` to the object of the result `name`, which appears in one step."""
        with self._errors("written"):
            files, prefix = self._open()
            target = f"{prefix}/{name}{SUFFIX}"
            if self._protocol in OBJECT_STORES:
                files.put_file(str(file), target)
            else:
                _put_and_move(files, file, prefix, target, is_local=self._protocol in LOCAL)
        self._seen.add(name)

    def prepare(self) -> None:
        """Find out, before anything costly is built, whether objects can be put there, by leaving a sign."""
        if self._ready:
            return
        with self._errors("written"):
            files, prefix = self._open()
            if not _is_there(files, f"{prefix}/{SIGN}"):
                if self._protocol not in OBJECT_STORES:
                    files.makedirs(prefix, exist_ok=True)
                files.pipe_file(f"{prefix}/{SIGN}", b"results of edgerift\n")
        self._ready = True

    def address(self, name: str) -> str:
        """Name the object of the result `name`, without credentials."""
        return f"{self.shown}/{name}{SUFFIX}"

    @property
    def _protocol(self) -> str:
        return _protocol(self.url)

    def _open(self) -> tuple[Any, str]:
        """The file system, which fsspec keeps for each process, and the path in it."""
        from fsspec.core import url_to_fs

        files, path = url_to_fs(self.url)
        # Some file systems remember listings, and another machine may have put objects since.
        files.invalidate_cache()
        return files, path.rstrip("/")

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        """Turn whatever a file system raises into a `StoreError` of one line without credentials.

        The file systems share no class of errors: each passes on those of its own client library.
        """
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            secrets = _secrets(self.url)
            if isinstance(error, ImportError):
                advice = f"run `pip install {_package(error)}`"
            else:
                advice = "check the URL, the network and what you may do there"
            message = f"the mirror {self.shown} cannot be {done}: {_reason(error, secrets)}; {advice}"
            raise StoreError(message) from (None if secrets else error)


def _check(url: str, shown: str) -> None:
    from fsspec.registry import known_implementations, registry

    if "://" not in url:
        raise StoreError(f"the mirror {shown} is not a URL; give one such as s3://bucket/prefix or file:///mnt/share")
    protocol, known = _protocol(url), {*known_implementations, *registry}
    if protocol not in known:
        raise StoreError(f"the mirror {shown}: {unknown_name('protocol', protocol, known)}")
    path = url.partition("://")[2]
    if protocol in LOCAL and not path.startswith(("/", "~")):
        raise StoreError(f"the mirror {shown} depends on the working folder; give an absolute one, file:///{path}")


def _protocol(url: str) -> str:
    return url.partition("://")[0].rpartition("::")[2]


def _is_there(files: Any, path: str) -> bool:
    """Like `files.exists`, which takes an error for a no."""
    try:
        files.info(path)
    except FileNotFoundError:
        return False
    return True


def _put_and_move(files: Any, file: Path, prefix: str, target: str, *, is_local: bool) -> None:
    beside = f"{prefix}/.{uuid.uuid4().hex}{UNFINISHED}"
    files.makedirs(prefix, exist_ok=True)
    try:
        files.put_file(str(file), beside)
        if is_local:
            sync(Path(beside))
        files.mv(beside, target)
        if is_local:
            sync(Path(prefix))
    except BaseException as error:
        with suppress(Exception):
            files.rm_file(beside)
        # Where a move does not replace, another machine that was first with the same result is no failure.
        if not (isinstance(error, Exception) and _is_there(files, target)):
            raise


def _shown(url: str) -> str:
    """The URL without what may be a password or a key."""
    return _QUERY.sub("?***", _USER.sub("***@", url))


def _secrets(url: str) -> list[str]:
    """What may be a password or a key in the URL, as it is written and as it is meant."""
    found = [match[1] for match in _USER.finditer(url)]
    found += [user.partition(":")[2] for user in found]
    found += [query[1:] for query in _QUERY.findall(url)]
    return [secret for secret in {*found, *map(unquote, found)} if secret]


def _reason(error: Exception, secrets: list[str]) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def _package(error: ImportError) -> str:
    """The package that brings the module which is missing."""
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    module = (cause.name or "fsspec").partition(".")[0]
    return {"smbclient": "smbprotocol"}.get(module, module)
