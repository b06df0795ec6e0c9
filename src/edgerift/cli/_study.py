"""`edgerift study`: grids of experiments from one file."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, final

import tyro
from pydantic import NonNegativeFloat, PositiveFloat

from edgerift import report, run, steps, study, track
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import STORE as STORE_PATH
from edgerift.cli._options import Json, output_folder
from edgerift.cli._places import is_on_ray, workers_at
from edgerift.cli._study_run import StudyRun, run_text, step_names, write_report
from edgerift.cli._terminal import progress_bars, show
from edgerift.errors import InputError, StoreError
from edgerift.run import RunSummary, Workers
from edgerift.settings import Document, Parts, Threads


class StudyOptions(Command, ABC):
    """Which study, and where its results are kept."""

    file: tyro.conf.Positional[Path]
    """YAML file of the study"""
    profile: Annotated[str | None, Shown(group="study", default="small, or the file's only profile")] = None
    """profile to use"""
    data_root: Annotated[Path | None, Shown(group="study", metavar="DIR", default="$EDGERIFT_DATA")] = None
    """folder with local copies of the image sets"""
    store: Annotated[Path | None, Shown(group="study", metavar="DIR", default=STORE_PATH.default)] = None
    """folder where finished steps are cached"""
    mirror: Annotated[str | None, Shown(group="study", metavar="URL")] = None
    """fsspec URL, such as s3://bucket/folder, to share finished steps between machines without a shared disk"""
    known: Annotated[tuple[Path, ...], Shown(group="study", metavar="FILE")] = ()
    """result.json of a run elsewhere, to reuse its results for identical cells; repeatable"""

    def read(self) -> study.StudyFile:
        """Read the file."""
        return study.open_study(self.file, self.profile)

    def open_store(self) -> steps.Store:
        """Open the store."""
        return steps.Store(self.store or steps.default_root(), self.mirror)

    def known_results(self) -> tuple[study.StudyResult, ...]:
        """Read the results of runs elsewhere."""
        return tuple(_read_result(path) for path in self.known)

    def plan(self, file: study.StudyFile, settings: Mapping[str, Any] = MappingProxyType({})) -> study.Plan:
        """Look at what is there and what is missing."""
        known = study.known_cells(self.known_results())
        cells = file.cells(self.data_root)
        return study.make_plan(file.study.study, file.profile, cells, self.open_store(), known, settings)


@final
class PlanStudy(StudyOptions):
    """Show which cells are finished, a time estimate, and the settings."""

    example: ClassVar[str] = "edgerift study plan studies/diva.yaml --profile small"

    details: bool = False
    """list every step and the steps it depends on"""
    as_json: Json = False

    def run(self) -> int:
        """Look, and show the plan."""
        file = self.read()
        file.require_networks()
        plan = self.plan(file, study.setting_values(file.study))
        show(plan, report.plan_text(plan, details=self.details), self.as_json)
        return 0


@final
class StudyStatus(StudyOptions):
    """Show the progress of a running study from another terminal."""

    example: ClassVar[str] = "edgerift study status studies/diva.yaml --profile small"

    as_json: Json = False

    def run(self) -> int:
        """Look, and show the plan with what runs."""
        plan = self.plan(self.read())
        show(plan, report.plan_text(plan, details=False), self.as_json)
        return 0


