"""`edgerift audit`: the folder, the gate's exit code, which build is judged, and each wrong input in one line."""

import hashlib
import json
import shlex
import shutil
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
import yaml
from small_pair import make_other_build

from edgerift import zoo
from edgerift.adapt import CompressRecipe, FinetuneRecipe, ptq
from edgerift.audit import read_audit
from edgerift.cli._audit import AttackOptions, AuditCommand
from edgerift.cli._compress import CompressOptions
from edgerift.cli._options import DataOptions
from edgerift.cli._pipeline import AdaptOptions
from edgerift.cli._theft import TheftOptions
from edgerift.cli._train import OriginalOptions
from edgerift.deploy import BuildRecipe, GivenBuild, build, open_build, quiet, twin_scores
from edgerift.errors import BuildError, ModelError, RecipeError
from edgerift.evade import preset, read_png
from edgerift.images import open_splits
from edgerift.measure import accuracy

FILES = {
    ".edgerift-files",
    "audit.json",
    "audit.schema.json",
    "samples.jsonl",
    "findings",
    "report.html",
    "report.sarif",
    "report.junit.xml",
    "summary.md",
    "original.safetensors",
    "program.safetensors",
}


#: A theft of a second: it takes nothing, and says so.
STEALING = ("--budget", 48, "--student", "lenet", "--clone-epochs", 1)


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """A store that the audits of these tests share."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def given(small_pair, kept):
    """Audit the pair on the disk with one short attack on 24 images."""
    short = ("--attack", "default", "--epsilon", 30, "--steps", 6, "--images", 24)
    return ("audit", "--threats", "evasion", "--adapted", small_pair.folder, "--size", 12, "--store", kept, *short)


@pytest.fixture
def policy(tmp_path):
    def write(**fields):
        path = tmp_path / "policy.yaml"
        path.write_text(yaml.safe_dump(fields))
        return path

    return write


def test_a_given_pair_is_audited_and_the_gate_decides_the_exit_code(run, given, policy, small_pair, tmp_path):
    out = tmp_path / "out"
    failed = run(*given, "--out", out)
    assert failed.code == 1
    assert names(out) == FILES | {"model.onnx"}
    audit = read_audit(out)
    assert audit.verdict == "fail"
    assert [(part.rule, part.holds) for part in audit.gate] == [("evasive", False), ("errors", True)]
    assert failed.out.splitlines()[0].strip() == "lenet on digits, ptq for server on onnxruntime, 24 images"
    assert failed.out.splitlines()[-1] == "The gate fails."
    for name in ("original.safetensors", "program.safetensors", "model.onnx"):
        assert (out / name).read_bytes() == (small_pair.folder / name).read_bytes()

    held = run(*given, "--policy", policy(evasive=1.0), "--out", out, "--json")
    assert (held.code, held.err) == (0, "")
    assert held.out == (out / "audit.json").read_text()
    again = read_audit(out)
    assert (again.verdict, again.gate[0].limit) == ("pass", 1.0)
    assert again.replace(gate=audit.gate, verdict="fail", made=audit.made) == audit


def test_a_suggestion_says_what_a_guard_alone_would_do_and_cost(run, given, policy, tmp_path):
    out = tmp_path / "out"
    limits = policy(evasive=0.1, coverage=0.7)
    failed = run(*given, "--suggest", "--policy", limits, "--out", out)
    assert failed.code == 1
    audit = read_audit(out)
    found = audit.suggestion
    assert (found.wanted, found.epsilon, found.evasive.trials, found.coverage.trials) == (0.7, 30, 24, 359)
    # The same build behind the same guard, audited: the same images, the same attack.
    guarded = run(*given, "--guard", "0.7", "--policy", limits, "--out", tmp_path / "guarded")
    assert guarded.code == 1
    whole = read_audit(tmp_path / "guarded")
    assert found.guard == whole.pair.guard.guard
    assert (found.coverage, found.accuracy) == (whole.pair.guard.coverage, whole.pair.guard.accuracy)
    assert found.evasive == whole.evasion.attacks["default"].evasive
    assert found.evasive.value < audit.evasion.attacks["default"].evasive.value
    assert whole.suggestion is None
    for text in (failed.out, (out / "summary.md").read_text(), (out / "report.html").read_text()):
        assert "a guard alone that answers 70.0 % of the validation images" in " ".join(text.split())
    assert run(*given, "--suggest", "--policy", policy(evasive=1.0), "--out", tmp_path / "held").code == 0
    assert read_audit(tmp_path / "held").suggestion is None


def test_the_reports_are_those_of_the_audit(run, given, tmp_path):
    assert run(*given, "--out", tmp_path).code == 1
    audit = read_audit(tmp_path)
    sarif = json.loads((tmp_path / "report.sarif").read_text())
    assert sarif["version"] == "2.1.0"
    page = (tmp_path / "report.html").read_text()
    assert audit.evasion.findings[0].id in page
    assert "<testsuite" in (tmp_path / "report.junit.xml").read_text()


def test_the_audit_tells_when_how_and_where_it_was_made(run, given, tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    summary = tmp_path / "summary of the step"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    out = tmp_path / "results" / "audit 1"
    before = datetime.now(UTC).replace(microsecond=0)
    assert run(*given, "--out", out).code == 1
    audit = read_audit(out)
    assert before <= audit.made.at <= datetime.now(UTC)
    assert shlex.split(audit.made.command) == ["edgerift", *map(str, given), "--out", str(out)]
    assert audit.made.folder == "results/audit 1"
    assert audit.pair.model == "lenet"
    assert summary.read_text() == (out / "summary.md").read_text() + "\n"
    [run_] = json.loads((out / "report.sarif").read_text())["runs"]
    for result in run_["results"]:
        place = result["locations"][0]["physicalLocation"]
        file = tmp_path / unquote(place["artifactLocation"]["uri"])
        assert len(file.read_text().splitlines()) >= place["region"]["endLine"]


def test_the_json_of_a_failing_gate_is_whole(run, given, tmp_path):
    failed = run(*given, "--out", tmp_path, "--json")
    assert failed.code == 1
    assert json.loads(failed.out)["verdict"] == "fail"
    assert failed.out == (tmp_path / "audit.json").read_text()


def test_the_first_attack_is_the_main_one(run, given, tmp_path):
    assert run(*given, "--attack", "pgd", "--stop", "goal", "--out", tmp_path).code == 1
    audit = read_audit(tmp_path)
    assert audit.evasion.main_attack == "default"
    assert set(audit.evasion.attacks) == {"default", "pgd"}
    for name, part in audit.evasion.attacks.items():
        assert part.attack == preset(name, 30, 6).replace(stop="goal")
        assert part.evasive.trials == 24
        assert part.evasive_last is None
    assert len(audit.evasion.comparisons) == 1


def test_a_baseline_fails_on_a_worsening(run, given, policy, tmp_path):
    before, out = tmp_path / "before", tmp_path / "out"
    allowed = ("--policy", policy(evasive=1.0))
    assert run(*given, *allowed, "--out", before).code == 0
    assert run(*given, *allowed, "--baseline", before, "--out", out).code == 0
    samples = before / "samples.jsonl"
    lines = [json.loads(line) | {"evasive": False} for line in samples.read_text().splitlines()]
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    worse = run(*given, *allowed, "--baseline", before / "audit.json", "--out", out)
    evasive = read_audit(before).evasion.attacks["default"].evasive.successes
    assert evasive >= 6
    assert worse.code == 1
    rule = read_audit(out).gate[-1]
    assert rule.text.endswith(f"{evasive} evade only now and 0 only before")
    assert not rule.holds
    line = run(*given, "--stop", "goal", "--baseline", before, "--out", tmp_path / "never").line()
    assert line.startswith("the baseline was attacked with other settings (stop)")
    assert not (tmp_path / "never").exists()


def test_a_pair_is_made_when_none_is_given(run, policy, tmp_path, kept):
    making = ("--model", "lenet", "--size", 12, "--epochs", 2, "--method", "ptq", "--target", "server")
    attack = ("--attack", "pgd", "--steps", 2, "--images", 6)
    asked = (
        *("audit", *making, *attack, *STEALING, "--policy", policy(evasive=1.0, stolen=1.0)),
        *("--store", kept, "--out", tmp_path / "out"),
    )
    refused = run(*asked)
    assert refused.code == 2
    assert "train: epoch 2/2" in refused.err
    assert "always predicting the most common class reaches" in refused.err
    done = run(*asked, "--allow-inaccurate")
    assert done.code == 0
    audit = read_audit(tmp_path / "out")
    assert (audit.pair.provenance.method, audit.pair.target, audit.pair.runtime) == ("ptq", "server", "onnxruntime")
    assert audit.evasion.control is None
    assert {name: part.spent for name, part in audit.theft.thieves.items()} == {"soft": 48, "hard": 48}
    replayed = run("card", tmp_path / "out", "--size", 12, "--seed", 0, "--json")
    assert replayed.json()["accuracy"]["onnxruntime"] == audit.pair.build_accuracy.value


def described(**fields):
    return AuditCommand(**fields)._recipe()


def test_without_arguments_it_is_digits_on_executorch():
    recipe = described()
    pair = recipe.pair
    assert (recipe.images.source, recipe.images.size) == ("digits", 32)
    assert pair.original.architecture.name == "resnet8"
    assert (pair.program.method, pair.program.target, pair.build.runtime) == ("qat", "mobile", "executorch")
    assert pair.build.program == pair.program
    assert pair.program.original == pair.original
    assert list(recipe.attacks) == ["default", "diva-2022", "pgd"]
    assert recipe.attacks == {name: preset(name, 8).replace(stop="never") for name in recipe.attacks}
    assert (recipe.main, recipe.count, recipe.classes) == ("default", None, ())
    assert recipe.control.original == pair.original
    assert recipe.control.settings == pair.program.settings.train
    assert AuditCommand().out.name == "audit"
    assert list(recipe.thefts) == ["soft", "hard"]
    for labels, settings in recipe.thefts.items():
        assert (settings.queries.images, settings.queries.collages, settings.budget) == (recipe.images, 2000, 2000)
        assert (settings.attack.student, settings.attack.labels) == ("resnet8", labels)
        assert (settings.attack.training.epochs, settings.attack.training.learning_rate) == (10, 0.2)
    soft, hard = recipe.thefts.values()
    assert soft.replace(attack=soft.attack.replace(labels="hard")) == hard


@pytest.mark.parametrize(
    ("options", "digits", "others"),
    [
        ({}, (15, 0.2, 64), (20, 0.1, 128)),
        ({"epochs": 3, "batch_size": 32}, (3, 0.2, 32), (3, 0.1, 32)),
        ({"learning_rate": 0.03}, (15, 0.03, 64), (20, 0.03, 128)),
        # Without batch normalisation 0.1 is too large for some initial weights.
        ({"model": "lenet"}, (30, 0.05, 128), (20, 0.05, 128)),
        ({"model": "lenet", "learning_rate": 0.1}, (30, 0.1, 128), (20, 0.1, 128)),
    ],
)
def test_an_original_of_digits_takes_more_and_larger_steps(options, digits, others):
    training = OriginalOptions(**options)
    assert training.schedule("digits") == digits
    assert training.schedule("cifar10") == others
    recipe = described(training=training).pair.program
    settings = recipe.original.settings
    assert (settings.epochs, settings.learning_rate, settings.batch_size) == digits
    assert (recipe.settings.train.epochs, recipe.settings.train.learning_rate) == (3, 0.001)
    assert recipe.settings.train.batch_size == others[2]


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        ("distil+qat", {}, (30, 0.025, 128)),
        ("distil+qat", {"compress_epochs": 4, "temperature": 2}, (4, 0.05, 128)),
        ("distil+qat", {"temperature": 0.5}, (30, 0.1, 128)),
        ("prune+qat", {}, (3, 0.01, 128)),
    ],
)
def test_what_compresses_takes_steps_of_its_own(method, options, expected):
    adapting = AdaptOptions(method=method, compressing=options)
    settings = described(adapting=adapting).pair.program.compression.train
    assert (settings.epochs, settings.learning_rate, settings.batch_size) == expected


def test_a_theft_alone_is_whole_and_fails_by_its_own_rule(run, given, policy, tmp_path):
    theft = (*given, *STEALING, "--threats", "theft")
    theft = tuple(word for word in theft if word != "evasion")
    theft = ("audit", *theft[2:])
    held = run(*theft, "--policy", policy(stolen=1.0, evasive=0.0), "--out", tmp_path / "out")
    assert held.code == 0, held.err
    assert names(tmp_path / "out") == FILES - {"samples.jsonl", "findings"} | {"model.onnx"}
    audit = read_audit(tmp_path / "out")
    assert (audit.evasion, list(audit.theft.thieves)) == (None, ["soft", "hard"])
    assert held.out.splitlines()[0].strip() == (
        "lenet on digits, ptq for server on onnxruntime, 48 queries from digits collages"
    )
    assert held.out.splitlines()[-1] == "The gate holds."
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'id="theft"' in page
    assert 'id="attacks"' not in page
    failed = run(*theft, "--policy", policy(stolen=0.0), "--out", tmp_path / "out")
    assert failed.code == 1
    line = run(*theft, "--baseline", tmp_path / "out", "--out", tmp_path / "never").line()
    assert line == "a baseline is compared by its evasive images; examine evasion too"


@pytest.mark.parametrize(
    ("given", "threats"),
    [
        (["evasion"], {"evasion"}),
        (["theft"], {"theft"}),
        (["evasion,theft"], {"evasion", "theft"}),
        (["theft, evasion"], {"evasion", "theft"}),
        (["theft", "evasion", "theft"], {"evasion", "theft"}),
        ([], {"evasion", "theft"}),
    ],
)
def test_threats_are_chosen(given, threats):
    recipe = described(threats=tuple(given))
    assert {name for name, part in (("evasion", recipe.attacks), ("theft", recipe.thefts)) if part} == threats
    assert (recipe.main is not None) == (recipe.control is not None) == ("evasion" in threats)


@pytest.mark.parametrize(
    ("options", "examined"),
    [
        ({"data": DataOptions(data="cifar10")}, ("evasion",)),
        ({"data": DataOptions(data="cifar10"), "stealing": TheftOptions(budget=7)}, ("evasion", "theft")),
        ({"data": DataOptions(data="cifar10"), "threats": ("theft",)}, ("theft",)),
        ({}, ("evasion", "theft")),
    ],
    ids=["own data", "an option of theft", "asked for", "digits"],
)
def test_a_theft_off_the_digits_is_asked_for(options, examined):
    assert AuditCommand(**options).examined == examined


def test_an_evasion_alone_has_the_name_that_it_has_beside_no_theft():
    """What it costs does not depend on the options of thieves."""
    assert (
        described(threats=("evasion",)).digest()
        == described(threats=("evasion",), stealing=TheftOptions(budget=7)).digest()
    )


@pytest.mark.parametrize(
    ("method", "control", "expected"),
    [("qat", "auto", True), ("ptq", "auto", False), ("qat", "no", False), ("ptq", "yes", True)],
)
def test_the_control_goes_with_training(method, control, expected):
    recipe = described(control=control, adapting=AdaptOptions(method=method))
    assert (recipe.control is not None) == expected


@pytest.mark.parametrize("method", ["prune+qat", "distil+ptq"])
def test_the_control_of_a_compressed_build_is_the_model_that_was_quantized(method):
    """Without it, what the compression did would be counted as what the rounding did."""
    recipe = described(adapting=AdaptOptions(method=method))
    assert isinstance(recipe.control, CompressRecipe)
    assert recipe.control == recipe.pair.program.compressing
    assert recipe.control.compression.type == method.split("+")[0]
    assert isinstance(described(adapting=AdaptOptions(method="qat")).control, FinetuneRecipe)


@pytest.mark.parametrize(("student", "rate"), [("lenet", 0.05), ("mobilenet_tiny", 0.1)])
def test_a_students_rate_is_that_of_its_network_over_the_temperature(student, rate):
    adapting = AdaptOptions(method="distil+ptq", compressing=CompressOptions(distil_to=student, temperature=2))
    made = described(adapting=adapting).pair.program.compressing.compression
    assert made.train.learning_rate == pytest.approx(rate / 2)


def test_the_control_of_a_folder_is_the_model_in_it_that_was_quantized(small_pair, tmp_path):
    folder = shutil.copytree(small_pair.folder, tmp_path / "copy")
    content = (folder / "original.safetensors").read_bytes()
    (folder / "compressed.safetensors").write_bytes(content)
    control = described(adapted=folder, control="yes", data={"size": 12}).control
    assert (control.type, control.sha256) == ("given-original", hashlib.sha256(content).hexdigest())
    (folder / "compressed.safetensors").unlink()
    assert described(adapted=folder, control="yes", data={"size": 12}).control.type == "finetune"
    pruned = described(adapting=AdaptOptions(method="prune+ptq")).pair.program
    (folder / "recipe.json").write_text(pruned.canonical_json())
    with pytest.raises(ModelError, match=r"no .*compressed\.safetensors, the control of a compressed build; leave out"):
        described(adapted=folder, control="yes", data={"size": 12})


def test_options_reach_the_recipe(small_pair):
    attacking = AttackOptions(attack=("pgd", "cw"), epsilon=3, steps=7, stop="goal", images=5, embed_class=(1, 2))
    recipe = described(
        adapted=small_pair.folder,
        control="yes",
        data={"size": 12},
        attacking=attacking,
        training=OriginalOptions(seed=4, batch_size=16),
        adapting=AdaptOptions(adapt_epochs=2),
    )
    assert list(recipe.attacks) == ["pgd", "cw"]
    assert recipe.attacks["cw"] == preset("cw", 3, 7).replace(stop="goal")
    assert (recipe.main, recipe.count, recipe.draw, recipe.classes) == ("pgd", 5, 4, (1, 2))
    assert recipe.images.seed == 4
    settings = recipe.control.settings
    assert (settings.epochs, settings.batch_size, settings.seed) == (2, 16, 4)
    assert recipe.control.original == recipe.pair.original


@pytest.fixture
def folder(adapted, tmp_path):
    """A copy of what `edgerift adapt` wrote for two runtimes."""
    shutil.copytree(adapted.folder, tmp_path / "copy")
    return tmp_path / "copy"


def chosen(folder, **fields):
    return described(adapted=folder, data={"size": 16}, **fields).pair.build


def test_the_build_that_ships_is_the_one_that_is_judged(folder, tmp_path):
    def is_file(build, name):
        return (
            isinstance(build, GivenBuild)
            and build.sha256
            == hashlib.sha256((folder / name).read_bytes()).hexdigest()
            == hashlib.sha256(build.path.read_bytes()).hexdigest()
        )

    assert is_file(chosen(folder), "model.pte")
    assert is_file(chosen(folder, runtime="onnxruntime"), "model.onnx")
    assert is_file(chosen(folder, build=folder / "model.onnx"), "model.onnx")
    assert is_file(chosen(folder / "program.safetensors", build=folder / "model.pte"), "model.pte")
    renamed = tmp_path / "release-3.bin"
    shutil.copy(folder / "model.onnx", renamed)
    assert is_file(chosen(folder, build=renamed, runtime="onnxruntime"), "model.onnx")
    compiled = chosen(folder / "program.safetensors")
    assert isinstance(compiled, BuildRecipe)
    assert (compiled.runtime, compiled.program.type) == ("executorch", "given-program")

    (folder / "model.pte").unlink()
    assert is_file(chosen(folder), "model.onnx")
    compiled = chosen(folder, runtime="executorch")
    assert (type(compiled), compiled.runtime) == (BuildRecipe, "executorch")
    (folder / "model.onnx").unlink()
    assert (type(chosen(folder)), chosen(folder).runtime) == (BuildRecipe, "executorch")


def test_machine_code_and_runtimes_that_do_not_fit_are_refused(folder, monkeypatch):
    (folder / "model.pt2").write_bytes(b"code")
    assert chosen(folder).runtime == "executorch"
    with pytest.raises(BuildError, match="--trust"):
        chosen(folder, build=folder / "model.pt2")
    with pytest.raises(RecipeError, match="runtime 'inductor' does not take target 'mobile'"):
        chosen(folder, runtime="inductor")
    opened = open_build(folder / "model.onnx")
    monkeypatch.setattr("edgerift.deploy.builds._recipe.open_build", lambda *_, **__: opened)
    monkeypatch.setattr(
        "edgerift.deploy.builds._recipe.GivenBuild.model_validate",
        lambda _: GivenBuild.model_construct(runtime="inductor"),
    )
    with pytest.raises(RecipeError, match="runtime 'inductor' does not take target 'mobile'"):
        chosen(folder, build=folder / "model.pt2", trust=True)


def test_the_build_of_another_program_is_refused_or_fails_the_gate(run, given, policy, small_pair, tmp_path):
    """Its program's twin is not what the device computes, and the checks say so."""
    other = make_other_build(small_pair, tmp_path / "other.onnx", label=3)
    asked = (*given, "--build", other, "--policy", policy(evasive=1.0), "--out", tmp_path / "out")
    line = run(*asked).line()
    assert line.startswith("the build was not compiled from this program: ")
    assert line.endswith("or --allow-mismatch audits such a pair all the same")
    assert not (tmp_path / "out").exists()
    failed = run(*asked, "--allow-mismatch")
    audit = read_audit(tmp_path / "out")
    assert (failed.code, audit.verdict) == (1, "fail")
    assert {flag.name for flag in audit.flags if flag.level == "error"} >= {"fidelity-clean", "fidelity-attacked"}
    assert [(part.rule, part.holds) for part in audit.gate] == [("evasive", True), ("errors", False)]
    assert (tmp_path / "out" / "model.onnx").read_bytes() == other.read_bytes()


