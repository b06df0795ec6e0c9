"""What `--help` says, read as a new user reads it: short, grouped, in the field's words, with an example that works."""

import inspect
import re
import shlex

import pytest
import tyro

from edgerift.cli._fields import Shown, flags_of, options_of
from edgerift.cli._parsing import parse
from edgerift.cli._verbs import GROUPS, RENAMED, VERBS, Family

COMMANDS = {
    " ".join((name, *inner)): kind.command()
    for name, verb in VERBS.items()
    for inner, kind in (
        [((below,), kind) for below, kind in verb.verbs.items()] if isinstance(verb, Family) else [((), verb)]
    )
}
FAMILIES = {name: verb for name, verb in VERBS.items() if isinstance(verb, Family)}

#: Phrases that are foreign to a reader of the field, as patterns.
FOREIGN = (
    r"\bunless given\b",
    r"\b(images|ms|gradients|questions) an? ",
    r"\ban image\b(?! set|'s| classifier)",
    r"\bquestions?\b",
    r"\basks?\b",
    r"\bthie(f|ves)\b",
    r"\bhe\b|\bwhom?\b",
    r"\b(a|the|many|\d) finds?\b",
    r"\bgo(es)? (on|by)\b",
    r"\bso (many|far|long|large)\b",
    r"\btells?\b",
    r"\bbrought to\b",
    r"\bdraws\b",
    r"\bwhat ships\b",
    r"\bthat is meant\b",
    r"\bget(s)? (right|wrong)\b",
    r"\bbeside\b",
    r"\bNone\b",
)


def shown(run, *arguments, columns="80"):
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert all(len(line) <= max(int(columns), 100) for line in out.splitlines())
    return out


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_short_and_help_all_has_every_option(run, command):
    short, whole = (shown(run, *command.split(), flag) for flag in ("--help", "--help-all"))
    assert len(short.splitlines()) <= 62
    assert short.startswith(f"usage: edgerift {command}")
    assert max(len(line) for line in short.splitlines() if not line.startswith("  edgerift ")) <= 80
    listed = {found[1] for found in re.finditer(r"^  (--[a-z0-9-]+)", whole, re.MULTILINE)}
    assert listed == {option.name for option in options_of(COMMANDS[command]) if not option.is_positional}
    hidden = sum(option.is_advanced for option in options_of(COMMANDS[command]))
    assert len(listed) - len(set(re.findall(r"^  (--[a-z0-9-]+)", short, re.MULTILINE))) == hidden
    more = re.search(r"^(\d+) more options?: edgerift (.*) --help-all$", short, re.MULTILINE)
    assert (more is None) == (hidden == 0)
    if more is not None:
        assert (int(more[1]), more[2]) == (hidden, command)
    assert "more option" not in whole


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does_and_what_it_takes(command):
    for option in options_of(COMMANDS[command]):
        assert option.text, option.name
        assert option.metavar != "VALUE", option.name


@pytest.mark.parametrize("command", COMMANDS)
def test_the_parser_takes_the_options_that_are_listed(command, capsys):
    """The help is written from the settings, the parser made by tyro: they know the same options."""
    with pytest.raises(SystemExit):
        tyro.cli(COMMANDS[command], prog="edgerift", args=["--help"], config=(tyro.conf.UseAppendAction,))
    known = set(re.findall(r"(?<![\w-])--[a-z0-9-]+", capsys.readouterr().out)) - {"--help"}
    assert flags_of(COMMANDS[command]) <= known


@pytest.mark.parametrize("command", [*COMMANDS, *FAMILIES, ""])
@pytest.mark.parametrize("flag", ["--help", "--help-all"])
def test_help_speaks_the_words_of_the_field(run, command, flag):
    text = " ".join(shown(run, *command.split(), flag).split())
    assert [found[0] for phrase in FOREIGN for found in [re.search(f".{{0,20}}{phrase}", text)] if found] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_is_in_the_help_and_parses(run, command):
    kind = COMMANDS[command]
    assert f"example:\n  {kind.example}\n" in shown(run, *command.split(), "--help")
    program, *arguments = shlex.split(kind.example)
    assert program == "edgerift"
    assert isinstance(parse(arguments), kind)


def test_the_overview_lists_every_command_in_its_group_in_one_line(run):
    lines = shown(run, "--help").splitlines()
    for heading, verbs in GROUPS.items():
        start = lines.index(f"{heading}:")
        assert [line.split()[0] for line in lines[start + 1 : start + 1 + len(verbs)]] == list(verbs)
        assert lines[start + 1 + len(verbs)] == ""
    examples = lines[lines.index("examples:") + 1 :]
    for example in examples[: examples.index("")]:
        assert parse(shlex.split(example)[1:]) is not None


