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
from edgerift.report import hardening_charts, write_defending
from edgerift.report.figures._alpha import draw_alpha
from edgerift.report.figures._tradeoff import draw_tradeoff
from edgerift.report.hardening._plot_reliability import Reliability, calibration_error, reliability_png
from edgerift.report.hardening._plot_sweep import sweep_png
from edgerift.report.shared._plots import Look, looks

ALL = {"tradeoff.png", "alpha.png", "reliability.png", "sweep.png"}


def drawn(hardening: Hardening, folder: Path) -> dict[str, bytes]:
    """Draw a comparison, and read its pictures."""
    hardening_charts(hardening, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({"alphas": False}, set()),
        ({"search": False, "sweeps": False}, {"sweep.png"}),
        ({"search": False, "alphas": False, "sweeps": False}, {"alpha.png", "sweep.png"}),
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
        hardening_charts(made_hardening(("qat", "rs"), alphas=False, sweeps=False), folder)
    assert all(path.read_bytes() == (second / path.name).read_bytes() for path in first.iterdir())


def test_pictures_show_the_figures(tmp_path: Path) -> None:
    hardening, search = made_hardening(("qat", "divqat"), alphas=False), made_search()
    parts = hardening.victim
    hidden = parts["divqat"].replace(adversary_error=parts["qat"].adversary_error)
    other = search.replace(trials=(*search.trials[:-1], search.trials[-1].replace(changed=0.5)))
    whole, stolen, searched, bare = (
        drawn(one, tmp_path)
        for one in (
            hardening,
            hardening.replace(victim={**parts, "divqat": hidden}),
            hardening.replace(searches={"divqat": other}),
            hardening.replace(closed_form=None),
        )
    )
    assert whole["tradeoff.png"] != stolen["tradeoff.png"]
    assert len({whole["alpha.png"], searched["alpha.png"], bare["alpha.png"]}) == 3


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


def test_odd_victims_are_drawn(tmp_path: Path) -> None:
    for names in (("qat",), ("ptq",), ("qat", "$x_1$", "_hidden", "another")):
        hardening_charts(made_hardening(names), tmp_path)


def test_odd_alphas_are_drawn(tmp_path: Path) -> None:
    whole, search = made_hardening(("qat",)), made_search()
    only = search.replace(trials=(search.trials[0],), chosen=None, beyond_noise=False)
    known = whole.replace(closed_form=None, alpha=None)
    for odd in (
        known.replace(searches={}, alphas=whole.alphas[:1]),
        known.replace(searches={"divqat": only}, alphas=(whole.alphas[0].replace(alpha=0.0),)),
        whole.replace(alpha=0.0, alphas=()),
    ):
        hardening_charts(odd, tmp_path)


def test_odd_sweeps_and_bins_are_drawn() -> None:
    sweeps = made_hardening(("qat",)).sweeps
    sweep_png({"label-only": sweeps["deception"][:1], "none": ()}, 0.6)
    reliability_png([Reliability("nothing asked", Look("black", "o"), [ReliabilityBin(0, 0.0, 0.0)], 0.0)])
    reliability_png([])


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
