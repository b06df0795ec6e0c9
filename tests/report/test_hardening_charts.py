"""The pictures of a comparison: which are drawn, that they repeat, and that their marks stand apart."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_hardening import TITLES, made_defending, made_hardening, made_search
from PIL import Image

from edgerift.harden import Hardening
from edgerift.harden._rows import ROWS
from edgerift.measure import expected_calibration_error, reliability
from edgerift.report import hardening_charts, write_defending, write_hardening
from edgerift.report._plot_alpha import alpha_png
from edgerift.report._plot_reliability import calibration_error
from edgerift.report._plot_sweep import sweep_png
from edgerift.report._plot_tradeoff import tradeoff_png
from edgerift.report._plots import apart, looks

ALL = {"tradeoff.png", "alpha.png", "reliability.png", "sweep.png"}


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({}, set()),
        ({"search": False}, set()),
        ({"alphas": False}, set()),
        ({"search": False, "alphas": False}, {"alpha.png"}),
        ({"sweeps": False}, {"sweep.png"}),
    ],
)
def test_draws_what_is_known(tmp_path: Path, options: dict[str, bool], left_out: set[str]) -> None:
    hardening_charts(made_hardening(("qat", "divqat"), **options), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == ALL - left_out
    for path in tmp_path.iterdir():
        picture = pixels(path.read_bytes())
        assert (picture[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
        assert picture.min() < 100


def test_same_comparison_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        hardening_charts(made_hardening(), folder)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in ALL)


def test_pictures_show_the_figures(tmp_path: Path) -> None:
    hardening = made_hardening()
    part = hardening.victim["divqat"]
    moved = {**hardening.victim, "divqat": part.replace(adversary_error=hardening.victim["large"].adversary_error)}
    assert tradeoff_png(hardening) != tradeoff_png(hardening.replace(victim=moved))
    search = made_search()
    last = search.trials[-1].replace(changed=0.5)
    other = search.replace(trials=(*search.trials[:-1], last))
    assert alpha_png(hardening) != alpha_png(hardening.replace(searches={"divqat": other}))
    assert alpha_png(hardening) != alpha_png(hardening.replace(closed_form=None))
    assert alpha_png(hardening) != alpha_png(hardening.replace(alphas=hardening.alphas[:-1]))
    assert sweep_png(hardening.sweeps, 0.6) != sweep_png(hardening.sweeps, 0.3)


def odd_comparisons() -> dict[str, Hardening]:
    whole = made_hardening()
    search = made_search()
    nothing = search.replace(trials=(search.trials[0],), chosen=None, beyond_noise=False)
    return {
        "one victim": made_hardening(("qat",)),
        "without the reference": made_hardening(("ptq",)),
        "names of its own": made_hardening(("qat", "$x_1$", "_hidden", "another")),
        "one alpha": whole.replace(searches={}, closed_form=None, alpha=None, alphas=whole.alphas[:1]),
        "alpha 0 alone": whole.replace(
            searches={"divqat": nothing}, alpha=None, closed_form=None, alphas=(whole.alphas[0].replace(alpha=0.0),)
        ),
        "chose 0": whole.replace(alpha=0.0),
        "one strength": whole.replace(sweeps={"label-only": whole.sweeps["deception"][:1], "none": ()}),
        "no images": whole.replace(
            victim={"qat": whole.victim["qat"].replace(reliability=whole.victim["qat"].reliability[:12])}
        ),
    }


@pytest.mark.parametrize("name", odd_comparisons())
def test_odd_comparisons_are_drawn(tmp_path: Path, name: str) -> None:
    write_hardening(odd_comparisons()[name], tmp_path)
    assert "None" not in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_all_victims_are_drawn_and_look_different(tmp_path: Path) -> None:
    found = looks(ROWS)
    assert len(set(found.values())) == len({look.colour for look in found.values()}) == len(ROWS)
    others = looks((*ROWS, "one more", "and another"))
    assert len(set(others.values())) == len(ROWS) + 2
    hardening_charts(made_hardening(tuple(TITLES)), tmp_path)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.floats(0.01, 2))
def test_marks_stand_apart_in_their_order_and_no_further_than_they_must(places: list[float], gap: float) -> None:
    moved = apart(places, gap)
    order = sorted(range(len(places)), key=lambda number: places[number])
    steps = np.diff([moved[number] for number in order])
    assert (steps >= gap - 1e-9).all()
    assert sum(moved) == pytest.approx(sum(places), abs=1e-6)
    if len(places) == 1 or np.diff(sorted(places)).min() >= gap:
        assert moved == pytest.approx(places)


@pytest.mark.parametrize("classes", [2, 10])
def test_calibration_error_of_bins_is_that_of_the_answers(classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    answers = torch.rand(200, classes, generator=generator).softmax(1)
    labels = torch.randint(0, classes, (200,), generator=generator)
    assert calibration_error(reliability(answers, labels)) == pytest.approx(expected_calibration_error(answers, labels))
    assert calibration_error([]) == 0


@pytest.mark.parametrize("stolen", [False, True])
def test_writes_a_sweep(tmp_path: Path, stolen: bool) -> None:
    swept = made_defending(stolen=stolen)
    write_defending(swept, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"defend.json", "table.md", "sweep.png", "reliability.png"}
    assert type(swept).model_validate_json((tmp_path / "defend.json").read_bytes()) == swept
    heights = [len(pixels(sweep_png(points, 0.6))) for points in _both(swept.sweeps)]
    assert (heights[0] > heights[1]) is stolen


def _both(sweeps: dict[str, Sequence[object]]) -> tuple[dict, dict]:
    bare = {
        name: tuple(point.replace(adversary_error=None, disagreement=None) for point in points)
        for name, points in sweeps.items()
    }
    return sweeps, bare
