"""Finished cells as runs of MLflow."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, final
from urllib.parse import unquote

from edgerift.errors import EdgeriftError, MissingRuntimeError, StoreError
from edgerift.run import Records
from edgerift.steps import Progress, locked, silent
from edgerift.study import Cell, Study
from edgerift.track._tracked import CellLog, cell_log, cell_tags

if TYPE_CHECKING:
    from edgerift.steps import Store

_Item = TypeVar("_Item")

DATABASE: Final = "mlflow.db"
ARTEFACTS: Final = "mlflow-artefacts"

_INSTALL: Final = "pip install 'edgerift[tracking]'"
_DATABASES: Final = ("sqlite", "postgresql", "mysql", "mssql")

#: MLflow counts its users' calls on a server of its makers unless told not to, sets up four loggers, and prints links.
_GUEST: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
#: Left to itself MLflow asks a server that is not there for four minutes.
_FIRST_QUESTION: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_NOISY: Final = ("mlflow", "alembic", "sqlalchemy", "urllib3", "databricks")

#: What every server takes in one request.
_SETTINGS_AT_ONCE: Final = 100
_POINTS_AT_ONCE: Final = 1000
_RUNS_AT_ONCE: Final = 1000

_USER: Final = re.compile(r"(?<=://)(?=[^/]*[@:])(.*)@")
_QUERY: Final = re.compile(r"\?(.*)")
_LONGEST_REASON: Final = 300


def track(
    study: Study,
    profile: str,
    cells: tuple[Cell, ...],
    store: Store,
    uri: str | None,
    folder: Path,
    progress: Progress = silent,
) -> int:
    """Write every finished cell that MLflow does not have yet as a run; say how many were written.

    Without a `uri`, which may be all that MLflow knows as a tracking URI, the runs are in the SQLite file `mlflow.db`
    in `folder`. Their files are in `mlflow-artefacts` there, for that file and for every other database; a server
    knows where to put them itself. A run is complete as soon as its status is FINISHED; one that a kill left half is
    deleted and written again. MLflow's telemetry is off while it works here, and for the rest of the process if MLflow
    was not imported before; its global state is left alone. Raises
    :class:`~edgerift.errors.MissingRuntimeError` without the extra `tracking`, and
    :class:`~edgerift.errors.StoreError`, which shows no password, when MLflow cannot be reached or refuses.
    """
    records = Records(store).folder
    _make_folders(folder, records)
    where = uri or _local_uri(folder.absolute())
    # Two runs of one study would take each other's unfinished entries for those of a killed one.
    with locked(records / "tracking.lock"), _as_guest():
        experiment = _Experiment(where, study, profile, folder.absolute() / ARTEFACTS)
        known, missing, written = experiment.runs(), [], 0
        for cell in cells:
            runs = known.get(_name(cell_tags(cell)), {})
            if True not in runs.values():
                missing.append((cell, list(runs)))
        for done, (cell, halves) in enumerate(missing):
            progress("track", done, len(missing), cell.name)
            log = _log_of(cell, study, profile, store)
            if log is not None:
                experiment.write(log, halves)
                written += 1
    return written


def _log_of(cell: Cell, study: Study, profile: str, store: Store) -> CellLog | None:
    """Read what a finished cell logs; None for one that is not there, or damaged, which its report says."""
    try:
        return cell_log(cell, study, profile, store) if store.has(cell.recipe) else None
    except StoreError:
        return None


def _name(tags: Mapping[str, str]) -> tuple[str | None, ...]:
    """What identifies a cell's runs."""
    return tags.get("edgerift.recipe"), tags.get("edgerift.cell")


