"""Which module may import what, read from the source without running it."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
FLOORS = (
    "core",
    "data",
    "formats",
    "nn",
    "models",
    "training",
    "families",
    "ensemble",
    "competition",
    "pipeline",
    "experiments",
    "api",
    "report",
    "cli",
)  # from low to high; imports only go down
DOORS = {
    "transformers": ("models/encoders/", "pipeline/shipping/"),
    "huggingface_hub": ("models/encoders/hub.py",),
    "httpx2": ("models/encoders/hub.py",),
    "gensim": ("training/token_vectors.py",),
    "optuna": ("pipeline/tuning/optuna_study.py",),
    "scipy": ("competition/planner.py", "families/ngram_crf_training.py", "experiments/claims/verdict.py"),
    "sklearn": (
        "data/folds.py",
        "ensemble/stacking.py",
        "ensemble/boosting.py",
        "training/text_features.py",
        "report/shift.py",
        "experiments/claims/images.py",
    ),
    "torchcrf": ("models/heads/pytorch_crf.py",),
    "yaml": ("core/yaml_text.py",),
    "rich": ("core/terminal.py",),
    "pandas": ("api/", "report/"),
    "altair": ("report/plots.py", "report/polygons.py", "report/study_plots.py"),
    "vl_convert": ("report/plots.py",),
    "jinja2": ("report/page.py",),
    "datasets": ("formats/hugging_face.py",),
    "onnx": ("pipeline/shipping/onnx_runtime.py",),
    "onnxruntime": ("pipeline/shipping/decode.py", "pipeline/shipping/onnx_runtime.py"),
    "ray": ("pipeline/engines/ray_engine.py",),
    "spacy": ("formats/docbin.py",),
}
TORCH_FREE = (
    "core/",
    "data/",
    "formats/",
    "competition/",
    "pipeline/tuning/",
    "experiments/geometry/",
    "ensemble/lookup.py",
)
WITH_TORCH = ("data/batches/",)  # of those


def module_name(path):
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


TREES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
MODULES = {module_name(path) for path in TREES}
PATHS = pytest.mark.parametrize("path", TREES, ids=lambda path: str(path.relative_to(SOURCE / "daguan")))


def imports(tree):
    """Every module imported anywhere in the file, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (name if name in MODULES else node.module for name in whole)


def own_imports(path):
    return {name for name in imports(TREES[path]) if name.split(".")[0] == "daguan"}


def of_types(path):
    """The modules that are imported for type checkers alone."""
    guarded = (
        node for node in ast.walk(TREES[path]) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    )
    return {name for node in guarded for name in imports(node)}


def floor_of(module):
    """The number of the module's floor; None for `daguan` and `daguan.__main__`, which stand on top."""
    parts = module.split(".")
    return FLOORS.index(parts[1]) if len(parts) > 1 and parts[1] in FLOORS else None


def test_the_source_was_found_and_every_package_is_a_floor():
    assert "daguan.core.types" in MODULES
    folders = {path.relative_to(SOURCE / "daguan").parts[0] for path in TREES if path.parent.name != "daguan"}
    assert folders == set(FLOORS)


@PATHS
def test_imports_only_go_down(path):
    own = floor_of(module_name(path))
    if own is None:
        return
    for imported in own_imports(path):
        other = floor_of(imported)
        assert imported != "daguan.__main__"
        assert other is None or other <= own, f"{FLOORS[own]} imports {imported}"


def test_only_commands_name_the_experiments():
    """Neither an import nor a row of a table makes them part of a contest run's key."""
    texts = {str(path.relative_to(SOURCE / "daguan")): path.read_text("utf-8") for path in TREES}
    users = {name for name, text in texts.items() if "daguan.experiments" in text}
    assert "cli/reproduce.py" in users
    assert all(name.startswith(("experiments/", "cli/")) for name in users)


@PATHS
def test_every_own_import_exists(path):
    assert own_imports(path) <= MODULES


def test_no_circles():
    try:
        TopologicalSorter({module_name(path): own_imports(path) - of_types(path) for path in TREES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@PATHS
def test_one_door_a_dependency(path):
    here = str(path.relative_to(SOURCE / "daguan"))
    for name in imports(TREES[path]):
        doors = DOORS.get(name.split(".")[0], (here,))
        assert here.startswith(doors), f"{name} is imported by {doors} alone"


@pytest.mark.parametrize("name", DOORS)
def test_every_door_is_in_use(name):
    for door in DOORS[name]:
        behind = [tree for path, tree in TREES.items() if str(path.relative_to(SOURCE / "daguan")).startswith(door)]
        assert name in {imported.split(".")[0] for tree in behind for imported in imports(tree)}


@PATHS
def test_the_lower_layers_know_no_torch(path):
    here = str(path.relative_to(SOURCE / "daguan"))
    if here.startswith(TORCH_FREE) and not here.startswith(WITH_TORCH):
        assert not any(name.split(".")[0] == "torch" or name == "safetensors.torch" for name in imports(TREES[path]))


@PATHS
def test_no_error_is_swallowed_and_nothing_is_pickled(path):
    """A handler of everything may only clean up and pass the error on; `except Exception` has no use at all."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: bare except"
            names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
            assert "Exception" not in names, f"line {node.lineno}: except Exception"
            passed_on = ast.unparse(node.body[-1]) == "raise"
            assert "BaseException" not in names or passed_on, f"line {node.lineno}: except BaseException"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert keywords.get("weights_only") == "True", f"line {node.lineno}: torch.load without weights_only=True"
    picklers = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert not picklers & {name.split(".")[0] for name in imports(TREES[path])}


@PATHS
def test_only_data_spells_the_names_of_contest_files(path):
    here = str(path.relative_to(SOURCE / "daguan"))
    if here.startswith("data/"):
        return
    names = ("train.txt", "test.txt", "corpus.txt", "test_gold.txt", "groups.txt", "vocab.tsv")
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.startswith(names), f"line {node.lineno}: take {node.value!r} from data/contest.py"
