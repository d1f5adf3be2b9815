"""Bundles contain only the imported modules, compiled, and are reproducible byte by byte."""

import hashlib
import importlib.util
import json
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.bundle.asset import Bundles
from infra.bundle.closure import closure_of, imports_at_run_time
from infra.bundle.lock import RUNTIME, Lock
from infra.bundle.target import ROOT, BundleTarget
from infra.bundle.wheels import DEVELOPMENT_PLUGINS, NOT_IMPORTED, ONLY_FOR_TYPES, strip
from infra.core.document import PATH
from infra.services import SERVICES
from services.core import service as core

API = core.API.handler
MEGABYTE = 1_000_000
HANDLERS = (
    API,
    "services.core.functions.publisher.handler",
    *(one.handler for service in SERVICES for one in service.functions),
)
ROUTED = (API, *(one.handler for service in SERVICES for one in service.functions if one.routes))
MAX_SIZES_MB: dict[str, int] = {
    **{f"services.billing.functions.{name}.handler": 18 for name in ("api", "operators", "webhook")},
    "services.agents.functions.api.handler": 29,
    "services.runs.functions.api.handler": 18,
}
"""Size limits of unzipped bundles with bytecode. The limit of the others is 15 MB.

Those of billing contain Stripe's SDK, which is imported only for calls to Stripe. The one of agents contains the JSON
Schema validator for new configs, and the linter's list prices, checksums and RE2; the one of runs contains RE2 for the
patterns of new experiments. The first request that needs one of them imports it.
"""
PROVIDERS = {"openai", "anthropic", "stripe", "genai_prices", "httpx2"}


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle of core's API function for AWS."""
    return _build_api(tmp_path_factory.mktemp("bundle"))


