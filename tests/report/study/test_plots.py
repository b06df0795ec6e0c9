"""The figures of a study: which are drawn, what stands in them, and that they repeat."""

import base64
import io
import itertools
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from made_datafree import with_data_free
from made_study import made_diva, made_divqat
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Drawing
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from edgerift.audit import EmbeddingPart
from edgerift.errors import InputError
from edgerift.facts import Facts, facts
from edgerift.measure import Interval, spread
from edgerift.report import figure_of, study_charts
from edgerift.report.figures import _alpha as alpha
from edgerift.report.figures import _epsilon as epsilon
from edgerift.report.figures import _groups as groups
from edgerift.report.figures import _queries as questions
from edgerift.report.figures import _success as success
from edgerift.report.figures import _tradeoff as tradeoff
from edgerift.report.figures import _training as training
from edgerift.report.figures._attacked import attacked_words, draw_attacked, magnification, pixels
from edgerift.report.figures._features import draw_features, features_words
from edgerift.report.figures._names import Line, Named, _passed, name_marks
from edgerift.report.figures._panels import panel_figure
from edgerift.report.figures._registry import KINDS, slug
from edgerift.report.figures._seeds import whisker_words
from edgerift.report.shared._plot_scales import decades, strengths
from edgerift.report.shared._words import percent
from edgerift.study import StudyResult

TITLES = {name: kind.figure.title for name, kind in KINDS.items()}
LONG = "a folder of street signs as they stood in $1990_x$"


def diva(**options: object) -> StudyResult:
    given = {"data": ("cifar10",), "originals": ("ResNet",), "seeds": (0, 1, 2), "missing": False, **options}
    return made_diva(**given)  # type: ignore[arg-type]


def divqat(**options: object) -> StudyResult:
    given = {"data": ("cifar10",), "seeds": (0, 1, 2), "rows": ("qat", "rs", "divqat"), "missing": False, **options}
    return made_divqat(**given)  # type: ignore[arg-type]


def both(evasion: StudyResult, theft: StudyResult) -> StudyResult:
    study = evasion.study.replace(theft=theft.study.theft, paper=None)
    return evasion.replace(study=study, thefts=theft.thefts, data_free=theft.data_free)


def into(folder: Path) -> Callable[[str, bytes], object]:
    return lambda name, data: (folder / name).write_bytes(data)


def marks(axes: Axes) -> list[tuple[float, float, bool, str]]:
    """Give x, y, whether it is hollow and the colour of every mark with whiskers."""
    found = []
    for container in axes.containers:
        line = container[0]
        (x,), (y,) = line.get_data()
        found.append((float(x), float(y), to_hex(line.get_markerfacecolor()) == "#ffffff", to_hex(line.get_color())))
    return found


def whiskers(axes: Axes) -> list[tuple[float, float]]:
    """Give the lower and upper end of every mark's upright whisker."""
    ends = []
    for container in axes.containers:
        upright = container[2][-1].get_segments()[0]
        ends.append((float(upright[0][1]), float(upright[1][1])))
    return ends


