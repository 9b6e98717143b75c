"""Rules of the house that no linter knows: what may stand in a committed file, and what packages say."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 350
SOURCE_ENDINGS = {".py", ".c", ".cpp", ".h", ".hpp", ".sh", ".cmake"}

# Written in pieces, so that this file does not find itself.
PLACES = {
    "a path of one machine": r"(?<![\w.])/(?:work|root|home/\w+)/" + r"\w",
    "a package registry's host": "|".join(
        re.escape(name + "." + end)
        for name, end in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("registry.npmjs", "org"),
            ("deb.debian", "org"),
        )
    ),
}


def tracked_files() -> list[Path]:
    """Every file that git knows and that is there."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout: there is no list of tracked files")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """Text of a file; None where it is binary."""
    data = path.read_bytes()
    return None if b"\0" in data[:8192] else data.decode("utf-8")


@pytest.mark.parametrize("kind", PLACES)
def test_no_file_names_a_place(kind: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked_files()
        if (text := text_of(path)) is not None
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(PLACES[kind], line)
    ]
    assert not found, f"{kind} stands in a committed file:\n" + "\n".join(found)


def test_files_are_read_in_one_sitting() -> None:
    lengths = {
        str(path.relative_to(ROOT)): path.read_bytes().count(b"\n")
        for path in tracked_files()
        if path.suffix in SOURCE_ENDINGS or path.name in ("Makefile", "CMakeLists.txt")
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines >= MAX_LINES} == {}


def test_decisions_are_numbered_in_a_row() -> None:
    names = [path.name for path in tracked_files() if path.parent == ROOT / "docs/decisions"]
    numbers = sorted(re.sub(r"^(\d{4})-[a-z0-9-]+\.md$", r"\1", name) for name in names)
    assert names
    assert numbers == [f"{number:04}" for number in range(1, len(names) + 1)]


def links_of(page: Path) -> list[str]:
    """Targets of a page's Markdown links, those of other sites and of the page itself left out."""
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(<?([^)\s>]+)", prose) + re.findall(
        r"^\[[^\]]+\]:\s+(\S+)", prose, re.MULTILINE
    )
    return [target for target in targets if not re.match(r"[a-z]+:|#", target)]


def test_links_between_files_lead_somewhere() -> None:
    links = [(page, link) for page in tracked_files() if page.suffix == ".md" for link in links_of(page)]
    assert links
    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for page, link in links
        if not (page.parent / link.split("#")[0]).exists()
    ]
    assert not dead


def test_the_readme_is_filled_in() -> None:
    assert not re.findall(r"@[A-Z]+@", (ROOT / "README.md").read_text())


def python_modules() -> list[Path]:
    """Modules of the distribution, whatever package they belong to."""
    folders = [ROOT / name for name in ("engine", "training", "export", "benchmarks")]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """Right-hand side of every plain assignment at the top of a module."""
    values: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            values |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            values[node.target.id] = node.value
    return values


def bound_names(tree: ast.Module) -> set[str]:
    """Names that a module's top level binds, blocks such as `if TYPE_CHECKING:` included."""
    names = set(assigned(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
    return names


def shelf(name: str) -> tuple[int, str]:
    """Sorting key of ruff's RUF022: constants, then classes, then the rest."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


@pytest.mark.parametrize("path", python_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_are_sorted_and_real(path: Path) -> None:
    tree = ast.parse(path.read_text())
    declared = assigned(tree).get("__all__")
    if declared is None:
        public_package = path.name == "__init__.py" and any(
            isinstance(node, ast.ImportFrom | ast.FunctionDef | ast.ClassDef) for node in tree.body
        )
        assert not public_package, "a package that offers names lists them in __all__"
        return
    if isinstance(declared, ast.Call):  # a package that imports its names lazily lists their homes once
        assert ast.unparse(declared) == "sorted(_HOMES)"
        for name, home in ast.literal_eval(assigned(tree)["_HOMES"]).items():
            module = ast.parse((path.parent / f"{home}.py").read_text())
            assert name in bound_names(module), f"{name} does not live in {home}"
        return
    names: list[str] = ast.literal_eval(declared)
    assert names == sorted(set(names), key=shelf)
    lazy = "__getattr__" in bound_names(tree)
    missing = set(names) - bound_names(tree)
    assert lazy or not missing, f"__all__ promises what the module does not have: {sorted(missing)}"
    assert not [name for name in names if name.startswith("_") and name != "__version__"]


def test_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert all(f"\n   {number}. " in text for number in range(1, 10)), "a section of the licence is missing"
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"].startswith(
        "Apache-2.0 AND "
    )


def test_every_bundle_has_papers_of_its_own() -> None:
    for manifest in (ROOT / "engine/flowtell/bundles").glob("*/manifest.json"):
        for paper in ("LICENSE", "NOTICE", "MODEL_CARD.md"):
            assert (manifest.parent / paper).stat().st_size > 0, f"{manifest.parent.name} lacks {paper}"


def test_changelog_knows_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = changelog.split("\n## [")[1].split("]")[0]
    assert newest in (version, "Unreleased")
