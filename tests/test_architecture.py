"""Which module may import what, read from the source without running it."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
LAYERS = {
    "core": 0,
    "text": 1,
    "contests": 1,
    "geometry": 1,
    "batches": 2,
    "nn": 3,
    "models": 4,
    "training": 5,
    "answers": 6,
    "engines": 6,
    "tuning": 6,
    "budget": 7,
    "reports": 7,
    "commands": 8,
}
MAY_BESIDE = {("contests", "text")}  # of one layer, yet one stands on the other
ENCODER_FILES = tuple(
    f"models/{name}.py"
    for name in (
        "bert", "roberta", "albert", "electra", "modern", "mass", "transformer_xl", "auto", "shallow", "lstm", "cnn"
    )
)  # fmt: skip
DOORS = {
    "transformers": ("models/encoders.py", "models/adoption.py", *ENCODER_FILES),
    "gensim": ("models/vectors.py",),
    "optuna": ("tuning/optuna_study.py",),
    "scipy": ("answers/planning.py",),
    "sklearn": ("text/folds.py", "answers/stacking.py", "answers/boosting.py"),
    "pycrfsuite": ("models/ngram_crf.py",),
    "yaml": ("core/settings.py",),
    "tqdm": ("core/progress.py",),
}
PLANNING = tuple(f"answers/{name}.py" for name in ("board", "candidates", "belief", "planning", "rehearsal", "lookup"))
TORCH_FREE = (
    "core", "text", "contests", "geometry", "tuning", "reports", "answers/gate.py", "answers/leaderboard.py", *PLANNING
)  # fmt: skip


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


def package_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else None


def test_the_source_was_found_and_every_package_has_a_layer():
    assert "daguan.core.types" in MODULES
    folders = {path.parent.name for path in TREES} - {"daguan"}
    assert folders == set(LAYERS)


@PATHS
def test_a_module_imports_its_own_package_or_lower_layers(path):
    own = package_of(module_name(path))
    if own is None:  # daguan and daguan.__main__ stand on top
        return
    for imported in own_imports(path):
        other = package_of(imported)
        lower = other is None or LAYERS[other] < LAYERS[own]
        assert imported != "daguan.__main__"
        assert other == own or lower or (own, other) in MAY_BESIDE, f"{own} imports {imported}"


@PATHS
def test_every_own_import_exists(path):
    assert own_imports(path) <= MODULES


def test_no_circles():
    try:
        TopologicalSorter({module_name(path): own_imports(path) for path in TREES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@PATHS
def test_one_door_a_dependency(path):
    here = str(path.relative_to(SOURCE / "daguan"))
    for name in imports(TREES[path]):
        doors = DOORS.get(name.split(".")[0], (here,))
        assert here in doors, f"{name} is imported by {doors} alone"


@pytest.mark.parametrize("name", DOORS)
def test_every_door_is_in_use(name):
    for door in DOORS[name]:
        assert name in {imported.split(".")[0] for imported in imports(TREES[SOURCE / "daguan" / door])}


@PATHS
def test_the_lower_layers_know_no_torch(path):
    if str(path.relative_to(SOURCE / "daguan")).startswith(TORCH_FREE):
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
