"""Bundles: only what a function imports, compiled, and the same to the byte."""

import hashlib
import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.bundle.asset import Bundles
from infra.bundle.closure import closure_of, imports_at_run_time
from infra.bundle.lock import RUNTIME, Lock
from infra.bundle.target import ROOT, BundleTarget
from infra.bundle.wheels import CHECKER_PLUGINS, ONLY_FOR_TYPES, strip
from infra.services import SERVICES

API = "infra.core.api.handler"
MEGABYTE = 1_000_000
HANDLERS = (API, "infra.core.publisher.handler", *(one.handler for service in SERVICES for one in service.functions))
ROUTED = (API, *(one.handler for service in SERVICES for one in service.functions if one.routes))
LARGEST_MB: dict[str, int] = dict.fromkeys(
    (f"services.billing.api.{name}" for name in ("handler", "operators_handler", "webhook")), 18
)
"""Unzipped, with bytecode; the others have 15. These carry Stripe's SDK, which is loaded only when Stripe is asked."""
PROVIDERS = {"openai", "anthropic", "stripe", "genai_prices", "httpx2"}


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Core's API function as it is shipped to AWS."""
    return _made(tmp_path_factory.mktemp("bundle"))


class TestArchive:
    def test_is_the_same_to_the_byte_when_made_again(self, archive: Path, tmp_path: Path) -> None:
        assert _digest(_made(tmp_path)) == _digest(archive)

    def test_is_made_without_touching_the_cache_of_the_installer(self, tmp_path: Path) -> None:
        cached, installed = tmp_path / "cached", tmp_path / "folder" / "a-1.dist-info" / "METADATA"
        cached.write_text("Name: a\nVersion: 1\n\nWhat it is.\n")
        installed.parent.mkdir(parents=True)
        installed.hardlink_to(cached)
        strip(tmp_path / "folder")
        assert installed.read_text() == "Name: a\nVersion: 1\n"
        assert cached.read_text().endswith("What it is.\n")

    @pytest.mark.parametrize("handler", ROUTED)
    def test_is_small_where_somebody_waits_for_it(self, handler: str) -> None:
        made = Bundles(target=BundleTarget()).make(handler)
        assert sum(entry.file_size for entry in _entries(made.path)) <= LARGEST_MB.get(handler, 15) * MEGABYTE

    def test_says_the_versions_of_packages_and_not_more_of_them(self, archive: Path) -> None:
        with zipfile.ZipFile(archive) as opened:
            said = [opened.read(name).decode() for name in opened.namelist() if name.endswith("/METADATA")]
        assert said
        for text in said:
            assert "\nVersion: " in text
            assert "\n\n" not in text

    @pytest.mark.parametrize("plugin", CHECKER_PLUGINS)
    def test_lacks_plugins_that_no_module_imports(self, plugin: str, archive: Path) -> None:
        found = importlib.util.find_spec("pydantic")
        assert found
        assert found.origin
        root = Path(found.origin).parents[1]
        module = plugin.removesuffix(".py").replace("/", ".")
        imported = [
            one
            for path in Path(found.origin).parent.rglob("*.py")
            for one in imports_at_run_time(path, ".".join(path.relative_to(root).with_suffix("").parts), root)
        ]
        assert "pydantic.main" in imported
        assert module not in imported
        with zipfile.ZipFile(archive) as opened:
            assert not [name for name in opened.namelist() if name.startswith(plugin.removesuffix(".py"))]

    @pytest.mark.parametrize("unused", ONLY_FOR_TYPES)
    def test_lacks_only_what_nothing_imports(self, unused: str) -> None:
        found = importlib.util.find_spec(unused.partition("/")[0])
        assert found
        assert found.origin
        root, name = Path(found.origin).parents[1], unused.replace("/", ".")
        modules = [path for path in Path(found.origin).parent.rglob("*.py") if not path.is_relative_to(root / unused)]
        imported = {
            f"{path}: {one}"
            for path in modules
            for one in imports_at_run_time(path, ".".join(path.relative_to(root).with_suffix("").parts), root)
            if f"{one}.".startswith(f"{name}.")
        }
        assert len(modules) > 100
        assert imported == set()
        assert any(name in path.read_text() for path in modules)

    def test_holds_no_provider_sdk_and_nothing_of_the_runtime(self, archive: Path) -> None:
        assert _top_level(archive) & (PROVIDERS | {"boto3", "botocore", "urllib3", "dateutil", "jmespath"}) == set()

    def test_holds_what_it_needs_and_no_tracer(self, archive: Path) -> None:
        assert {"aws_lambda_powertools", "pydantic", "pydantic_core"} <= _top_level(archive)
        assert "aws_xray_sdk" not in _top_level(archive)

    def test_holds_wheels_of_the_target(self, archive: Path) -> None:
        libraries = [entry.filename for entry in _entries(archive) if entry.filename.endswith(".so")]
        assert libraries
        assert {name.split(".")[-2] for name in libraries} == {"cpython-313-aarch64-linux-gnu"}

    def test_holds_of_infra_only_core_and_its_document(self, archive: Path) -> None:
        own = {name for name in _names(archive) if name.startswith("infra/") and "__pycache__" not in name}
        modules = {"infra/__init__.py", "infra/core/__init__.py", "infra/core/api.py"}
        assert own == modules | {"infra/core/openapi.json"}

    def test_leaves_no_trace_of_the_installer_and_one_date(self, archive: Path) -> None:
        left = {"RECORD", "INSTALLER", "REQUESTED", ".lock", "direct_url.json"}
        assert not [name for name in _names(archive) if name.rpartition("/")[2] in left]
        assert {entry.date_time for entry in _entries(archive)} == {(1980, 1, 1, 0, 0, 0)}

    @pytest.mark.skipif(BundleTarget().compiler is None, reason="no interpreter of the runtime's version is at hand")
    def test_is_compiled_and_never_compared_with_its_source(self, archive: Path) -> None:
        with zipfile.ZipFile(archive) as opened:
            code = opened.read("infra/core/__pycache__/api.cpython-313.pyc")
        assert int.from_bytes(code[4:8], "little") == 0b01  # by hash, unchecked

    @pytest.mark.skipif(BundleTarget().compiler is None, reason="no interpreter of the runtime's version is at hand")
    def test_keeps_the_source_of_our_modules_alone(self, archive: Path) -> None:
        sources = {name for name in _names(archive) if name.endswith(".py")}
        assert {name.partition("/")[0] for name in sources} == {"infra", "shared"}
        assert {"shared/errors.py", "shared/__pycache__/errors.cpython-313.pyc", "pydantic/main.pyc"} <= _names(archive)


