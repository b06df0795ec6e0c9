"""The map of DivQAT's alpha: which cells are tried, and what is written of those that are finished."""

import csv
import importlib
import math
import sys
from pathlib import Path

import pytest
import torch

from edgerift.errors import RecipeError
from edgerift.settings import Document, read_yaml, settings_of
from edgerift.steps import Store

STUDIES = Path(__file__).resolve().parents[2] / "studies"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(STUDIES))
    try:
        yield importlib.import_module("divqat_map")
    finally:
        sys.path.remove(str(STUDIES))


@pytest.fixture
def whole(script, tmp_path):
    document = Document(STUDIES / "divqat-map.yaml", "map", "", RecipeError)
    settings = settings_of(read_yaml(document, ""), script.MapSettings, document)
    return script.Map(settings.replace(data="digits"), Store(tmp_path), works=False)


def tried(script, whole, l1):
    """List the alphas that are tried where a cell moves the answers by `l1(alpha)`, None for one that diverges."""
    found, order = {}, []
    for alpha in whole._tried(found):
        order.append(alpha)
        found[alpha] = script.Figures(l1=l1(alpha), error=0.3, plain_error=0.25)
    return order


@pytest.mark.parametrize(
    ("l1", "expected"),
    [
        (lambda alpha: 0.05 if alpha <= 0.45 else 1.7, [0.0, 0.2, 0.4, 0.6, 0.5, 0.45]),
        (lambda alpha: 0.05 if alpha <= 0.55 else 1.7, [0.0, 0.2, 0.4, 0.6, 0.5, 0.55]),
        # A training that diverged has jumped.
        (lambda alpha: None if alpha > 0.1 else 0.05, [0.0, 0.2, 0.1, 0.15]),
        (lambda alpha: 0.1 if alpha < 1.3 else 1.7, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.3, 1.25]),
        # Without a jump there is nothing to halve.
        (lambda alpha: 0.1, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0]),
    ],
)
def test_alpha_rises_until_it_jumps_and_the_jump_is_halved(script, whole, l1, expected):
    assert tried(script, whole, l1) == expected


def test_a_cell_is_usable_where_it_moves_the_answers_and_its_owner_loses_little(script, whole):
    kinds = {(0.3, 0.3): True, (0.05, 0.3): False, (0.7, 0.3): False, (0.3, 0.35): False, (None, 0.3): False}
    for (l1, error), expected in kinds.items():
        assert whole._is_usable(script.Figures(l1=l1, error=error, plain_error=0.25), 0.05) is expected
    # Another seed would move them as far.
    assert not whole._is_usable(script.Figures(l1=0.3, error=0.3, plain_error=0.25), 0.3 + 1e-6)


def test_a_training_is_measured_beside_the_plain_one_and_that_beside_another_seed(script, whole):
    cell = whole._cell(0.4, script.Axis("resnet8", 0.01, 2, "alive"), 1)
    assert cell.beside == cell.replace(alpha=0.0)
    assert cell.beside.beside.settings.train.seed == 2
    assert (cell.settings.batch_norm, cell.settings.train.learning_rate, cell.settings.train.nesterov) == (
        "alive", 0.01, False,
    )  # fmt: skip


def test_nothing_is_trained_to_collect(script, whole):
    assert list(whole.rows()) == []
    assert whole.missing == len(list(whole._tried({}))) * (8 + 2)