def lines(axes: Axes, colour: str, width: float) -> list[tuple[list[float], list[float]]]:
    """Give the points of the lines of a colour and width."""
    return [
        (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for line in axes.lines
        if to_hex(line.get_color()) == colour and line.get_linewidth() == width and line.get_linestyle() != "None"
    ]


def shown(drawing: Drawing) -> list[Axes]:
    return [axes for axes in drawing.axes if axes.get_visible()]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@pytest.fixture(scope="module")
def small() -> StudyResult:
    return both(diva(seeds=(0, 1)), with_data_free(divqat(seeds=(0, 1))))


@pytest.fixture(scope="module")
def drawn(small: StudyResult, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("figures")
    return folder, study_charts(facts(small), into(folder))


#: Figures of a comparison that is the only one.
OF_ONE_RUN = ("reliability", "sweeps")
PICTURED = [f"{kind}-cifar10-resnet-{made}" for kind in ("pca", "tsne", "attacked") for made in ("ptq", "qat")]
ALL = [
    "training", "success", "cumulative", *PICTURED, "tradeoff", "clones", "alpha", "targets", "epsilon", "questions",
    "agreement",
]  # fmt: skip


def test_draws_every_kind_and_nothing_else(drawn: tuple[Path, dict[str, str]]) -> None:
    folder, told = drawn
    assert list(told) == ALL
    assert {path.name for path in folder.iterdir()} == {f"{name}.png" for name in ALL}
    for path in folder.iterdir():
        with Image.open(path) as image:
            # Those of attacked images are as wide as what stands in them.
            assert (image.width <= 1408) if path.name.startswith("attacked") else (image.width == 1408)
            assert (np.asarray(image.convert("RGB"))[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()


def test_same_result_gives_the_same_bytes_without_global_state(
    small: StudyResult,
    drawn: tuple[Path, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    before = rcParams.copy()
    assert study_charts(facts(small), into(tmp_path)) == drawn[1]
    assert rcParams.copy() == before
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (drawn[0] / path.name).read_bytes(), path.name


def test_figures_have_titles_captions_and_places(small: StudyResult, drawn: tuple[Path, dict[str, str]]) -> None:
    shown_kinds = list(dict.fromkeys(name.partition("-")[0] for name in drawn[1]))
    assert shown_kinds == [kind for kind in TITLES if kind not in OF_ONE_RUN]
    found = {name: figure_of(name, facts(small)) for name in drawn[1]}
    assert found["pca-cifar10-resnet-qat"].title == f"{TITLES['pca']}: cifar10, QAT"
    assert found["training"] == figure_of("training")
    theft = {name for name, one in found.items() if one.place == "theft"}
    assert theft == {*THEFT, "epsilon", "questions", "agreement"}
    for name in ("success", "epsilon", *THEFT):
        assert "over 2 seeds (Student's t)" in found[name].caption
        assert "over the seeds" in figure_of(name).caption
    one = diva(seeds=(4,))
    assert "of the images (one seed)" in figure_of("success", facts(one)).caption
    assert figure_of("attacked-a-b-qat").title == f"{TITLES['attacked']}: a-b-qat"
    with pytest.raises(InputError, match=r"unknown figure 'alhpa'.*alpha"):
        figure_of("alhpa")


def test_papers_figures_are_shown_only_where_it_is_studied(small: StudyResult) -> None:
    result = divqat(seeds=(0, 1), targets=("server", "mobile"))
    part = next(cell.hardening.victim["divqat"] for cell in result.thefts if cell.target == "server")
    assert part.paper is not None
    assert f"the paper: {percent(part.paper.defender_error)}" in tradeoff.tradeoff_words(facts(result))
    assert "the paper" not in tradeoff.tradeoff_words(facts(small))


def test_words_have_the_figures(small: StudyResult, drawn: tuple[Path, dict[str, str]]) -> None:
    told = drawn[1]
    pairs = [cell.report for cell in small.pairs if cell.adaptation == "qat"]
    rates = [report.attacks["diva"].evasive for report in pairs]
    found = spread([rate.value for rate in rates])
    last = mean([report.attacks["diva"].evasive_last.value for report in pairs])  # type: ignore[union-attr]
    low, high = max(0.0, found.low or 0), min(1.0, found.high or 1)
    assert f"DIVA {percent(found.value)} ({100 * low:.1f} to {100 * high:.1f}), {percent(last)} at" in told["success"]
    assert f"{percent(mean([rate.value for rate in rates]))} after 20" in told["cumulative"]
    end = mean([report.adapted_epochs[-1].validation_accuracy or 0 for report in pairs])
    assert f"to {percent(end)}, training accuracy" in told["training"]
    victims = [cell.hardening.victim["divqat"] for cell in small.thefts if cell.target == "mobile"]
    soft = mean([part.adversary_error.soft.value for part in victims])
    assert f"DivQAT: l1 {mean([part.l1.value for part in victims]):.3f}" in told["tradeoff"]
    for name in ("tradeoff", "clones", "targets"):
        assert percent(soft) in told[name]
    points = [cell.hardening.alphas[1] for cell in small.thefts if cell.hardening.alphas]
    assert f"alpha 0.3: defender's error {percent(mean([one.defender_error.value for one in points]))}" in told["alpha"]
    assert "search of seed 1: alpha 0 l1 0.000" in told["alpha"]
    assert "52.0\xa0% and 13.0\xa0% of the variance" in told["pca-cifar10-resnet-qat"]
    assert "of the variance" not in told["tsne-cifar10-resnet-qat"]
    assert "An image of 0, once attacked, is 0 (51.0\xa0%) to the original and 3" in told["attacked-cifar10-resnet-qat"]


def without(result: StudyResult, **changes: object) -> StudyResult:
    """Change every report of a result."""
    pairs = tuple(cell.replace(report=cell.report.replace(**changes)) for cell in result.pairs)
    return result.replace(pairs=pairs)


def hardened(result: StudyResult, **changes: object) -> StudyResult:
    """Change every comparison of a result."""
    thefts = tuple(cell.replace(hardening=cell.hardening.replace(**changes)) for cell in result.thefts)
    return result.replace(thefts=thefts)


def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write empty files in place of pictures."""
    monkeypatch.setattr("edgerift.report.figures._registry.drawn", lambda *_: b"")


EVASION = {"training", "success", "cumulative", "pca", "tsne", "attacked"}
THEFT = {"tradeoff", "clones", "alpha", "targets"}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: diva().replace(pairs=()), set()),
        (lambda: diva(), EVASION),
        (lambda: divqat(), THEFT),
        (lambda: without(diva(), original_epochs=(), adapted_epochs=()), EVASION - {"training"}),
        (lambda: without(diva(), embeddings=()), EVASION - {"pca", "tsne"}),
        (lambda: without(diva(), examples=()), EVASION - {"attacked"}),
        (lambda: divqat(students=False), THEFT - {"clones"}),
        (lambda: divqat(targets=("mobile",)), THEFT - {"targets"}),
        (lambda: hardened(divqat(alphas=False), searches={}), THEFT - {"alpha"}),
        (lambda: divqat(alphas=False), THEFT),
        (lambda: hardened(divqat(), searches={}), THEFT),
        (lambda: divqat().replace(thefts=tuple(one for one in divqat().thefts if one.target == "server")), set()),
    ],
)
def test_draws_nothing_of_what_is_not_known(
    make: Callable[[], StudyResult], expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpainted(monkeypatch)
    told = study_charts(facts(make()), into(tmp_path))
    assert {path.stem for path in tmp_path.iterdir()} == set(told)
    assert {name.partition("-")[0] for name in told} == expected


def test_names_are_safe_and_unique(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = diva(data=("My Data", "my-data", "数字"), originals=("Größe_1",), seeds=(0, 1))
    unpainted(monkeypatch)
    told = study_charts(facts(result), into(tmp_path))
    assert all(re.fullmatch(r"[a-z0-9-]{1,110}", name) for name in told)
    assert [name for name in told if name.startswith("pca") and name.endswith(("qat", "qat-2"))] == [
        "pca-my-data-grosse-1-qat",
        "pca-my-data-grosse-1-qat-2",
        "pca-unnamed-grosse-1-qat",
    ]
    assert figure_of("pca-my-data-grosse-1-qat", facts(result)).title.endswith(": My Data, QAT")
    assert figure_of("pca-my-data-grosse-1-qat-2", facts(result)).title.endswith(": my-data, QAT")


def test_models_are_pictured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = diva(seeds=(0,))
    again = tuple(cell.replace(seed=1) for cell in result.pairs)
    unpainted(monkeypatch)
    assert list(study_charts(facts(result.replace(pairs=result.pairs + again)), into(tmp_path))) == [
        *ALL[:3],
        *PICTURED,
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [("../../etc", "etc"), ("A  B", "a-b"), ("-", "unnamed"), ("x" * 99, "x" * 40), ("con.txt", "con-txt")],
)
def test_slugs(given: str, expected: str) -> None:
    assert slug(given) == expected
    assert slug(expected) == expected


def over_seeds(parts: Sequence[Interval], most: float = 1.0) -> Interval:
    """The mean over seeds with Student's interval, cut where no figure can lie; a single seed's as it is."""
    found = spread([part.value for part in parts])
    if len({part.value for part in parts}) == 1:
        return max(parts, key=lambda part: part.high - part.low)
    low, high = max(0.0, found.low or 0.0), min(most, found.high or 0.0)
    return Interval(value=found.value, low=low, high=high, successes=0, trials=1)


def test_words_of_whiskers() -> None:
    assert whisker_words({1}) == "95 % intervals of the images (one seed)"
    assert whisker_words({3}) == "95 % intervals over 3 seeds (Student's t)"
    assert (
        whisker_words({1, 2, 3}) == "95 % intervals over 2 to 3 seeds (Student's t); of the images where there is one"
    )


def test_training_goes_on_where_the_original_ended() -> None:
    result = diva()
    whole, adapted = shown(training.draw_training(facts(result)))
    reports = {cell.seed: cell.report for cell in result.pairs if cell.adaptation == "qat"}
    for place, field in enumerate(("train_accuracy", "validation_accuracy")):
        means = [
            mean([100 * getattr(one.original_epochs[epoch], field) for one in reports.values()]) for epoch in range(8)
        ]
        x, y = lines(whole, "#191b1e", 1.6)[place]
        assert x == list(range(1, 9))
        assert y == pytest.approx(means)
        after = [
            mean([100 * getattr(one.adapted_epochs[epoch], field) for one in reports.values()]) for epoch in range(2)
        ]
        x, y = lines(adapted, "#0072b2", 1.6)[place]
        assert x == [8, 9, 10]
        assert y == pytest.approx([means[-1], *after])
    assert len(lines(whole, "#191b1e", 0.6)) == 6
    assert len(lines(adapted, "#c2410c", 0.6)) == 6


def test_training_without_validation_or_adaptation() -> None:
    result = diva(seeds=(0,))
    pairs = tuple(
        cell.replace(
            report=cell.report.replace(
                original_epochs=tuple(one.replace(validation_accuracy=None) for one in cell.report.original_epochs),
                adapted_epochs=(),
            )
        )
        for cell in result.pairs
    )
    alone = result.replace(pairs=pairs)
    (whole,) = shown(training.draw_training(facts(alone)))
    assert [len(x) for x, _ in lines(whole, "#191b1e", 1.6)] == [8, 0]
    assert training.training_words(facts(alone)).startswith("cifar10, original: training accuracy from")
    assert "QAT" not in training.training_words(facts(alone))


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_success_shows_rates(seeds: tuple[int, ...]) -> None:
    result = diva(seeds=seeds)
    (axes,) = shown(success.draw_success(facts(result)))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["PTQ", "QAT", "float control"]
    expected = []
    for adaptation in ("ptq", "qat", "finetune"):
        reports = [cell.report for cell in result.pairs if cell.adaptation == adaptation]
        for attack in ("pgd", "diva", "default"):
            expected.append(over_seeds([one.attacks[attack].evasive for one in reports]))
            expected.append(over_seeds([one.attacks[attack].evasive_last for one in reports]))  # type: ignore[misc]
    found = marks(axes)
    assert [y for _, y, _, _ in found] == pytest.approx([100 * one.value for one in expected])
    assert [hollow for _, _, hollow, _ in found] == [False, True] * 9
    ends = [(100 * one.low, 100 * one.high) for one in expected]
    assert np.array(whiskers(axes)) == pytest.approx(np.array(ends))
    places = [x for x, *_ in found]
    assert places == sorted(places)
    assert [round(x) for x in places] == [place for place in range(3) for _ in range(6)]
    assert len({colour for *_, colour in found}) == 3


def test_success_says_what_is_missing_and_leaves_out_the_last_step() -> None:
    result = diva(data=("cifar10", "mnist"), originals=("ResNet", "MobileNet"), seeds=(0, 1), missing=True)
    gone = shown(success.draw_success(facts(result)))[3]
    assert [text.get_text() for text in gone.texts] == ["no result"]
    assert not [x for x, *_ in marks(gone) if x < 0.5]
    assert [text.get_text() for text in shown(success.draw_cumulative(facts(result)))[9].texts] == ["no result"]
    stopped = without(
        diva(seeds=(0,)),
        attacks={
            name: one.replace(evasive_last=None) for name, one in diva().pairs[0].report.attacks.items()
        },
    )  # fmt: skip
    assert not any(hollow for _, _, hollow, _ in marks(shown(success.draw_success(facts(stopped)))[0]))
    assert "last" not in success.success_words(facts(stopped))


def test_names_of_adaptations_that_would_overlap_are_turned() -> None:
    result = diva(originals=("ResNet", "DenseNet", "MobileNet"), seeds=(0,))
    assert result.study.evasion is not None
    more = ("prune", "distil", "prune+qat")
    cells = [cell.replace(adaptation=name) for cell in result.pairs if cell.adaptation == "qat" for name in more]
    plan = result.study.evasion.replace(adaptations=(*result.study.evasion.adaptations, *more))
    study = result.study.replace(evasion=plan)
    drawing = success.draw_success(facts(result.replace(study=study, pairs=(*result.pairs, *cells))))
    drawing.canvas.draw()
    for axes in shown(drawing):
        labels = axes.get_xticklabels()
        assert [label.get_rotation() for label in labels] == [30] * 6
        # Lines that are turned by 30 degrees lie half of their distance apart.
        apart = (axes.transData.transform((1, 0)) - axes.transData.transform((0, 0)))[0] * 0.5
        assert apart > labels[0].get_fontsize() * drawing.dpi / 72
    assert {label.get_rotation() for label in shown(success.draw_success(facts(diva())))[0].get_xticklabels()} == {0}


def test_cumulative_shows_shares() -> None:
    result = diva()
    drawing = success.draw_cumulative(facts(result))
    assert [axes.get_title(loc="left") for axes in shown(drawing)] == [
        "cifar10: PTQ",
        "cifar10: QAT",
        "cifar10: float control",
    ]
    reports = [cell.report for cell in result.pairs if cell.adaptation == "qat"]
    counts = [[100 * count / 60 for count in one.attacks["diva"].cumulative] for one in reports]
    axes = shown(drawing)[1]
    x, y = lines(axes, "#c2410c", 1.6)[0]
    assert x == list(range(21))
    assert y == pytest.approx([mean(values) for values in zip(*counts, strict=True)])
    assert [y for _, y in lines(axes, "#c2410c", 0.6)] == [pytest.approx(one) for one in counts]


def test_cumulative_of_unequal_lengths() -> None:
    cells = [cell for cell in diva().pairs if cell.adaptation == "qat"]
    curves = [(0, 3), (1, 2, 6), ()]
    changed = [
        cell.replace(
            report=cell.report.replace(
                attacks={"pgd": cell.report.attacks["pgd"].replace(cumulative=curve)},
            )
        )
        for cell, curve in zip(cells, curves, strict=True)
    ]
    trials = cells[0].report.attacks["pgd"].evasive.trials
    (axes,) = shown(success.draw_cumulative(facts(diva().replace(pairs=tuple(changed)))))
    found = [y for _, y in lines(axes, "#0072b2", 0.6)]
    expected = [[0, 300 / trials, 300 / trials], [100 / trials, 200 / trials, 600 / trials]]
    assert found == [pytest.approx(one) for one in expected]


def embedding(method: str, labels: Sequence[int]) -> EmbeddingPart:
    count = len(labels)
    kinds = [(model, condition) for condition in ("clean", "attacked") for model in ("original", "build")]
    return EmbeddingPart.model_validate(
        {
            "method": method,
            "classes": tuple(sorted(set(labels))),
            "points": [(3.0 * row + number, row * row - 20.0 * number) for number in range(4) for row in range(count)],
            "label": list(labels) * 4,
            "model": [model for model, _ in kinds for _ in range(count)],
            "condition": [condition for _, condition in kinds for _ in range(count)],
            "explained": (0.4567, 0.1234) if method == "pca" else None,
        }
    )


def test_features_stand_where_they_are() -> None:
    part = embedding("pca", [0, 2, 2, 0])
    clean, attacked = shown(draw_features(part, ("cat", "dog", "bird"), "QAT", "DIVA"))
    for axes, condition in ((clean, "clean"), (attacked, "attacked")):
        found = {}
        for collection in axes.collections:
            hollow = not len(collection.get_facecolor())
            found[to_hex(collection.get_edgecolor()[0]), hollow] = [tuple(place) for place in collection.get_offsets()]
        colours = {0: "#0072b2", 2: "#c2410c"}
        for label, model in itertools.product(colours, ("original", "build")):
            expected = [
                point
                for point, *about in zip(part.points, part.label, part.model, part.condition, strict=True)
                if about == [label, model, condition]
            ]
            assert found.pop((colours[label], model == "build")) == expected
        assert not found
    assert clean.get_xlim() == attacked.get_xlim()
    assert clean.get_ylim() == attacked.get_ylim()
    assert "45.7" in clean.get_xlabel()
    assert "12.3" in clean.get_ylabel()
    assert "(DIVA)" in attacked.get_title(loc="left")


def test_features_of_many_classes_share_a_grey() -> None:
    part = embedding("tsne", [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7])
    drawing = draw_features(part, tuple("abcdefgh"), "QAT", "PGD")
    keys = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert keys == ["original", "adapted: QAT", "other classes", "a", "b", "c", "d", "e", "f"]
    grey = [
        len(one.get_offsets()) for one in shown(drawing)[0].collections if "#b9bbb5" in to_hex(one.get_edgecolor()[0])
    ]
    assert grey == [2, 2]
    assert "t-SNE" in shown(drawing)[0].get_xlabel()


def test_features_of_one_point() -> None:
    part = embedding("pca", [1])
    flat = part.replace(points=((1.0, 1.0),) * 4)
    assert len(shown(draw_features(flat, ("a", "b"), "PTQ", "PGD"))) == 2
    assert "1 points around (1.0, 1.0)" in features_words(flat, ("a", "b"), "PTQ", "PGD")


def rendered(drawing: Drawing) -> np.ndarray:
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("side", [16, 32, 200])
def test_attacked_images_are_shown_pixel_by_pixel(side: int) -> None:
    generator = np.random.default_rng(0)
    clean = generator.integers(8, 248, (side, side, 3)).astype(np.uint8)
    moved = (clean.astype(int) + generator.integers(-5, 6, clean.shape)).astype(np.uint8)
    report = diva(seeds=(0,)).pairs[0].report
    example = report.examples[0].replace(clean_png=encoded(clean), attacked_png=encoded(moved))
    drawing = draw_attacked([example, example], report.classes, "QAT")
    picture, scale = rendered(drawing), max(1, 256 // side)
    difference = 128 + 25 * (moved.astype(int) - clean)
    for row, (column, expected) in itertools.product(range(2), enumerate((clean, moved, difference.clip(0, 255)))):
        large = np.asarray(expected, np.uint8).repeat(scale, 0).repeat(scale, 1)
        top, left = 40 + row * (len(large) + 22), 14 + column * (len(large) + 22)
        assert (picture[top : top + len(large), left : left + len(large)] == large).all()
    assert "difference × 25" in [text.get_text() for text in drawing.texts]
    assert "25 times as large" in attacked_words([example], report.classes, "QAT")
    assert (pixels(example.clean_png) == clean).all()


def test_magnification_of_the_largest_difference_fits() -> None:
    black, grey = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 8, np.uint8)
    assert magnification([(grey, black)]) == magnification([(black, grey), (grey, grey)]) == 15
    assert magnification([(black, black)]) == 127


def test_large_images_are_drawn() -> None:
    report = diva(seeds=(0,)).pairs[0].report
    large = encoded(np.full((600, 600, 3), 99, np.uint8))
    example = report.examples[0].replace(clean_png=large, attacked_png=large)
    assert draw_attacked([example], report.classes, "QAT").get_figheight() * 160 < 400


def encoded(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_answers_stand_beside_their_images() -> None:
    report = diva(seeds=(0,)).pairs[0].report
    names = ("a class whose name is very long indeed", *report.classes[1:])
    drawing = draw_attacked(report.examples, names, "float control")
    assert [text.get_text() for text in drawing.texts][3:6] == [
        "is a class whose name …",
        "original: a class whose name … (51.0\xa0%)",
        "float control: 3 (63.0\xa0%)",
    ]
    ends = [text.get_window_extent().x1 for text in drawing.texts]
    assert drawing.bbox.x1 - 40 < max(ends) < drawing.bbox.x1


def test_clones_of_every_network() -> None:
    result = divqat()
    drawing = groups.draw_clones(facts(result))
    hardenings = [cell.hardening for cell in result.thefts if cell.target == "mobile"]
    for axes, field in zip(shown(drawing), ("adversary_error", "disagreement"), strict=True):
        assert [label.get_text() for label in axes.get_xticklabels()] == ["resnet8", "lenet", "mobilenet_tiny"]
        expected = []
        for student in ("resnet8", "lenet", "mobilenet_tiny"):
            for victim, labels in itertools.product(("qat", "divqat"), ("soft", "hard")):
                if student == "resnet8":
                    parts = [getattr(getattr(one.victim[victim], field), labels) for one in hardenings]
                else:
                    parts = [
                        getattr(point, field)
                        for one in hardenings
                        for point in one.students
                        if (point.victim, point.student, point.labels) == (victim, student, labels)
                    ]
                expected.append((100 * over_seeds(parts).value, labels == "hard"))
        found = marks(axes)
        assert [y for _, y, _, _ in found] == pytest.approx([value for value, _ in expected])
        assert [hollow for _, _, hollow, _ in found] == [hollow for _, hollow in expected]
        assert [colour for *_, colour in found] == ["#191b1e", "#191b1e", "#0072b2", "#0072b2"] * 3


def test_targets_side_by_side() -> None:
    result = divqat()
    owner, thief = shown(groups.draw_targets(facts(result)))
    expected_owner, expected_thief = [], []
    for target in ("mobile", "server"):
        hardenings = [cell.hardening for cell in result.thefts if cell.target == target]
        for victim in ("qat", "divqat"):
            parts = [one.victim[victim] for one in hardenings]
            expected_owner.append(100 * over_seeds([one.defender_error for one in parts]).value)
            for labels in ("soft", "hard"):
                expected_thief.append(100 * over_seeds([getattr(one.adversary_error, labels) for one in parts]).value)
    assert [y for _, y, _, _ in marks(owner)] == pytest.approx(expected_owner)
    assert [y for _, y, _, _ in marks(thief)] == pytest.approx(expected_thief)
    assert [label.get_text() for label in owner.get_xticklabels()] == ["mobile", "server"]


def test_groups_of_several_data_sets_stand_in_columns() -> None:
    result = divqat(data=("cifar10", "cifar100", "gtsrb", "svhn", "digits"), seeds=(0,))
    drawing = groups.draw_targets(facts(result))
    assert [axes.get_title(loc="left") for axes in shown(drawing)] == [
        *("cifar10", "cifar100", "gtsrb", "svhn") * 2,
        *("digits",) * 2,
    ]


def test_alpha_shows_points_and_searches() -> None:
    result = divqat()
    errors, apart, divergence, distance = shown(alpha.draw_alpha(facts(result)))
    hardenings = [cell.hardening for cell in result.thefts if cell.target == "mobile"]
    alphas = [point.alpha for point in hardenings[0].alphas]
    for axes, field, colour, scale in (
        (errors, "adversary_error", "#c2410c", 100),
        (errors, "defender_error", "#0072b2", 100),
        (apart, "disagreement", "#c2410c", 100),
        (divergence, "divergence", "#191b1e", 1),
        (distance, "l1", "#191b1e", 1),
    ):
        values = [[getattr(one.alphas[place], field) for one in hardenings] for place in range(len(alphas))]
        means = [scale * mean([getattr(one, "value", one) for one in parts]) for parts in values]
        assert lines(axes, colour, 1.3) == [(alphas, pytest.approx(means))]
        found = [(x, y) for x, y, _, own in marks(axes) if own == colour]
        assert found == [(place, pytest.approx(value)) for place, value in zip(alphas, means, strict=True)]
    for axes, field in ((errors, "adversary_error"), (apart, "disagreement")):
        for theft, colour in enumerate(("#e08e00", "#b4428f")):
            taken = [[one.alphas[place].thefts[theft] for one in hardenings] for place in range(len(alphas))]
            means = [100 * mean([getattr(each, field).value for each in each_seed]) for each_seed in taken]
            assert lines(axes, colour, 1.3) == [(alphas, pytest.approx(means))]
    for axes, field in ((divergence, "divergence"), (distance, "l1")):
        expected = [
            (
                sorted(trial.strength for trial in one.searches["divqat"].trials),
                [getattr(trial, field) for trial in sorted(one.searches["divqat"].trials, key=lambda t: t.strength)],
            )
            for one in hardenings
        ]
        assert lines(axes, "#00855f", 0.9) == expected
        assert axes.get_xscale() == "symlog"
    assert divergence.get_yscale() == "log"
    assert distance.get_yscale() == "symlog"
    chosen = [one.searches["divqat"].chosen for one in hardenings]
    for axes in (errors, apart, divergence, distance):
        assert [x[0] for x, _ in lines(axes, "#00855f", 1.1)] == chosen


def test_what_a_search_did_not_allow_is_hollow() -> None:
    result = divqat(seeds=(0,))
    distance = shown(alpha.draw_alpha(facts(result)))[3]
    found = {
        float(line.get_xdata()[0]): to_hex(line.get_markerfacecolor()) == "#ffffff"
        for line in distance.lines
        if line.get_linestyle() == "None" and to_hex(line.get_color()) == "#00855f"
    }
    trials = result.thefts[0].hardening.searches["divqat"].trials
    assert found == {trial.strength: not trial.allowed for trial in trials}
    assert set(found.values()) == {True, False}


def test_two_points_are_not_joined_and_the_victim_stands_at_its_alpha() -> None:
    result = divqat(seeds=(0,))
    (cell,) = [cell for cell in result.thefts if cell.target == "mobile"]
    hardening = cell.hardening
    two = cell.replace(hardening=hardening.replace(alphas=hardening.alphas[:2]))
    errors, apart, _, distance, *_ = shown(alpha.draw_alpha(facts(result.replace(thefts=(two,)))))
    assert not [line for axes in (errors, apart, distance) for line in lines(axes, "#c2410c", 1.3)]
    assert not lines(distance, "#191b1e", 1.3)
    victim, chosen = hardening.victim["divqat"], hardening.searches["divqat"].chosen
    for axes, values in (
        (errors, [100 * victim.adversary_error.soft.value, 100 * victim.defender_error.value]),
        (apart, [100 * victim.disagreement.soft.value]),
        (distance, [victim.l1.value]),
    ):
        crosses = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "x"]
        assert crosses == [pytest.approx((chosen, value)) for value in values]


def test_alpha_of_data_sets_without_curves() -> None:
    result = divqat(data=("cifar10", "svhn"), seeds=(0,))
    thefts = tuple(
        cell.replace(hardening=cell.hardening.replace(alphas=())) if cell.data == "svhn" else cell
        for cell in result.thefts
    )
    titles = [axes.get_title(loc="left") for axes in shown(alpha.draw_alpha(facts(result.replace(thefts=thefts))))]
    assert titles == [
        "cifar10: errors", "cifar10: disagreement", "cifar10: divergence", "cifar10: distance",
        "cifar10: accuracy", "cifar10: changed labels",
        "svhn: divergence", "svhn: distance", "svhn: accuracy", "svhn: changed labels",
    ]  # fmt: skip


def test_tradeoff_places_victims() -> None:
    result = divqat(targets=("server", "mobile"))
    over_l1, over_error = shown(tradeoff.draw_tradeoff(facts(result)))
    hardenings = [cell.hardening for cell in result.thefts if cell.target == "server"]
    left, right, paper = [], [], []
    for name in ("qat", "rs", "divqat"):
        parts = [one.victim[name] for one in hardenings]
        l1, owner = over_seeds([one.l1 for one in parts], 2.0).value, mean([one.defender_error.value for one in parts])
        soft, hard = (mean([getattr(one.adversary_error, kind).value for one in parts]) for kind in ("soft", "hard"))
        left += [(l1, 100 * soft, False), (l1, 100 * hard, True)]
        right.append((100 * owner, 100 * soft, False))
        printed = parts[0].paper
        assert printed is not None
        paper.append((100 * printed.defender_error, 100 * printed.adversary_error))
    for axes, expected in ((over_l1, left), (over_error, right)):
        assert [mark[:3] for mark in marks(axes)] == [pytest.approx(one) for one in expected]
        assert {text.get_text() for text in axes.texts} == {"qat", "rs", "divqat"}
    small = [line for line in over_error.lines if line.get_markersize() == 3.6]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in small] == [pytest.approx(one) for one in paper]
    container = over_l1.containers[2]
    across = container[2][0].get_segments()[0]
    expected_l1 = over_seeds([one.victim["rs"].l1 for one in hardenings], 2.0)
    assert (across[0][0], across[1][0]) == pytest.approx((expected_l1.low, expected_l1.high))


def scatter(places: Sequence[tuple[float, float]]) -> tuple[Axes, list[str]]:
    drawing, (axes,) = panel_figure(1, 1, 4.0, [])
    axes.set(xlim=(0, 1), ylim=(0, 1))
    drawing.draw_without_rendering()
    given = [Named(x, y, f"row number {number}", "#0072b2") for number, (x, y) in enumerate(places)]
    return axes, name_marks(axes, given)


def test_names_of_marks_do_not_overlap() -> None:
    generator = np.random.default_rng(3)
    places = [(float(x), float(y)) for x, y in generator.uniform(0.3, 0.6, (10, 2))]
    axes, told = scatter([*places, (0.99, 0.99), (0.01, 0.01)])
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == len(told) == 12
    assert not [1 for one, other in itertools.combinations(boxes, 2) if one.overlaps(other)]
    for box in boxes:
        assert axes.bbox.x0 <= box.x0 <= box.x1 <= axes.bbox.x1
        assert axes.bbox.y0 <= box.y0 <= box.y1 <= axes.bbox.y1


def test_names_keep_off_whiskers_and_lines_off_other_marks() -> None:
    drawing, (axes,) = panel_figure(1, 1, 4.0, [])
    axes.set(xlim=(0, 1), ylim=(0, 1))
    drawing.draw_without_rendering()
    whisker = Line((0.3, 0.53), (0.9, 0.53))
    name_marks(axes, [Named(0.5, 0.5, "row", "#0072b2")], [], [whisker])
    (text,) = axes.texts
    box = text.get_window_extent()
    assert not box.y0 <= axes.transData.transform((0.5, 0.53))[1] <= box.y1
    right = Bbox.from_bounds(100, 40, 40, 10)
    assert [_passed((0, 45), right, [place]) for place in ((50, 45), (50, 80), (130, 45), (0, 46))] == [1, 0, 0, 0]


def test_marks_at_one_place_share_a_text() -> None:
    axes, told = scatter([(0.5, 0.5), (0.2, 0.2), (0.5001, 0.5)])
    assert told == ["row number 0, row number 2", "row number 1"]
    assert [text.get_text() for text in axes.texts] == told


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.2, 1.0], "linear"),
        ([0.01, 1.0], "log"),
        ([0.0, 0.01, 1.0], "symlog"),
        ([0.0, 0.0], "linear"),
        ([], "linear"),
    ],
)
def test_own_axes_are_logarithmic_over_decades(values: list[float], expected: str) -> None:
    _, (axes,) = panel_figure(1, 1, 2.0, [])
    decades(axes, values)
    assert axes.get_yscale() == expected


@pytest.mark.parametrize(
    ("values", "scale"), [([0.5, 2.0], "log"), ([0.0, 2.0], "symlog"), ([0.0], "symlog"), ([1e-4, 700.0], "log")]
)
def test_axes_of_strengths_show_all_of_them(values: list[float], scale: str) -> None:
    _, (axes,) = panel_figure(1, 1, 2.0, [])
    strengths(axes, values)
    low, high = axes.get_xlim()
    assert axes.get_xscale() == scale
    assert low < min(values) <= max(values) < high
    assert len(axes.get_xticks()) <= 11


DRAW: list[Callable[[Facts], Drawing]] = [
    training.draw_training, success.draw_success, success.draw_cumulative, groups.draw_clones, groups.draw_targets,
    alpha.draw_alpha, tradeoff.draw_tradeoff, epsilon.draw_epsilon, questions.draw_questions,
]  # fmt: skip


@pytest.mark.parametrize("draw", DRAW)
def test_texts_lie_inside_and_apart(draw: Callable[[Facts], Drawing]) -> None:
    rows = ("large", "ptq", "qat", "rs", "dcp", "divqat", "divqat+rs", "divqat+dcp", "held", "smoothing")
    given = {"data": (LONG,), "originals": ("ResNet", "A network with a long name of its own"), "seeds": (0, 1)}
    require_readable(draw(facts(both(diva(**given), with_data_free(divqat(**given, rows=rows), rows=rows)))))


def test_texts_of_narrow_columns_lie_inside_and_apart() -> None:
    require_readable(groups.draw_clones(facts(divqat(data=(LONG, "Street-view-house-numbers", "c", "d"), seeds=(0,)))))


def require_readable(drawing: Drawing) -> None:
    """Require that no text is cut off, and no title lies over another."""
    drawing.draw_without_rendering()
    titles = []
    for axes in shown(drawing):
        ticks = axes.get_xticklabels(which="both") + axes.get_yticklabels(which="both")
        texts = [text for text in axes.findobj(Text) if text.get_visible() and text.get_text() and text not in ticks]
        for box, text in ((text.get_window_extent(), text.get_text()) for text in texts):
            assert 0 <= box.x0 <= box.x1 <= drawing.bbox.x1, text
            assert 0 <= box.y0 <= box.y1 <= drawing.bbox.y1, text
        titles += [text.get_window_extent() for text in texts if text.get_weight() == "bold"]
    for text in drawing.legends[0].get_texts():
        assert text.get_window_extent().x1 <= drawing.bbox.x1
        assert text.get_window_extent().y0 >= 0
    assert not [1 for one, other in itertools.combinations(titles, 2) if one.overlaps(other)]