class TestHash:
    def test_of_a_source_bundle_is_never_that_of_a_real_one(self, tmp_path: Path) -> None:
        real, source = (
            Bundles(target=BundleTarget(), with_packages=one, cache=tmp_path / str(one)) for one in (True, False)
        )
        assert source.make(API).content_hash != real.content_hash_of(API)

    def test_changes_with_an_extra_file(self) -> None:
        bundles = Bundles(target=BundleTarget())
        hashes = {bundles.content_hash_of(API, extra_files={"a.json": content}) for content in (b"1", b"2")}
        assert len(hashes | {bundles.content_hash_of(API)}) == 3

    def test_changes_with_source_and_lock(self, tmp_path: Path) -> None:
        bundles = Bundles(target=BundleTarget(), root=_tree(tmp_path, shared="import pydantic\n"))
        first = bundles.content_hash_of("shared.one.handler")
        (tmp_path / "shared" / "one.py").write_text("import pydantic\n\n")
        second = bundles.content_hash_of("shared.one.handler")
        lock = tmp_path / "locks" / "functions.txt"
        lock.write_text(lock.read_text().replace("1.0", "1.1"))
        assert len({first, second, bundles.content_hash_of("shared.one.handler")}) == 3


class TestImport:
    @pytest.mark.parametrize("handler", HANDLERS)
    def test_works_with_nothing_but_the_bundle_and_the_runtime(self, tmp_path: Path, handler: str) -> None:
        said = _import_alone(handler, tmp_path)
        assert set(said["loaded"]) & PROVIDERS == set()