class TestArchive:
    def test_is_reproducible_byte_by_byte(self, archive: Path, tmp_path: Path) -> None:
        assert _digest(_build_api(tmp_path)) == _digest(archive)

    def test_leaves_the_cache_of_the_installer_unchanged(self, tmp_path: Path) -> None:
        cached, installed = tmp_path / "cached", tmp_path / "folder" / "a-1.dist-info" / "METADATA"
        cached.write_text("Name: a\nVersion: 1\n\nA long description.\n")
        installed.parent.mkdir(parents=True)
        installed.hardlink_to(cached)
        strip(tmp_path / "folder")
        assert installed.read_text() == "Name: a\nVersion: 1\n"
        assert cached.read_text().endswith("A long description.\n")

    @pytest.mark.parametrize("handler", ROUTED)
    def test_of_an_api_function_is_below_its_size_limit(self, handler: str) -> None:
        bundle = Bundles(target=BundleTarget()).make(handler)
        assert sum(entry.file_size for entry in _entries(bundle.path)) <= MAX_SIZES_MB.get(handler, 15) * MEGABYTE

    def test_keeps_only_the_header_of_package_metadata(self, archive: Path) -> None:
        with zipfile.ZipFile(archive) as opened:
            metadata = [opened.read(name).decode() for name in opened.namelist() if name.endswith("/METADATA")]
        assert metadata
        for text in metadata:
            assert "\nVersion: " in text
            assert "\n\n" not in text

    @pytest.mark.parametrize("plugin", DEVELOPMENT_PLUGINS)
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
    def test_lacks_only_modules_that_are_never_imported(self, unused: str) -> None:
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

    @pytest.mark.parametrize("unused", NOT_IMPORTED)
    def test_lacks_only_features_that_nothing_else_imports(self, unused: str) -> None:
        package = importlib.util.find_spec(unused.partition("/")[0])
        assert package
        assert package.origin
        installed = Path(package.origin).parents[1]
        assert (installed / unused).is_dir()
        left_out = {(installed / one) for one in NOT_IMPORTED}
        modules = [(path, installed) for path in Path(package.origin).parent.rglob("*.py")]
        modules += [(path, ROOT) for folder in ("shared", "services") for path in (ROOT / folder).rglob("*.py")]
        imported = {
            f"{path}: {one}"
            for path, root in modules
            if left_out.isdisjoint(path.parents)
            for one in imports_at_run_time(path, ".".join(path.relative_to(root).with_suffix("").parts), root)
            if f"{one}.".startswith(f"{unused.replace('/', '.')}.")
        }
        assert imported == set()

    def test_has_no_provider_sdk_and_no_package_of_the_runtime(self, archive: Path) -> None:
        assert _top_level(archive) & (PROVIDERS | {"boto3", "botocore", "urllib3", "dateutil", "jmespath"}) == set()

    def test_has_packages_that_are_imported_at_start_or_on_demand(self, archive: Path) -> None:
        assert {"aws_lambda_powertools", "pydantic", "pydantic_core"} <= _top_level(archive)
        publisher = Bundles(target=BundleTarget()).make("services.core.functions.publisher.handler").path
        assert {"aws_xray_sdk", "wrapt"} <= _top_level(publisher)  # `shared/tracing.py` imports them on demand.

    def test_has_wheels_for_the_target(self, archive: Path) -> None:
        libraries = [entry.filename for entry in _entries(archive) if entry.filename.endswith(".so")]
        assert libraries
        assert {name.split(".")[-2] for name in libraries} == {"cpython-313-aarch64-linux-gnu"}

    def test_has_only_the_capabilities_of_the_function_and_its_document_of_core(self, archive: Path) -> None:
        own = {name for name in _names(archive) if name.startswith("services/") and "__pycache__" not in name}
        capabilities = ("health", "openapi_document")
        modules = {f"services/core/{one}/{file}.py" for one in capabilities for file in ("__init__", "api")}
        modules |= {f"services/core/{file}.py" for file in ("__init__", "functions/__init__", "functions/api")}
        assert own == modules | {"services/__init__.py", "services/core/openapi_document/openapi.json"}

    def test_has_nothing_of_infra(self, archive: Path) -> None:
        assert "infra" not in _top_level(archive)

    def test_has_no_file_of_the_installer_and_a_fixed_date(self, archive: Path) -> None:
        left = {"RECORD", "INSTALLER", "REQUESTED", ".lock", "direct_url.json"}
        assert not [name for name in _names(archive) if name.rpartition("/")[2] in left]
        assert {entry.date_time for entry in _entries(archive)} == {(1980, 1, 1, 0, 0, 0)}

    @pytest.mark.skipif(BundleTarget().compiler is None, reason="no interpreter of the runtime's version is at hand")
    def test_has_unchecked_bytecode(self, archive: Path) -> None:
        with zipfile.ZipFile(archive) as opened:
            code = opened.read("services/core/health/__pycache__/api.cpython-313.pyc")
        assert int.from_bytes(code[4:8], "little") == 0b01  # by hash, unchecked

    @pytest.mark.skipif(BundleTarget().compiler is None, reason="no interpreter of the runtime's version is at hand")
    def test_has_the_source_of_our_modules_only(self, archive: Path) -> None:
        sources = {name for name in _names(archive) if name.endswith(".py")}
        assert {name.partition("/")[0] for name in sources} == {"services", "shared"}
        assert {"shared/errors.py", "shared/__pycache__/errors.cpython-313.pyc", "pydantic/main.pyc"} <= _names(archive)


class TestHash:
    def test_differs_between_source_and_full_bundles(self, tmp_path: Path) -> None:
        real, source = (
            Bundles(target=BundleTarget(), with_packages=one, cache=tmp_path / str(one)) for one in (True, False)
        )
        assert source.make(API).content_hash != real.content_hash_of(API)

    def test_changes_with_an_extra_file(self) -> None:
        bundles = Bundles(target=BundleTarget())
        hashes = {bundles.content_hash_of(API, extra_files={"a.json": content}) for content in (b"1", b"2")}
        assert len(hashes | {bundles.content_hash_of(API)}) == 3

    def test_changes_with_source_and_lock(self, tmp_path: Path) -> None:
        bundles = Bundles(target=BundleTarget(), root=_write_checkout(tmp_path, shared="import pydantic\n"))
        first = bundles.content_hash_of("shared.one.handler")
        (tmp_path / "shared" / "one.py").write_text("import pydantic\n\n")
        second = bundles.content_hash_of("shared.one.handler")
        lock = tmp_path / "locks" / "functions.txt"
        lock.write_text(lock.read_text().replace("1.0", "1.1"))
        assert len({first, second, bundles.content_hash_of("shared.one.handler")}) == 3


