"""The pictures of a comparison: which are drawn, and that they repeat."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from made_hardening import TITLES, made_defending, made_hardening, made_search
from matplotlib.colors import to_hex
from PIL import Image

from edgerift.facts import single
from edgerift.harden import VARIANTS, Hardening
from edgerift.measure import ReliabilityBin, expected_calibration_error, reliability
from edgerift.report import study_charts, write_defending
from edgerift.report.figures import _registry as figures
from edgerift.report.figures._alpha import draw_alpha
from edgerift.report.figures._reliability import Reliability, calibration_error, draw_reliability
from edgerift.report.figures._sweeps import draw_sweeps
from edgerift.report.figures._tradeoff import draw_tradeoff
from edgerift.report.shared._plots import Look, looks

ALL = {"tradeoff", "alpha", "reliability", "sweeps"}


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def kinds(hardening: Hardening) -> set[str]:
    """Name the pictures of a comparison without drawing them."""
    return {name for name, _ in figures._charts(single(hardening))}


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({"alphas": False}, set()),
        ({"search": False, "sweeps": False}, {"sweeps"}),
        ({"search": False, "alphas": False, "sweeps": False}, {"alpha", "sweeps"}),
    ],
)
def test_draws_what_is_known(options: dict[str, bool], left_out: set[str]) -> None:
    assert kinds(made_hardening(("qat", "divqat"), **options)) == ALL - left_out


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    study_charts(single(made_hardening(("qat", "divqat"))), found.__setitem__)
    return found


def test_pictures_have_a_margin_and_ink(drawn: dict[str, bytes]) -> None:
    assert set(drawn) == {f"{name}.png" for name in ALL}
    for content in drawn.values():
        picture = pixels(content)
        assert (picture[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
        assert picture.min() < 100


def test_same_comparison_gives_the_same_bytes(drawn: dict[str, bytes]) -> None:
    again = single(made_hardening(("qat", "divqat")))
    own = {name: chart for name, chart in figures._charts(again) if name in ("reliability", "sweeps")}
    assert {f"{name}.png": figures.drawn(chart, again) for name, chart in own.items()} == {
        f"{name}.png": drawn[f"{name}.png"] for name in own
    }


def test_a_comparison_is_drawn_as_a_study_of_one_cell() -> None:
    hardening = made_hardening(("qat", "divqat"))
    drawing = draw_alpha(single(hardening))
    titles = [axes.get_title(loc="left").partition(": ")[2] for axes in drawing.axes if axes.get_visible()]
    assert titles == ["errors", "disagreement", "divergence", "distance", "accuracy", "changed labels"]
    trials = sorted(hardening.searches["divqat"].trials, key=lambda trial: trial.strength)
    for axes, field in ((drawing.axes[4], "accuracy"), (drawing.axes[5], "changed")):
        (line,) = [line for line in axes.lines if line.get_linewidth() == 0.9 and len(line.get_xdata()) == len(trials)]
        assert list(line.get_ydata()) == pytest.approx([100 * getattr(trial, field) for trial in trials])
    form = hardening.closed_form
    assert form is not None
    upright = [line.get_xdata()[0] for line in drawing.axes[0].lines if to_hex(line.get_color()) == "#8b5e34"]
    assert upright == [form.appears, form.flips]
    keys = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert "theory: labels turn" in keys


@pytest.mark.parametrize("names", [("ptq",), ("qat", "$x_1$", "_hidden", "another")], ids="-".join)
def test_odd_victims_are_drawn(names: tuple[str, ...]) -> None:
    found = single(made_hardening(names, search=False, alphas=False))
    assert study_charts(found, lambda *_: None)


def test_odd_alphas_are_drawn() -> None:
    whole, search = made_hardening(("qat",)), made_search()
    only = search.replace(trials=(search.trials[0],), chosen=None, beyond_noise=False)
    known = whole.replace(closed_form=None, alpha=None)
    for odd in (
        known.replace(searches={}, alphas=whole.alphas[:1]),
        known.replace(searches={"divqat": only}, alphas=(whole.alphas[0].replace(alpha=0.0),)),
        whole.replace(alpha=0.0, alphas=()),
    ):
        draw_alpha(single(odd)).draw_without_rendering()


def test_odd_sweeps_and_bins_are_drawn() -> None:
    sweeps = made_hardening(("qat",)).sweeps
    draw_sweeps({"label-only": sweeps["deception"][:1], "none": ()}, 0.6).draw_without_rendering()
    for shown in ([Reliability("nothing asked", Look("black", "o"), [ReliabilityBin(0, 0.0, 0.0)])], []):
        draw_reliability(shown).draw_without_rendering()


def test_papers_figures_are_those_of_the_runs_target() -> None:
    hardening = made_hardening(("qat", "rs"))
    _, over_error = draw_tradeoff(single(hardening)).axes[:2]
    small = {(line.get_xdata()[0], line.get_ydata()[0]) for line in over_error.lines if line.get_markersize() == 3.6}
    papers = [part.paper for part in hardening.victim.values()]
    assert small == {(100 * one.defender_error, 100 * one.adversary_error) for one in papers if one}


def test_all_victims_are_drawn_and_look_different() -> None:
    found = looks(VARIANTS.names())
    assert len(set(found.values())) == len({look.colour for look in found.values()}) == len(VARIANTS.names())
    others = looks((*VARIANTS.names(), "one more", "and another"))
    assert len(set(others.values())) == len(VARIANTS.names()) + 2
    draw_tradeoff(single(made_hardening(tuple(TITLES))))


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
    assert len(pixels((tmp_path / "sweep.png").read_bytes())) == (1344 if stolen else 928)