class TestClosure:
    def test_follows_every_kind_of_import(self, tmp_path: Path) -> None:
        source = (
            "import json\nfrom typing import TYPE_CHECKING\nfrom shared import two\nfrom shared.pack.three import x\n"
            "if TYPE_CHECKING:\n    import only_types\n    from shared import never\n"
            "def later():\n    from shared.four import y\n    import lazy_sdk.part\n"
        )
        closure = closure_of("shared.one", root=_tree(tmp_path, shared=source))
        modules = ("__init__", "four", "one", "pack/__init__", "pack/five", "pack/three", "two")
        assert [path.as_posix() for path in closure.files] == [f"shared/{name}.py" for name in modules]
        assert closure.packages == {"lazy_sdk"}

    def test_takes_json_beside_its_modules(self, tmp_path: Path) -> None:
        root = _tree(tmp_path, shared="")
        (root / "shared" / "plans.json").write_text("{}")
        (root / "shared" / "pack" / "other.json").write_text("{}")
        names = {path.name for path in closure_of("shared.one", root=root).files}
        assert names == {"__init__.py", "one.py", "plans.json"}

    def test_refuses_a_module_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ModuleNotFoundError, match=r"shared\.gone"):
            closure_of("shared.one", root=_tree(tmp_path, shared="import shared.gone\n"))


class TestLock:
    def test_brings_what_a_package_requires_and_leaves_out_the_runtime(self) -> None:
        lines = Lock.read(ROOT / "locks" / "functions.txt").requirements(["aws_lambda_powertools", "boto3"])
        names = {line.partition("==")[0] for line in lines.splitlines() if "==" in line}
        assert names >= {"aws-lambda-powertools", "typing-extensions"}
        assert names & RUNTIME == set()

    def test_refuses_what_is_not_locked(self) -> None:
        with pytest.raises(LookupError, match="pytest"):
            Lock.read(ROOT / "locks" / "functions.txt").requirements(["pytest"])


def _made(cache: Path) -> Path:
    return Bundles(target=BundleTarget(), cache=cache).make(API, extra_files={"infra/core/openapi.json": b"{}"}).path


def _digest(archive: Path) -> str:
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _entries(archive: Path) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(archive) as opened:
        return opened.infolist()


def _names(archive: Path) -> set[str]:
    return {entry.filename for entry in _entries(archive)}


def _top_level(archive: Path) -> set[str]:
    return {name.partition("/")[0] for name in _names(archive)}


def _tree(root: Path, *, shared: str) -> Path:
    """A checkout with a few modules, of which `shared.one` has this source."""
    files = {
        "shared/__init__.py": "",
        "shared/one.py": shared,
        "shared/two.py": "",
        "shared/four.py": "",
        "shared/never.py": "",
        "shared/pack/__init__.py": "",
        "shared/pack/three.py": "from . import five\n",
        "shared/pack/five.py": "",
        "locks/functions.txt": "pydantic==1.0 \\\n    --hash=sha256:0\n    # via ainexus (pyproject.toml)\n",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def _import_alone(handler: str, folder: Path) -> dict[str, list[str]]:
    """Import a handler where there is only its bundle for this machine, and what the runtime brings."""
    code, runtime = folder / "code", folder / "runtime"
    target = BundleTarget(platform=None, python=None)
    bundle = Bundles(target=target).make(handler, extra_files={"infra/core/openapi.json": b"{}"})
    with zipfile.ZipFile(bundle.path) as opened:
        opened.extractall(code)
    runtime.mkdir()
    for name in ("botocore", "boto3", "s3transfer", "jmespath", "urllib3", "dateutil", "six"):
        spec = importlib.util.find_spec(name)
        assert spec
        assert spec.origin
        found = Path(spec.origin)
        found = found.parent if found.name == "__init__.py" else found
        (runtime / found.name).symlink_to(found)
    script = (
        "import importlib, json, sys\n"
        f"sys.path[:0] = [{str(code)!r}, {str(runtime)!r}]\n"
        f"importlib.import_module({handler.rpartition('.')[0]!r})\n"
        "print(json.dumps({'loaded': sorted({name.partition('.')[0] for name in sys.modules})}))\n"
    )
    command = [target.compiler or sys.executable, "-I", "-S", "-c", script]
    said = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 — an interpreter of ours
    return json.loads(said.stdout)