def test_the_overview_has_the_first_line_of_each_commands_docstring(run):
    text = " ".join(shown(run, "--help").split())
    verbs = {name: verb for name, verb in VERBS.items() if name not in FAMILIES}
    for name, verb in verbs.items():
        assert f" {name} {inspect.getdoc(verb.command()).splitlines()[0]} " in text


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_lists_its_commands_in_one_line_each(run, family):
    lines = shown(run, family, "--help").splitlines()
    start = lines.index("commands:") + 1
    verbs = FAMILIES[family].verbs
    assert [line.split()[0] for line in lines[start : start + len(verbs)]] == list(verbs)
    assert parse(shlex.split(FAMILIES[family].example)[1:]) is not None


@pytest.mark.parametrize("arguments", [[], *([name] for name in FAMILIES)])
def test_without_a_command_the_help_is_shown_and_the_exit_code_is_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err == shown(run, *arguments, "--help")


@pytest.mark.parametrize(("columns", "widest"), [("40", 60), ("80", 80), ("120", 100), ("300", 100)])
def test_help_fits_the_terminal(run, monkeypatch, columns, widest):
    monkeypatch.setenv("COLUMNS", columns)
    lines = [line for line in shown(run, "extract", "--help-all", columns=columns).splitlines() if "{" not in line]
    assert widest - 12 <= max(len(line) for line in lines if not line.startswith("  edgerift ")) <= widest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["adit"], "unknown command 'adit'; did you mean 'audit'? Known: adapt, audit, card"),
        (["adit", "--help"], "unknown command 'adit'"),
        (["study", "runn", "x"], "unknown command 'runn'; did you mean 'run'? Known: plan, run, show, status"),
        (["--data", "x"], "edgerift needs a command before '--data': train, adapt"),
        (["doctor", "--jason"], "unknown option --jason; did you mean --json? `edgerift doctor --help-all` lists all"),
        (["audit", "--epoch", "3"], "unknown option --epoch; did you mean --epochs, --adapt-epochs or --clone-epochs?"),
        (["doctor", "--wholly-unlike=1"], "unknown option --wholly-unlike; `edgerift doctor --help-all` lists all"),
        (["train", "--ouut", "x"], "unknown option --ouut; did you mean --out?"),
        (["audit", "--budget", "ten"], "--budget is 'ten'; it must be a whole number; `edgerift audit --help` lists"),
        (["train", "--out", "x", "--learning_rate=fast"], "--learning-rate is 'fast'; it must be a number;"),
        (["audit", "--target", "phone"], "--target is 'phone'; it must be mobile, server, fbgemm or qnnpack;"),
        (
            ["adapt", "--out", "x", "--runtime", "executorch", "--runtime=z"],
            "--runtime is 'z'; it must be executorch, onnxruntime, litert, litert-builtin, litert-reference or",
        ),
        (["train"], "train needs --out DIR; `edgerift train --help` lists the options"),
        (["card"], "give a folder that `edgerift adapt --out` wrote, or both --original and --build"),
        (["train", "--out"], "--out needs a value: --out DIR;"),
        (["replay", "a", "b"], "replay does not take the argument 'b';"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments_are_told_in_one_short_line(run, arguments, told):
    line = run(*arguments).line()
    assert line.startswith(told)
    assert len(line) < 200


@pytest.mark.parametrize("old", RENAMED)
def test_an_option_is_taken_by_its_earlier_name_with_a_note(capsys, old):
    new = RENAMED[old]
    verb = "harden" if old == "--victims" else "extract"
    value = "bfloat16" if "precision" in old else "1"
    for given in ([old, value], [f"{old.replace('-', '_').replace('__', '--')}={value}"]):
        renewed, now = (parse([verb, "--out", "x", *words]) for words in (given, [new, value]))
        assert renewed == now != parse([verb, "--out", "x"])
        flag = given[0].partition("=")[0]
        assert capsys.readouterr().err == f"note: {flag} is now called {new}\n"


def test_victim_options_keep_their_meaning(capsys):
    """`--victim` of extract is no earlier name of anything."""
    assert parse(["extract", "--out", "x", "--victim", "original"]).whom.victim == "original"
    assert capsys.readouterr().err == ""


def test_a_mark_on_an_option_yields_to_its_group():
    advanced = Shown(advanced=True)
    assert Shown().hides("size", advanced)
    assert not Shown(whole=True).hides("size", advanced)
    assert not Shown(basic=("size",)).hides("size", advanced)
    assert Shown(basic=("size",)).hides("data", Shown())