def test_the_files_follow_from_the_cells(script, tmp_path):
    def row(alpha, l1, error, seed=0, **stolen):
        figures = script.Figures(l1=l1, kl=l1, error=error, plain_error=0.2, changed=0.1)
        return script.Row(script.Axis("resnet8", 0.01, 2, "alive"), alpha, seed, figures, stolen)

    thief = script.Stolen(error=0.4, disagreement=0.3)
    both = {"soft": thief, "hard": thief}
    rows = [row(0.5, 0.3, 0.25, soft=thief), row(0.0, 0.05, 0.2), row(1.0, 1.8, 0.9)]
    fallen = row(0.4, 1.7, 0.93, seed=3, **both)
    # The second thief of this one is not finished.
    half = row(0.6, 0.3, 0.25, seed=1, soft=thief)
    again = [row(0.0, 0.1, 0.2, seed=3, **both), fallen, half] + [
        row(alpha, 0.3, 0.2 + alpha / 10, seed=seed, **both) for alpha in (0.0, 0.4) for seed in (1, 2)
    ]
    script.write_rows(tmp_path, rows)
    script.write_page(tmp_path, 3, (0.1, 0.6), 0.07, 0.9)
    with (tmp_path / "map.csv").open(encoding="utf-8") as file:
        told = list(csv.DictReader(file))
    assert [one["alpha"] for one in told] == ["0", "0.5", "1"]
    assert (told[1]["thief_soft"], told[1]["thief_hard"], told[1]["l1"]) == ("0.4", "", "0.3")
    text = (tmp_path / "map.md").read_text(encoding="utf-8")
    assert "3 cells are measured, 3 that are known to be needed are missing. 1 have an l1 from 0.1 to 0.6" in text
    assert "| resnet8 | alive | 0.01 | 2 | 0.5 | 0 | 0.300 | 0.300 | 25.0 | 20.0 | 40.0 |  |" in text
    assert "| resnet8 | alive | 0.01 | 2 | 0.5 | 0.300 | 5.0 | 1 | 1.800 | 70.0 (collapsed) |" in text
    assert "| resnet8 | alive | 0.01 | 2 | 1 | 0 | 1.800 | 1.800 | 90.0 (collapsed) | 20.0 |  |  |" in text
    assert "What it buys" not in text
    script.write_rows(tmp_path, rows + again)
    script.write_page(tmp_path, 0, (0.1, 0.6), 0.07, 0.9)
    told = (tmp_path / "map.md").read_text(encoding="utf-8")
    assert (
        "| resnet8 | alive | 0.01 | 2 | 0.4 | 2 of 3 | +4.0 [+4.0, +4.0] | +0.0 [+0.0, +0.0] | +0.0 [+0.0, +0.0] |"
        in told
    )
    assert (
        "beyond the cliff for their seed: alpha 0.4 of resnet8 at rate 0.01, 2 epochs, batch norm alive, seed 3: an "
        "owner's error of 93.0 % (collapsed)."
    ) in told
    diverged = script.Row(script.Axis("resnet8", 0.01, 2, "alive"), 0.4, 4, script.Figures(), {})
    script.write_rows(tmp_path, [*rows, *again, row(0.0, 0.1, 0.2, seed=4, **both), diverged])
    script.write_page(tmp_path, 0, (0.1, 0.6), 0.07, 0.9)
    told = (tmp_path / "map.md").read_text(encoding="utf-8")
    assert "| resnet8 | alive | 0.01 | 2 | 0.4 | 2 of 4 |" in told
    assert "batch norm alive, seed 4: its training diverged" in told
    script.write_rows(tmp_path, rows)
    first = (tmp_path / "map.csv").read_bytes()
    script.write_rows(tmp_path, rows[::-1])
    assert (tmp_path / "map.csv").read_bytes() == first
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_networks_of_other_widths_stand_at_one_point_and_beside_the_common_one(script, whole, tmp_path):
    settings = whole.settings
    common, at = settings.original["model"], settings.widths
    others = [axis for axis in settings.axes if axis.model != common]
    assert [axis.model for axis in others] == list(at.models)
    assert {axis[1:] for axis in others} == {(at.learning_rate, at.epochs, at.batch_norm)}
    # The common network is measured there too, and each trains its own original.
    assert (common, *others[0][1:]) in settings.axes
    architectures = [whole._cell(0.4, axis, 0).original.architecture.name for axis in settings.axes]
    assert architectures == [axis.model for axis in settings.axes]
    page = importlib.import_module("_map_page")
    rows = [
        {**dict.fromkeys(page.COLUMNS, "0"), **{name: str(value) for name, value in axis._asdict().items()}, "l1": "1"}
        for axis in settings.axes
    ]
    panels = page._panels(rows)
    assert [len(lines) for lines in panels.values()] == [4, 4, 3]
    assert [line.name for line in [*panels.values()][2]] == sorted((common, *at.models))
    # No network looks like a setting of the other panels, whose key it shares.
    looks = [{line.style for line in lines} for lines in panels.values()]
    assert not (looks[0] | looks[1]) & looks[2]
    assert max(map(max, looks)) < min(len(set(page.COLOURS)), len(set(page.MARKERS)))


@pytest.mark.parametrize(
    ("alpha", "margin", "expected"),
    [(0.05, 20, 0), (0.05, 25, 0.14), (0.1, 15, 0.29), (0.2, 8, 0.30), (0.3, 10, 0.69), (0.5, 5, 0.64), (0.3, 5, 0)],
)
def test_the_least_loss_solves_its_equation(script, alpha, margin, expected):
    """At the least loss logit(s) + M = 1 / (alpha (1 - s)), or nothing moves at all."""
    optimum = importlib.import_module("_optimum")
    share = optimum.moved_least_loss(torch.tensor([float(margin)]), alpha).item()
    assert share == pytest.approx(expected, abs=0.006)
    if share:
        assert math.log(share / (1 - share)) + margin == pytest.approx(1 / (alpha * (1 - share)), rel=0.01)


def test_what_the_original_gets_wrong_has_no_least_loss(script):
    optimum = importlib.import_module("_optimum")
    posteriors = torch.tensor([[1 - 2e-5, 1e-5, 1e-5], [1e-5, 1 - 2e-5, 1e-5]])
    margin = math.log((1 - 2e-5) / 1e-5)
    own = 2 * optimum.moved_least_loss(torch.tensor([margin]), 0.4).item()
    assert optimum.optimum_l1(posteriors, torch.tensor([0, 0]), 0.4) == pytest.approx(own)
    assert own > 1
