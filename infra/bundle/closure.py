"""The direct and indirect imports of a module, found in the source without running it."""

import ast
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FIRST_PARTY = ("shared", "services")


@dataclass(frozen=True, slots=True)
class Closure:
    """All files and packages that a module needs at run time."""

    files: tuple[Path, ...]
    """First-party files relative to the root: modules, their parent packages, and JSON in the same folders."""
    packages: frozenset[str]
    """Top-level names of third-party imports."""


def closure_of(module: str, *, root: Path) -> Closure:
    """Return the closure of a module, including imports inside its functions.

    Raises:
        ModuleNotFoundError: a first-party module does not exist.
    """
    files: dict[str, Path] = {}
    packages: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in files:
            continue
        files[name] = _file_of(name, root=root)
        parent = name.rpartition(".")[0]
        imported = imports_at_run_time(files[name], name, root)
        waiting += [found for found in (*imported, parent) if _is_first_party(found)]
        packages |= {found.partition(".")[0] for found in imported if not _is_first_party(found)}
    return Closure(_with_data(files, root=root), frozenset(packages - sys.stdlib_module_names))


def _is_first_party(module: str) -> bool:
    return module.partition(".")[0] in FIRST_PARTY


def _with_data(files: dict[str, Path], *, root: Path) -> tuple[Path, ...]:
    folders = {path.parent for path in files.values()}
    data = {found for folder in folders for found in folder.glob("*.json")}
    return tuple(sorted(path.relative_to(root) for path in {*files.values(), *data}))


def _file_of(module: str, *, root: Path) -> Path:
    found = _find(module, root)
    if found is None:
        msg = f"no module {module} below {root}"
        raise ModuleNotFoundError(msg)
    return found


def _find(module: str, root: Path) -> Path | None:
    base = root.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def imports_at_run_time(path: Path, module: str, root: Path) -> frozenset[str]:
    """Return the imports of a module, without those for type checkers alone."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _imports_of(path.read_bytes(), package, root)


@cache
def _imports_of(source: bytes, package: str, root: Path) -> frozenset[str]:
    visitor = _Imports(package, root)
    visitor.visit(ast.parse(source))
    return frozenset(visitor.found)


class _Imports(ast.NodeVisitor):
    """Collects run-time imports, without those for type checkers alone."""

    def __init__(self, package: str, root: Path) -> None:
        self.found: set[str] = set()
        self._package = package
        self._root = root

    def visit_If(self, node: ast.If) -> None:
        """Skip `if TYPE_CHECKING:`."""
        if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for child in node.orelse:
                self.visit(child)
            return
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """Visit `import a.b`."""
        self.found |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Visit `from a import b`, where b may be a module."""
        base = self._base(node)
        self.found.add(base)
        if _is_first_party(base):
            names = (f"{base}.{alias.name}" for alias in node.names)
            self.found |= {name for name in names if _find(name, self._root)}

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self._package.split(".")
        base_parts = parts[: len(parts) - node.level + 1]
        return ".".join([*base_parts, *([node.module] if node.module else [])])
