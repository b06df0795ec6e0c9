"""`edgerift study`: grids of experiments from one file."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, final

import tyro
from pydantic import NonNegativeFloat, PositiveFloat

from edgerift.cli._options import Json, output_folder
from edgerift.cli._study_run import StudyRun, run_text, step_names, write_report
from edgerift.cli._terminal import progress_bars, show
from edgerift.errors import InputError, StoreError
from edgerift.report import plan_text, study_text, write_study
from edgerift.run import Here, OnRay, Place, Processes, RunSummary, Workers, key_of, run_steps
from edgerift.settings import Document, Parts, Settings, Threads
from edgerift.steps import Progress, Recipe, Store, default_root, silent
from edgerift.study import Cell, Plan, StudyFile, StudyResult, collect, known_cells, make_plan, open_study
from edgerift.track import track

_PLACES = "here, processes, ray, or the address of a Ray cluster such as ray://host:10001 or auto"


class StudyOptions(Settings, ABC):
    """Which study, and where its results are kept."""

    file: tyro.conf.Positional[Path]
    """the study's YAML file"""
    profile: str | None = None
    """profile to use; small unless given, or the only one that the file has"""
    data_root: Path | None = None
    """a folder with the sets' offline copies; the environment's EDGERIFT_DATA otherwise"""
    store: Path | None = None
    """where finished steps are kept; the environment's EDGERIFT_STORE, else the user's cache folder, otherwise"""
    mirror: str | None = None
    """an fsspec URL, such as s3://bucket/folder, through which machines without a shared disk share finished steps"""
    known: tuple[Path, ...] = ()
    """the result.json of runs elsewhere: cells of the same recipes are taken from there where the store lacks them"""

    def read(self) -> StudyFile:
        """Read the file."""
        return open_study(self.file, self.profile)

    def open_store(self) -> Store:
        """Open the store."""
        return Store(self.store or default_root(), self.mirror)

    def known_results(self) -> tuple[StudyResult, ...]:
        """Read the results of runs elsewhere."""
        return tuple(_read_result(path) for path in self.known)

    def plan(self, file: StudyFile) -> Plan:
        """Look at what is there and what is missing."""
        known = known_cells(self.known_results())
        return make_plan(file.study.study, file.profile, file.cells(self.data_root), self.open_store(), known)


@final
class PlanStudy(StudyOptions):
    """Show what of a study is done and what is missing, with an estimate of the time from earlier runs."""

    details: bool = False
    """list every step by name, with what it waits for"""
    as_json: Json = False

    def run(self) -> int:
        """Look, and show the plan."""
        file = self.read()
        file.require_networks()
        plan = self.plan(file)
        show(plan, plan_text(plan, details=self.details), self.as_json)
        return 0


@final
class StudyStatus(StudyOptions):
    """Show from another terminal how far a running study is: what runs now, what failed, what waits."""

    as_json: Json = False

    def run(self) -> int:
        """Look, and show the plan with what runs."""
        plan = self.plan(self.read())
        show(plan, plan_text(plan, details=False), self.as_json)
        return 0


