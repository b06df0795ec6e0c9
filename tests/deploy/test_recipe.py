"""Programs and builds that the user brings: their names, their copies, their faults."""

import hashlib
from typing import Literal

import pytest
from made_networks import random_images

from edgerift.deploy import (
    BuildRecipe,
    GivenBuild,
    GivenProgram,
    Program,
    given_build,
    given_program,
    open_build,
    twin,
    twin_scores,
)
from edgerift.deploy.builds import _recipe
from edgerift.errors import BuildError, ImagesWarning, ProgramError, RecipeError
from edgerift.images import ImagesSettings, open_splits
from edgerift.steps import Store


def small_network(maker):
    first = maker.rounded(maker.convolution(maker.rounded("image"), 4, kernel=3, stride=4))
    flat = maker.rounded(maker.call("aten.flatten.using_ints", first, 1), grid=maker.grid(first))
    return maker.rounded(maker.linear(flat, 5))


@pytest.fixture(scope="module")
def files(build_once, tmp_path_factory):
    """A folder with a program and its build."""
    folder = tmp_path_factory.mktemp("given")
    program, built = build_once("onnxruntime", small_network)
    program.save(folder / "program.safetensors")
    (folder / "mine.onnx").write_bytes(built.path.read_bytes())
    return folder


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_a_given_program_is_copied_as_it_is(files, store):
    recipe = given_program(files / "program.safetensors")
    copied = store.get(recipe)
    assert {path.name for path in copied.iterdir()} == {"program.safetensors", "recipe.json", "SHA256SUMS"}
    content = (files / "program.safetensors").read_bytes()
    assert (copied / "program.safetensors").read_bytes() == content
    assert recipe.sha256 == hashlib.sha256(content).hexdigest()


def test_a_given_build_takes_the_name_that_a_made_one_has(files, store):
    recipe = given_build(files / "mine.onnx")
    assert (recipe.runtime, recipe.artefact) == ("onnxruntime", "model.onnx")
    copied = store.get(recipe)
    assert {path.name for path in copied.iterdir()} == {"model.onnx", "recipe.json", "SHA256SUMS"}
    images = random_images(5)
    answers = open_build(copied / "model.onnx").predict(images)
    assert (answers == open_build(files / "mine.onnx").predict(images)).all()
    assert recipe.sha256 == hashlib.sha256((files / "mine.onnx").read_bytes()).hexdigest()


def test_a_program_that_was_given_is_built_as_any_other(files, store):
    recipe = BuildRecipe(program=given_program(files / "program.safetensors"), runtime="onnxruntime")
    built = open_build(store.get(recipe) / recipe.artefact)
    images = random_images(5)
    program = Program.load(files / "program.safetensors")
    assert (built.predict(images) == twin_scores(twin(program, "onnxruntime"), images)).all()


class Adapted(GivenProgram):
    """A program whose recipe says which images it was adapted on."""

    type: Literal["test-adapted"] = "test-adapted"
    images: ImagesSettings


def test_a_build_is_compared_on_training_images_drawn_by_their_seed(files):
    def drawn(seed):
        program = Adapted(sha256="", images=ImagesSettings(source="digits", size=16, seed=seed))
        found = _recipe._training_images(program)
        known = {image.numpy().tobytes() for image in open_splits(program.images).train.images}
        assert all(image.numpy().tobytes() in known for image in found)
        return found

    first = drawn(0)
    assert first.shape == (64, 1, 16, 16)
    assert (first == drawn(0)).all()
    assert not (first == open_splits(ImagesSettings(source="digits", size=16)).train.images[:64]).all()
    assert not (first == drawn(1)).all()


def test_a_program_is_built_where_its_training_images_are_gone(files, store, tmp_path):
    path = files / "program.safetensors"
    gone = ImagesSettings(source=str(tmp_path / "gone"), size=16)
    program = Adapted(sha256=given_program(path).sha256, path=path, images=gone)
    recipe = BuildRecipe(program=program, runtime="onnxruntime")
    with pytest.warns(ImagesWarning, match="compared on generated images, not on training images: .*gone"):
        built = store.get(recipe) / recipe.artefact
    given = BuildRecipe(program=given_program(path), runtime="onnxruntime")
    assert built.read_bytes() == (store.get(given) / given.artefact).read_bytes()


def test_where_a_file_lies_does_not_count(files, tmp_path):
    for given, name, kind in (
        (given_program, "program.safetensors", GivenProgram),
        (given_build, "mine.onnx", GivenBuild),
    ):
        moved = tmp_path / f"moved{(files / name).suffix}"
        moved.write_bytes((files / name).read_bytes())
        first, second = given(files / name), given(moved)
        assert first.digest() == second.digest()
        assert str(files) not in first.canonical_json()
        assert kind(**first.model_dump(), path=moved).digest() == first.digest()
        assert kind.model_validate_json(first.canonical_json()).digest() == first.digest()


def test_another_content_is_another_recipe(files):
    recipe = given_build(files / "mine.onnx")
    assert recipe.replace(sha256="0" * 64).digest() != recipe.digest()
    assert recipe.replace(runtime="executorch").digest() != recipe.digest()
    assert recipe.replace(trust=True).digest() == recipe.digest()


@pytest.mark.parametrize(
    ("given", "name", "error"),
    [(given_program, "program.safetensors", ProgramError), (given_build, "mine.onnx", BuildError)],
)
def test_a_file_that_changed_or_went_is_refused(files, store, tmp_path, given, name, error):
    path = tmp_path / name
    path.write_bytes((files / name).read_bytes())
    recipe = given(path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(error, match="has changed since it was named; start again with the present file"):
        store.get(recipe)
    path.unlink()
    with pytest.raises(error, match=r"cannot read .* \(No such file or directory\)"):
        store.get(recipe)
    assert not store.has(recipe)
    path.write_bytes((files / name).read_bytes())
    assert store.get(recipe).is_dir()


def test_a_copy_outlives_its_source(files, store, tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes((files / "mine.onnx").read_bytes())
    recipe = given_build(path)
    store.get(recipe)
    path.unlink()
    assert (store.get(recipe) / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("given", "name", "content", "error", "text"),
    [
        (given_program, "none.safetensors", None, ProgramError, "no program file at"),
        (given_program, "cut.safetensors", b"cut", ProgramError, "is not a readable program file"),
        (given_build, "none.onnx", None, BuildError, "no build at"),
        (given_build, "cut.onnx", b"cut", BuildError, "cannot load"),
        (given_build, "model.mnn", b"MNN", BuildError, "cannot determine the runtime of model.mnn"),
        (given_build, "model.pt2", b"code", BuildError, "holds machine code that opening it would run; pass --trust"),
    ],
)
def test_what_is_no_such_file_is_refused_at_once(tmp_path, given, name, content, error, text):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error) as caught:
        given(tmp_path / name)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_runtime_that_does_not_exist_is_refused(files):
    with pytest.raises(RecipeError, match="unknown runtime 'onnx'; did you mean 'onnxruntime'"):
        given_build(files / "mine.onnx", "onnx")
    with pytest.raises(RecipeError, match="runtime"):
        GivenBuild(runtime="onnx", sha256="0", path=files / "mine.onnx")
    with pytest.raises(BuildError):
        given_build(files / "mine.onnx", "executorch")