@final
class _Experiment:
    """The runs of one profile of a study. MLflow is asked through its client alone."""

    def __init__(self, uri: str, study: Study, profile: str, artefacts: Path) -> None:
        client_class = _client_class(uri)
        name = experiment_name(study.study, profile, uri)
        self._uri = uri
        with _errors(uri):
            with _environment({key: os.environ.get(key, value) for key, value in _FIRST_QUESTION.items()}):
                _check_sqlite(uri)
                self._client = client_class(tracking_uri=uri)
                found = self._client.get_experiment_by_name(name)
            if found is not None and found.lifecycle_stage != "active":
                raise StoreError(f"the experiment '{name}' was deleted in {shown_uri(uri)}; restore it there")
            self._id = self._made(name, study, profile, artefacts) if found is None else found.experiment_id

    def _made(self, name: str, study: Study, profile: str, artefacts: Path) -> str:
        tags = {"edgerift.study": study.study, "edgerift.profile": profile, "mlflow.note.content": study.title}
        location = artefacts.as_uri() if _is_database(self._uri) else None
        return str(self._client.create_experiment(name, artifact_location=location, tags=tags))

    def runs(self) -> dict[tuple[str | None, ...], dict[str, bool]]:
        """Find all runs: for each cell the runs that it has, and whether each is finished."""
        found: dict[tuple[str | None, ...], dict[str, bool]] = {}
        token = None
        while token != "":
            with _errors(self._uri):
                page = self._client.search_runs([self._id], max_results=_RUNS_AT_ONCE, page_token=token)
            for run in page:
                found.setdefault(_name(run.data.tags), {})[run.info.run_id] = run.info.status == "FINISHED"
            token = page.token or ""
        return found

    def write(self, log: CellLog, halves: Sequence[str]) -> None:
        """Write a cell as a run, in place of the half ones; it is finished last."""
        from mlflow.entities import Metric, Param

        settings = [Param(name, value) for name, value in log.settings.items()]
        points = [Metric(point.name, point.value, log.ended, point.step) for point in log.points]
        with _errors(self._uri):
            for half in halves:
                self._client.delete_run(half)
            run = self._client.create_run(self._id, start_time=log.began, tags=log.tags, run_name=log.name).info.run_id
            for some_settings in _batches(settings, _SETTINGS_AT_ONCE):
                self._client.log_batch(run, params=some_settings, synchronous=True)
            for some_points in _batches(points, _POINTS_AT_ONCE):
                self._client.log_batch(run, metrics=some_points, synchronous=True)
            for file in log.files:
                self._client.log_artifact(run, str(file.path), file.folder or None)
            self._client.set_terminated(run, "FINISHED", end_time=log.ended)


def experiment_name(study: str, profile: str, uri: str) -> str:
    """Name the experiment; Databricks wants a path in its workspace, below a folder that is there."""
    is_databricks = uri.partition(":")[0] == "databricks"
    return f"/Shared/edgerift-{study}-{profile}" if is_databricks else f"edgerift/{study}/{profile}"


def shown_uri(uri: str) -> str:
    """Write a URI without what may be a password or a key.

    >>> shown_uri("http://jane:secret@host:5000?token=secret")
    'http://***@host:5000?***'
    """
    return _QUERY.sub("?***", _USER.sub("***@", uri))


def _local_uri(folder: Path) -> str:
    # A database's URI may quote these characters, but MLflow takes it for a path as well.
    if not {"%", "?"}.isdisjoint(str(folder)):
        raise StoreError(f"MLflow cannot keep its runs in {folder}; give a folder without % and ? in its path")
    return f"sqlite:///{folder / DATABASE}"


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot use {folder}: {error.strerror}; give a folder that you may write to") from None


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _client_class(uri: str) -> Any:
    try:
        from mlflow import MlflowClient

        if _is_database(uri):
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise MissingRuntimeError(f"tracking needs MLflow, which is not installed ({reason}): {_INSTALL}") from None
    return MlflowClient


def _is_database(uri: str) -> bool:
    return uri.partition(":")[0].partition("+")[0] in _DATABASES


def _check_sqlite(uri: str) -> None:
    """Raise at once for a file that is no database; MLflow would try for two minutes."""
    if not uri.startswith("sqlite"):
        return
    from sqlalchemy.engine import make_url

    database = make_url(uri).database
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA schema_version")


@contextlib.contextmanager
def _as_guest() -> Iterator[None]:
    """Silence MLflow's telemetry, terminal output and logs, and restore everything afterwards."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    with _environment(_GUEST), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL + 1)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a while; MLflow reads some of its options nowhere else."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _errors(uri: str) -> Iterator[None]:
    """Turn whatever MLflow raises into an error of one line without secrets.

    Its errors share no class: it passes on those of databases, of HTTP and of the clients of object stores.
    """
    try:
        yield
    except EdgeriftError:
        raise
    except ImportError as error:
        missing = (error.name or str(error)).partition(".")[0]
        raise MissingRuntimeError(f"MLflow at {shown_uri(uri)} needs {missing}: pip install {missing}") from None
    except Exception as error:
        advice = "check the URI, that the server runs, and what you may do there"
        raise StoreError(f"MLflow at {shown_uri(uri)} cannot be used: {_reason(error, uri)}; {advice}") from None


def _reason(error: BaseException, uri: str) -> str:
    """The operating system's reason where there is one below the error, else what the error says."""
    text = str(error) or type(error).__name__
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.strerror:
            text = below.strerror
        below = below.__cause__ or below.__context__
    users = [match[1] for match in _USER.finditer(uri)]
    secrets = {*users, *(user.partition(":")[2] for user in users), *_QUERY.findall(uri)}
    for secret in sorted({*secrets, *map(unquote, secrets)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."