def test_an_original_that_does_not_know_the_images_is_refused(run, given, small_pair, tmp_path):
    shutil.copytree(small_pair.folder, tmp_path / "pair")
    original = zoo.load(tmp_path / "pair" / "original.safetensors")
    original.learned = original.learned.replace(accuracy=0.99, images=1000)
    original.body[-1].weight.data *= 0
    zoo.save(original, tmp_path / "pair" / "original.safetensors")
    asked = (*given, "--adapted", tmp_path / "pair", "--out", tmp_path / "out")
    assert "the program was made from another original than this one" in run(*asked).line()
    line = run(*asked, "--allow-mismatch").line()
    assert "always predicting the most common class reaches" in line
    assert "its training measured 99.0% on 1000 images" in line
    assert line.endswith("or --allow-inaccurate audits it all the same")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def reordered(small_pair, tmp_path_factory):
    """A pair whose last two answers have changed places, and their names with them; and the original's accuracy."""
    folder = tmp_path_factory.mktemp("reordered")
    order = tuple("0123456798")
    splits = open_splits(small_pair.images.replace(classes=order))
    original = zoo.load(small_pair.folder / "original.safetensors")
    before = accuracy(twin_scores(original, open_splits(small_pair.images).test.images), splits.test.labels)
    last = original.body[-1]
    for values in (last.weight.data, last.bias.data):
        values[[8, 9]] = values[[9, 8]]
    original.learned = original.learned.replace(classes=order)
    zoo.save(original, folder / "original.safetensors")
    with quiet():
        program = ptq(original, splits.train, target="server", calibration_images=64)
        build(program, "onnxruntime", folder / "model.onnx")
    program.save(folder / "program.safetensors")
    right = accuracy(twin_scores(original, splits.test.images), splits.test.labels)
    assert before.value < 0.9 < right.value
    return folder, right.value