class TestImport:
    @pytest.mark.parametrize("handler", HANDLERS)
    def test_works_with_only_the_bundle_and_the_runtime(self, tmp_path: Path, handler: str) -> None:
        printed = _run_in_bundle(handler, tmp_path, "print(json.dumps([*sys.modules]))")
        assert {name.partition(".")[0] for name in json.loads(printed)} & PROVIDERS == set()

    def test_of_the_tracer_works_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
            daemon.bind(("127.0.0.1", 0))
            daemon.settimeout(0)
            monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{daemon.getsockname()[1]}")
            monkeypatch.setenv(
                "_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
            )
            monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path / "code"))
            code = "from shared.tracing import subsegment\nwith subsegment('run'): pass"
            _run_in_bundle("services.core.functions.publisher.handler", tmp_path, code)
            assert b'"name": "run"' in daemon.recv(65_536)


class TestClosure:
    def test_follows_every_kind_of_import(self, tmp_path: Path) -> None:
        source = (
            "import json\nfrom typing import TYPE_CHECKING\nfrom shared import two\nfrom shared.pack.three import x\n"
            "if TYPE_CHECKING:\n    import only_types\n    from shared import never\n"
            "def later():\n    from shared.four import y\n    import lazy_sdk.part\n"
        )
        closure = closure_of("shared.one", root=_write_checkout(tmp_path, shared=source))
        modules = ("__init__", "four", "one", "pack/__init__", "pack/five", "pack/three", "two")
        assert [path.as_posix() for path in closure.files] == [f"shared/{name}.py" for name in modules]
        assert closure.packages == {"lazy_sdk"}

    def test_includes_json_files_beside_modules(self, tmp_path: Path) -> None:
        root = _write_checkout(tmp_path, shared="")
        (root / "shared" / "plans.json").write_text("{}")
        (root / "shared" / "pack" / "other.json").write_text("{}")
        names = {path.name for path in closure_of("shared.one", root=root).files}
        assert names == {"__init__.py", "one.py", "plans.json"}

    def test_refuses_a_missing_module(self, tmp_path: Path) -> None:
        with pytest.raises(ModuleNotFoundError, match=r"shared\.gone"):
            closure_of("shared.one", root=_write_checkout(tmp_path, shared="import shared.gone\n"))


class TestLock:
    def test_returns_requirements_without_those_of_the_runtime(self) -> None:
        lines = Lock.read(ROOT / "locks" / "functions.txt").requirements(["aws_lambda_powertools", "boto3"])
        names = {line.partition("==")[0] for line in lines.splitlines() if "==" in line}
        assert names >= {"aws-lambda-powertools", "typing-extensions"}
        assert names & RUNTIME == set()

    def test_refuses_a_package_that_is_not_locked(self) -> None:
        with pytest.raises(LookupError, match="pytest"):
            Lock.read(ROOT / "locks" / "functions.txt").requirements(["pytest"])


def _build_api(cache: Path) -> Path:
    return Bundles(target=BundleTarget(), cache=cache).make(API, extra_files={PATH: b"{}"}).path


def _digest(archive: Path) -> str:
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _entries(archive: Path) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(archive) as opened:
        return opened.infolist()


def _names(archive: Path) -> set[str]:
    return {entry.filename for entry in _entries(archive)}


def _top_level(archive: Path) -> set[str]:
    return {name.partition("/")[0] for name in _names(archive)}


def _write_checkout(root: Path, *, shared: str) -> Path:
    """Create a checkout with a few modules. `shared.one` has this source."""
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


def _run_in_bundle(handler: str, folder: Path, statements: str) -> str:
    """Import a handler with only its bundle for this machine and the packages of the Lambda runtime.

    Return the output of the statements that run after it.
    """
    code, runtime = folder / "code", folder / "runtime"
    target = BundleTarget(platform=None, python=None)
    bundle = Bundles(target=target).make(handler, extra_files={PATH: b"{}"})
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
        f"{statements}\n"
    )
    command = [target.compiler or sys.executable, "-I", "-S", "-c", script]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 — an interpreter of ours
