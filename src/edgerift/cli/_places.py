"""Where steps run: here, in processes of this machine, or on Ray."""

from __future__ import annotations

from typing import Final

from edgerift import run
from edgerift.errors import InputError

_PLACES: Final = "here, processes, ray, or the address of a Ray cluster such as ray://host:10001 or auto"


def is_on_ray(on: str) -> bool:
    """Tell whether a place is a Ray cluster; raises `InputError` for a place that is not known."""
    on_ray = on in ("ray", "auto") or on.startswith("ray://")
    if not on_ray and on not in ("here", "processes"):
        raise InputError(f"--on is '{on}'; it must be {_PLACES}")
    return on_ray


def workers_at(
    on: str, place: run.Place, workers: int | None = None, *, cpus: float = 1, gpus: float = 0
) -> run.Workers:
    """Find the workers of a place that is known."""
    if on == "here":
        return run.Here(place)
    if on == "processes":
        return run.Processes(place, workers)
    return run.OnRay(place, None if on == "ray" else on, cpus=cpus, gpus=gpus)