@pytest.mark.parametrize("verb", ["audit", "card", "adapt"])
def test_the_same_classes_in_another_order_are_brought_into_the_models(run, given, policy, reordered, tmp_path, verb):
    """Such a pair is as accurate as it was."""
    folder, right = reordered
    method = ("--method", "ptq", "--calibration-images", 64, "--target", "server", "--runtime", "onnxruntime")
    arguments = {
        "audit": (*given, "--adapted", folder, "--out", tmp_path / "out"),
        "card": ("card", folder, "--size", 12, "--seed", 0),
        "adapt": (
            "adapt",
            "--original",
            folder / "original.safetensors",
            *method,
            "--size",
            12,
            "--out",
            tmp_path / "out",
        ),
    }
    asked = (*arguments[verb], "--policy", policy(evasive=1.0)) if verb == "audit" else arguments[verb]
    done = run(*asked, "--json")
    told = "note: the classes of 'digits' are reordered by name to match the model: 2 of 10 differ, "
    assert done.err.count(told + "'9' is number 8 and not 9") == 1
    assert done.err.count("note: ") == 1
    shown = done.json()
    found = shown["pair"]["original_accuracy"]["value"] if verb == "audit" else shown["accuracy"]["original"]
    assert found == right


def test_a_card_says_what_does_not_belong_together(run, small_pair, tmp_path):
    shutil.copytree(small_pair.folder, tmp_path / "pair")
    asked = ("card", tmp_path / "pair", "--size", 12, "--seed", 0)
    assert run(*asked, "--json").json()["mismatches"] == []
    make_other_build(small_pair, tmp_path / "pair" / "model.onnx", label=3)
    original = zoo.load(tmp_path / "pair" / "original.safetensors")
    original.body[-1].bias.data += 1
    zoo.save(original, tmp_path / "pair" / "original.safetensors")
    told = " ".join(run(*asked).out.split())
    assert "The program was made from another original than this one." in told
    assert "The onnxruntime build was not compiled from this program; rebuild it." in told