@final
class RunStudy(StudyOptions):
    """Build what a study lacks, past steps that fail, and write its tables, figures and page.

    A run that was stopped or killed goes on where it was. Exit code 1 says that cells are missing.
    """

    on: Annotated[str, tyro.conf.arg(metavar="PLACE")] = "here"
    """where steps run: here, processes, ray, or the address of a Ray cluster such as ray://host:10001 or auto"""
    workers: Parts | None = None
    """processes, with --on processes; as many as the machine has cores unless given"""
    threads: Threads = 0
    """threads of a step; unless given PyTorch's own number here, the cores divided among the workers elsewhere"""
    cpus: PositiveFloat = 1
    """CPUs, or the share of one, that a step takes on Ray; a step of several has as many threads"""
    gpus: NonNegativeFloat = 0
    """GPUs, or the share of one, that a step takes on Ray"""
    out: Path | None = None
    """the folder for tables, figures and page; STUDY-PROFILE unless given"""
    trust: bool = False
    """import and run the networks of your own, `module:factory`, that the file names"""
    track: bool = False
    """log every finished cell to MLflow, in OUT/mlflow.db unless --track-uri names a server"""
    track_uri: str | None = None
    """the MLflow server, such as http://host:5000; implies --track"""
    as_json: Json = False

    def run(self) -> int:
        """Run what is missing, write the report and show it."""
        file = self.read()
        file.require_networks()
        if not self.trust:
            file.require_trust()
        study, known = file.study, self.known_results()
        self._require_place()
        folder = output_folder(self.out or Path(f"{study.study}-{file.profile}"))
        with progress_bars() as progress:
            store = self.open_store()
            cells = file.cells(self.data_root)
            elsewhere = known_cells(known)
            goals = [cell.recipe for cell in cells if key_of(cell.recipe) not in elsewhere]
            # A server that cannot be reached is known before hours of work, with what is there to write already.
            tracked = self._track(file, cells, store, folder, progress)
            summary = self._run(goals, store, progress)
            result = collect(study, file.profile, cells, store, known=known)
            written = write_report(result, folder)
            lost = None
            try:
                tracked = _added(tracked, self._track(file, cells, store, folder, progress))
            except StoreError as error:
                lost = error
        done = StudyRun(
            study=study.study,
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

    def _run(self, goals: Sequence[Recipe], store: Store, progress: Progress) -> RunSummary:
        if all(_is_finished(goal, store) for goal in goals):
            return RunSummary(built=0, seconds=0.0, step_seconds=0.0, failed=())
        return run_steps(goals, store, self._workers(store), progress)

    def _require_place(self) -> None:
        """Raise `InputError` for a place that is not known, and for options of another one."""
        on_ray = self.on in ("ray", "auto") or self.on.startswith("ray://")
        if not on_ray and self.on not in ("here", "processes"):
            raise InputError(f"--on is '{self.on}'; it must be {_PLACES}")
        if self.on != "processes" and self.workers not in (None, 1):
            instead = "Ray takes as many as fit on its nodes, by --cpus" if on_ray else "here steps run one by one"
            raise InputError(f"--workers {self.workers} needs --on processes; {instead}")
        for option, given, usual in (("--cpus", self.cpus, 1), ("--gpus", self.gpus, 0)):
            if not on_ray and given != usual:
                raise InputError(
                    f"{option} {given:g} needs --on ray or a cluster's address; {self.on} counts no shares"
                )

    def _workers(self, store: Store) -> Workers:
        # A worker of a cluster is in a folder of its own.
        data_root = None if self.data_root is None else self.data_root.absolute()
        place = Place(store=store.root, mirror=self.mirror, data_root=data_root, threads=self.threads)
        if self.on == "here":
            return Here(place)
        if self.on == "processes":
            return Processes(place, self.workers)
        return OnRay(place, None if self.on == "ray" else self.on, cpus=self.cpus, gpus=self.gpus)

    def _track(
        self, file: StudyFile, cells: tuple[Cell, ...], store: Store, folder: Path, progress: Progress
    ) -> int | None:
        if not self.track and self.track_uri is None:
            return None
        return track(file.study, file.profile, cells, store, self.track_uri, folder, progress)


@final
class ShowStudy(StudyOptions):
    """Write the tables, figures and page of what a study has so far, and show its tables."""

    out: Path | None = None
    """the folder for tables, figures and page; STUDY-PROFILE unless given"""
    result: Path | None = None
    """a result.json of an earlier run to show, instead of what the store has"""
    as_json: Json = False

    def run(self) -> int:
        """Collect, write and show."""
        file = self.read()
        study = file.study
        if self.result is not None:
            result = _read_result(self.result)
            if (result.study.study, result.profile) != (study.study, file.profile):
                raise InputError(
                    f"{self.result} is of the study {result.study.study}, profile {result.profile}; {self.file} with "
                    f"--profile {file.profile} is of {study.study}; give the file and the profile that it was made with"
                )
        else:
            cells = file.cells(self.data_root)
            result = collect(study, file.profile, cells, self.open_store(), silent, self.known_results())
        folder = output_folder(self.out or Path(f"{study.study}-{file.profile}"))
        write_study(result, folder)
        show(result, study_text(result, folder), self.as_json)
        return 0


def _is_finished(goal: Recipe, store: Store) -> bool:
    """Say whether a cell is there; one that is damaged is not."""
    try:
        return store.has(goal)
    except StoreError:
        return False


def _read_result(path: Path) -> StudyResult:
    """Read a result that somebody named; raises `InputError` for a file that is none."""
    return Document(path, "result of a study", "give the result.json that a run or a show of a study wrote").settings(
        StudyResult
    )


def _added(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


StudyCommand = Annotated[
    Annotated[PlanStudy, tyro.conf.subcommand("plan")]
    | Annotated[RunStudy, tyro.conf.subcommand("run")]
    | Annotated[StudyStatus, tyro.conf.subcommand("status")]
    | Annotated[ShowStudy, tyro.conf.subcommand("show")],
    tyro.conf.subcommand("study", description="Run grids of experiments from one file: the tables of both papers."),
]