@final
class RunStudy(StudyOptions):
    """Run missing steps; write tables, figures and a report.

    Continues past failures; a run that was stopped or killed resumes where it stopped. The exit code is 1 if cells are
    missing.
    """

    example: ClassVar[str] = "edgerift study run studies/diva.yaml --on processes --workers 4 --out diva"

    trust: Annotated[bool, Shown(group="study")] = False
    """import and run architectures and attacks of your own, module:factory, that the file names"""
    on: Annotated[str, tyro.conf.arg(metavar="PLACE"), Shown(group="workers", metavar="PLACE")] = "here"
    """where steps run: here, processes, ray, or the address of a Ray cluster such as ray://host:10001 or auto"""
    workers: Annotated[Parts | None, Shown(group="workers", default="one per core")] = None
    """number of processes, with --on processes"""
    threads: Annotated[
        Threads, Shown(group="workers", default="PyTorch's own here, else the cores divided among the workers")
    ] = 0
    """threads per step"""
    cpus: Annotated[PositiveFloat, Shown(group="workers")] = 1
    """CPUs per step on Ray, also its threads; may be a fraction"""
    gpus: Annotated[NonNegativeFloat, Shown(group="workers")] = 0
    """GPUs per step on Ray; may be a fraction"""
    out: Annotated[Path | None, Shown(group="output", metavar="DIR", default="STUDY-PROFILE")] = None
    """folder for tables, figures and report"""
    track: Annotated[bool, Shown(group="output")] = False
    """log every finished cell to MLflow, in DIR/mlflow.db or on the server of --track-uri"""
    track_uri: Annotated[str | None, Shown(group="output", metavar="URL")] = None
    """MLflow server, such as http://host:5000; implies --track"""
    as_json: Json = False

    def run(self) -> int:
        """Run what is missing, write the report and show it."""
        file = self.read()
        file.require_networks()
        if not self.trust:
            file.require_trust()
        grid, known = file.study, self.known_results()
        self._require_place()
        out = self.out or Path(f"{grid.study}-{file.profile}")
        with output_folder(out) as folder, progress_bars() as progress:
            store = self.open_store()
            cells = file.cells(self.data_root)
            elsewhere = study.known_cells(known)
            goals = [cell.recipe for cell in cells if run.key_of(cell.recipe) not in elsewhere]
            # A server that cannot be reached is known before hours of work, with what is there to write already.
            tracked = self._track(file, cells, store, folder, progress)
            summary = self._run(goals, store, progress)
            result = study.collect(grid, file.profile, cells, store, known=known)
            written = write_report(result, folder)
            lost = None
            try:
                tracked = _added(tracked, self._track(file, cells, store, folder, progress))
            except StoreError as error:
                lost = error
        done = StudyRun(
            study=grid.study,
            profile=file.profile,
            cells=len(cells),
            finished=len(cells) - len(result.missing),
            tracked=tracked,
            report=str(folder / "report.html"),
            summary=summary,
        )
        names = step_names(self.plan(file)) if summary.failed else {}
        show(done, run_text(done, result, written, names), self.as_json)
        if lost is not None:
            # What was done is told first.
            raise lost
        return 1 if result.missing else 0

    def _run(self, goals: Sequence[steps.Recipe], store: steps.Store, progress: steps.Progress) -> RunSummary:
        if all(_is_finished(goal, store) for goal in goals):
            return RunSummary(built=0, seconds=0.0, step_seconds=0.0, failed=())
        return run.run_steps(goals, store, self._workers(store), progress)

    def _require_place(self) -> None:
        """Raise `InputError` for a place that is not known, and for options of another one."""
        on_ray = is_on_ray(self.on)
        if self.on != "processes" and self.workers not in (None, 1):
            instead = "Ray starts as many as fit on its nodes, by --cpus" if on_ray else "here steps run one by one"
            raise InputError(f"--workers {self.workers} needs --on processes; {instead}")
        for option, given, usual in (("--cpus", self.cpus, 1), ("--gpus", self.gpus, 0)):
            if not on_ray and given != usual:
                raise InputError(
                    f"{option} {given:g} needs --on ray or a cluster's address; it has no effect with --on {self.on}"
                )

    def _workers(self, store: steps.Store) -> Workers:
        # A worker of a cluster is in a folder of its own.
        data_root = None if self.data_root is None else self.data_root.absolute()
        place = run.Place(store=store.root, mirror=self.mirror, data_root=data_root, threads=self.threads)
        return workers_at(self.on, place, self.workers, cpus=self.cpus, gpus=self.gpus)

    def _track(
        self,
        file: study.StudyFile,
        cells: tuple[study.Cell, ...],
        store: steps.Store,
        folder: Path,
        progress: steps.Progress,
    ) -> int | None:
        if not self.track and self.track_uri is None:
            return None
        return track.track(file.study, file.profile, cells, store, self.track_uri, folder, progress)


@final
class ShowStudy(StudyOptions):
    """Write and show tables and figures of the finished cells."""

    example: ClassVar[str] = "edgerift study show studies/diva.yaml --out diva"

    out: Annotated[Path | None, Shown(group="output", metavar="DIR", default="STUDY-PROFILE")] = None
    """folder for tables, figures and report"""
    result: Annotated[Path | None, Shown(group="study", metavar="FILE")] = None
    """result.json of an earlier run, to show it instead of what is in the store"""
    as_json: Json = False

    def run(self) -> int:
        """Collect, write and show."""
        file = self.read()
        grid = file.study
        if self.result is not None:
            result = _read_result(self.result)
            if (result.study.study, result.profile) != (grid.study, file.profile):
                raise InputError(
                    f"{self.result} is of the study {result.study.study}, profile {result.profile}; {self.file} with "
                    f"--profile {file.profile} is of {grid.study}; give the file and the profile that it was made with"
                )
        else:
            cells = file.cells(self.data_root)
            result = study.collect(grid, file.profile, cells, self.open_store(), steps.silent, self.known_results())
        with output_folder(self.out or Path(f"{grid.study}-{file.profile}")) as folder:
            report.write_study(result, folder)
        show(result, report.study_text(result, folder), self.as_json)
        return 0


def _is_finished(goal: steps.Recipe, store: steps.Store) -> bool:
    """Say whether a cell is there; one that is damaged is not."""
    try:
        return store.has(goal)
    except StoreError:
        return False


def _read_result(path: Path) -> study.StudyResult:
    """Read a result that somebody named; raises `InputError` for a file that is none."""
    return Document(path, "result of a study", "give the result.json that a run or a show of a study wrote").settings(
        study.StudyResult
    )


def _added(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