def test_the_replay_that_is_printed_works_as_it_stands(run, given, tmp_path):
    """Also from a folder with a blank in its name, and where it is longer than a line."""
    folder = tmp_path / "our audits" / f"{'long' * 30} name"
    told = run(*given, "--out", folder).out.splitlines()
    (line,) = (line for line in told if line.startswith("Replay a finding: "))
    words = shlex.split(line.removeprefix("Replay a finding: "))
    assert words[:2] == ["edgerift", "replay"]
    assert run(*words[1:]).code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--attack", "defalt"], "unknown attack 'defalt'; did you mean 'default'?"),
        (["--epsilon", "256"], "--epsilon is 256; it must be less than or equal to 255"),
        (["--epsilon", "-1"], "--epsilon is -1; it must be greater than or equal to 0"),
        (["--epsilon", "0.5"], "--epsilon"),
        (["--steps", "0"], "--steps is 0; it must be greater than 0"),
        (["--images", "0"], "--images is 0; it must be greater than 0"),
        (["--on", "moon"], "--on is 'moon'; it must be here, processes, ray, or the address of a Ray cluster"),
        (["--stop", "fooled"], "'fooled'"),
        (
            ["--threats", "evasoin"],
            "unknown threat 'evasoin'; did you mean 'evasion'? Known: evasion, tampering, theft",
        ),
        (["--threats", "evasion,"], "unknown threat ''"),
        (["--threats", "theft", "--queries", "BAD/none"], "BAD/none"),
        (["--threats", "theft", "--queries", "cifar"], "unknown image set 'cifar'; did you mean"),
        (["--threats", "theft", "--student", "resnet81"], "unknown model 'resnet81'; did you mean 'resnet8'?"),
        (["--threats", "theft", "--budget", "0"], "--budget is 0; it must be greater than 0"),
        (["--threats", "theft", "--clone-epochs", "0"], "--clone-epochs is 0; it must be greater than 0"),
        (["--threats", "theft", "--clone-learning-rate", "0"], "--clone-learning-rate is 0"),
        (["--embed-class", "10"], "class 10 cannot be embedded; the 10 classes of digits are 0 to 9"),
        (["--size", "16"], "was made for images of 12 pixels, the images are resized to 16; pass --size 12"),
        (["--adapted", "BAD/nothing"], "no program file at BAD/nothing"),
        (["--adapted", "BAD"], "no program file at BAD/program.safetensors"),
        (["--original", "BAD/none.safetensors"], "cannot read the original at BAD/none.safetensors"),
        (["--build", "BAD/none.onnx"], "no build at BAD/none.onnx"),
        (["--build", "BAD/policy.yaml"], "cannot determine the runtime of policy.yaml"),
        (["--build", "BAD/model.pt2"], "pass --trust if you made it yourself"),
        (["--runtime", "executorch"], "does not take target 'server'; choose onnxruntime or inductor"),
        (["--policy", "BAD/none.yaml"], "cannot read the policy BAD/none.yaml"),
        (["--policy", "BAD/policy.yaml"], "unknown field 'evasve'; did you mean 'evasive'?"),
        (["--baseline", "BAD/none"], "cannot read the audit BAD/none"),
        (["--baseline", "BAD"], "cannot read the audit BAD/audit.json"),
        (["--baseline", "BAD/policy.yaml"], "is no audit of this version"),
        (["--control", "maybe"], "'maybe'"),
        (["--data", "digit"], "unknown image set 'digit'; did you mean 'digits'?"),
        (["--out", "BAD/policy.yaml"], "cannot be made a folder"),
    ],
)
def test_wrong_input_is_one_line(run, given, tmp_path, arguments, text):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "policy.yaml").write_text("evasve: 0.1\n")
    (bad / "model.pt2").write_bytes(b"code")
    out = () if "--out" in arguments else ("--out", tmp_path / "out")
    line = run(*given, *out, *(value.replace("BAD", str(bad)) for value in arguments)).line()
    assert text.replace("BAD", str(bad)) in line
    assert list(tmp_path.rglob("out/*")) == []


def test_a_build_alone_is_no_pair(run, tmp_path):
    line = run("audit", "--build", tmp_path / "model.onnx", "--out", tmp_path / "out").line()
    assert line == "--build is compared with the model that it was made from; pass that with --original"


def test_the_images_of_a_finding_are_the_test_images(run, given, small_pair, tmp_path):
    run(*given, "--out", tmp_path)
    test = open_splits(small_pair.images).test
    for part in read_audit(tmp_path).evasion.findings:
        assert (read_png(tmp_path / part.clean_png) == test.images[part.index]).all()
        assert (read_png(tmp_path / part.attacked_png).int() - test.images[part.index].int()).abs().max() == part.linf


def test_what_is_finished_stays_in_the_store(run, given, kept, tmp_path):
    run(*given, "--out", tmp_path / "one")
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.suffix in (".json", ".safetensors")}
    again = run(*given, "--out", tmp_path / "two")
    assert again.err == ""
    assert before == {path: path.stat().st_mtime_ns for path in before}
    first, second = (read_audit(tmp_path / name) for name in ("one", "two"))
    assert first.replace(made=second.made) == second
