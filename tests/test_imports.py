"""Who may import whom: by the syntax trees of all files, and by what `import flowtell` really loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import flowtell

ROOT = Path(__file__).resolve().parents[1]

# part -> (folder, package, parts it may import)
PARTS = {
    "engine": ("engine/flowtell", "flowtell", set()),
    "training": ("training", "flowtell.training", {"engine"}),
    "export": ("export", "flowtell.export", {"engine", "training"}),
    "benchmarks": ("benchmarks", "flowtell.benchmarks", {"engine", "training", "export"}),
}
ENGINE_DISTRIBUTIONS = {"numpy", "av", "onnxruntime"}


def files_of(part):
    folder = ROOT / PARTS[part][0]
    files = sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)
    assert files, f"there is nothing to check in {folder}"
    return files


def part_of(module):
    for part, (_, package, _) in PARTS.items():
        if part != "engine" and (module == package or module.startswith(package + ".")):
            return part
    return "engine" if module == "flowtell" or module.startswith("flowtell.") else None


def imported_modules(path, package):
    """Yield every module that `path` imports, wherever the statement stands, as an absolute name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], base]).rstrip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imports_of(part):
    """Yield each file of a part with each module that it imports."""
    folder, package, _ = PARTS[part]
    for path in files_of(part):
        below = path.relative_to(ROOT / folder).parent.parts
        for module in imported_modules(path, ".".join([package, *below])):
            yield path, module


def test_every_part_of_the_distribution_is_checked():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    checked = {package: folder for folder, package, _ in PARTS.values()}
    inside_parts = {
        package: folder
        for package, folder in setuptools["package-dir"].items()
        if any(folder.startswith(part + "/") for part in checked.values())
    }
    assert setuptools["package-dir"] == {**checked, **inside_parts}


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_only_what_lies_below_them(part):
    _, _, allowed = PARTS[part]
    for path, module in imports_of(part):
        other = part_of(module)
        assert other is None or other == part or other in allowed, f"{path} imports {module}"


def test_the_engine_imports_nothing_but_numpy_av_and_onnxruntime():
    seen = set()
    for path in files_of("engine"):
        for module in imported_modules(path, "flowtell"):
            top = module.split(".")[0]
            if top not in sys.stdlib_module_names and top != "flowtell":
                assert top in ENGINE_DISTRIBUTIONS, f"{path} imports {module}"
                seen.add(top)
    assert {"numpy", "av"} <= seen


@pytest.mark.parametrize("part", PARTS)
def test_onnxruntime_is_loaded_where_it_is_told_to_report_nothing(part):
    for path, module in imports_of(part):
        assert module.split(".")[0] != "onnxruntime", f"{path} does not use load_onnxruntime()"


def test_export_imports_only_the_models_of_training():
    for path in files_of("export"):
        for module in imported_modules(path, "flowtell.export"):
            if part_of(module) == "training" and module != "flowtell.training":
                assert module.startswith("flowtell.training.models"), f"{path} imports {module}"


def test_import_flowtell_loads_nothing_heavy():
    code = "import sys, json, flowtell; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    heavy = {"tensorflow", "keras", "onnx", "tf2onnx", "cv2", "av", "onnxruntime", "matplotlib", "skimage"}
    assert not loaded & heavy
    assert "numpy" in loaded


def test_judging_a_video_loads_no_training_or_export():
    code = (
        "import sys, json, flowtell\nfrom flowtell import samples\n"
        "flowtell.Detector.open(sys.argv[1]).detect(samples.natural_path(), max_clips=1)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    tiny = ROOT / "tests" / "bundles" / "tiny"
    done = subprocess.run([sys.executable, "-c", code, str(tiny)], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"tensorflow", "keras", "onnx", "flowtell.training", "flowtell.export"}
    assert "onnxruntime" in loaded


def test_public_names_are_there_and_explained():
    for name in flowtell.__all__:
        assert getattr(flowtell, name).__doc__ or name == "__version__"


def test_the_version_is_the_distribution_s():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{flowtell.__version__}"' in text
