"""Tests of the set-up: a clone in a temporary folder, a local server, and a pip that names addresses on it."""

import hashlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile
from pathlib import Path

SETUP = Path(__file__).resolve().parent
sys.path.insert(0, str(SETUP))

import libtorch
import lock as locks
import problems

# A pip that supports `--version`, reports addresses on FAKE_SERVER for `install --dry-run`, copies wheels from FAKE_WHEELS
# for `download`, and records its calls.
FAKE_PIP = r'''
import json, os, pathlib, shutil, sys
args = sys.argv[1:]
with open(os.environ["FAKE_CALLS"], "a") as calls:
    calls.write(args[0] + "\n")
if args[0] == "install" and os.environ.get("FAKE_SERVER"):
    listed = json.loads(pathlib.Path(os.environ["FAKE_LIST"]).read_text())
    entry = lambda file, sha: {"download_info": {"url": os.environ["FAKE_SERVER"] + "/" + file,
                                                 "archive_info": {"hashes": {"sha256": sha}}}}
    report = {"install": [entry(file, sha) for file, sha in listed]}
    pathlib.Path(args[args.index("--report") + 1]).write_text(json.dumps(report))
elif args[0] == "download" and os.environ.get("FAKE_WHEELS"):
    wanted = pathlib.Path(args[args.index("-r") + 1]).read_text().split("==")[0].replace("-", "_")
    for file in pathlib.Path(os.environ["FAKE_WHEELS"]).glob(wanted + "-*.whl"):
        shutil.copy(file, args[args.index("--dest") + 1])
elif args[0] != "--version":
    sys.exit("ERROR: no network")
'''


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder. `cut_after`: bytes after which the next answers are cut, one number per answer; `ranges`: whether
    Range is supported; `answered`: the Range headers received, in order."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder, self.cut_after, self.ranges, self.answered, self.statuses = folder, [], True, [], []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def address(self):
        return "http://127.0.0.1:%d" % self.server_address[1]


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.answered.append(asked)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        data = (server.folder / self.path.lstrip("/")).read_bytes()
        start = int(asked[len("bytes="):-1]) if asked and server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = start + server.cut_after.pop(0) if server.cut_after else len(data)
        self.wfile.write(data[start:end])

    def log_message(self, *_):
        pass


class SetUp(unittest.TestCase):
    """A project folder with the real scripts and made-up wheels."""

    def setUp(self):
        self.base = Path(tempfile.mkdtemp(prefix="seesaw-setup-test-"))
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        self.project, self.remote = self.base / "project", self.base / "remote"
        (self.project / ".setup" / "locks").mkdir(parents=True)
        self.remote.mkdir()
        for name in ("setup.sh", "libtorch.py", "wheels.py", "lock.py", "problems.py"):
            shutil.copy(SETUP / name, self.project / ".setup" / name)
        shutil.copy(SETUP.parent / "Cargo.toml", self.project / "Cargo.toml")
        self.machine = libtorch.machine()
        self.make_wheels()
        self.server = Server(self.remote)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        fake = self.base / "pip.py"
        fake.write_text(FAKE_PIP)
        self.calls = self.base / "calls"
        self.calls.touch()
        self.env = {name: value for name, value in os.environ.items()
                    if name not in ("LIBTORCH", "LIBTORCH_USE_PYTORCH", "TORCH", "PIP_CERT")}
        self.env.update(
            SEESAW_PIP="%s %s" % (sys.executable, fake), SEESAW_DOWNLOADS=str(self.base / "downloads"),
            SEESAW_RETRY_PAUSE="0.01", FAKE_SERVER=self.server.address(), FAKE_LIST=str(self.base / "list.json"),
            FAKE_CALLS=str(self.calls), TORCH="cpu",
        )

    def make_wheels(self):
        torch_libraries = libtorch.TORCH_LIBRARIES[self.machine]
        nvidia = [] if self.machine.startswith("macos") else libtorch.CUDA_LIBRARIES_OF_THE_CPU_FLAVOUR
        big = os.urandom(300_000)
        torch = {"torch/lib/" + name: big for name in torch_libraries}
        torch.update({"torch/include/torch/torch.h": b"// torch", "torch/nothing.py": b"not wanted",
                      "torch/lib/libtorch_cuda.so": b"cuda", "torch/lib/libc10_cuda.so": b"cuda",
                      "torch/lib/libtorch.so": b"of the wheel"})
        self.write_wheel("torch-2.13.0-cp311-cp311-any.whl", torch)
        if nvidia:
            self.write_wheel("nvidia_runtime-1.0-py3-none-any.whl", {name: b"cuda runtime" for name in nvidia})
        self.write_lock()

    def write_wheel(self, name, files):
        with zipfile.ZipFile(self.remote / name, "w") as archive:
            for file, data in files.items():
                archive.writestr(file, data)

    def write_lock(self):
        import json
        lines, listed = ["# unpacked: 5000 bytes"], []
        for file in sorted(self.remote.glob("*.whl")):
            data = file.read_bytes()
            name, version = file.name.split("-")[:2]
            sha = hashlib.sha256(data).hexdigest()
            listed.append((file.name, sha))
            lines.append("%s==%s --hash=sha256:%s  # %s %d bytes"
                         % (name.replace("_", "-"), version, sha, file.name, len(data)))
        (self.base / "list.json").write_text(json.dumps(listed))
        for flavour in ("cpu", "cuda"):
            text = "\n".join(lines) + "\n"
            (self.project / ".setup" / "locks" / ("%s-%s.txt" % (self.machine, flavour))).write_text(text)

    def run_script(self, **env):
        return subprocess.run([sys.executable, "-B", str(self.project / ".setup" / "libtorch.py")],
                              env=dict(self.env, **env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True)

    def run_shell(self, *args, **env):
        return subprocess.run([str(self.project / ".setup" / "setup.sh"), *args], env=dict(self.env, **env),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)

    def assert_complete(self):
        root = self.project / ".libtorch"
        self.assertEqual((root / "build-version").read_text(), "2.13.0")
        self.assertEqual((root / "include" / "torch" / "torch.h").read_text(), "// torch")
        for library in libtorch.TORCH_LIBRARIES[self.machine]:
            self.assertTrue((root / "lib" / library).is_file(), library)
        self.assertEqual(list(self.project.glob(".libtorch-new*")), [])

    def torch_wheel(self):
        return next(self.remote.glob("torch-*.whl"))

    def assert_fails_with(self, done, message, hint):
        """A message and a hint, no traceback, exit code 1."""
        self.assertEqual(done.returncode, 1, done.stdout)
        lines = done.stdout.splitlines()
        self.assertEqual([line.split(":")[0] for line in lines[-2:]], ["error", "hint"], done.stdout)
        self.assertIn(message, lines[-2])
        self.assertIn(hint, lines[-1])
        self.assertNotIn("Traceback", done.stdout)


class Download(SetUp):
    # The CPU flavour holds only what linking needs; a second run does not call pip.
    def test_fresh_then_nothing_to_do(self):
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assert_complete()
        lib = self.project / ".libtorch" / "lib"
        self.assertFalse((lib / "libtorch_cuda.so").exists())
        self.assertFalse((self.project / ".libtorch" / "nothing.py").exists())
        if self.machine.startswith("linux"):
            self.assertEqual(os.readlink(lib / "libtorch.so"), "libtorch_cpu.so")
            self.assertTrue((lib / "libcudart.so.13").is_file())
        self.calls.write_text("")
        self.assertEqual(self.run_script().stdout, "")
        self.assertEqual(self.calls.read_text(), "")

    # A download that is cut twice continues where it was cut.
    def test_goes_on_after_a_cut(self):
        self.server.cut_after = [10**9, 100_000, 50_000] if self.machine.startswith("linux") else [100_000, 50_000]
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assert_complete()
        self.assertEqual([asked for asked in self.server.answered if asked], ["bytes=100000-", "bytes=150000-"])
        self.assertNotIn("download", self.calls.read_text())

    # A partial file of an earlier run is used, and a server that ignores Range does no harm.
    def test_server_without_ranges(self):
        wheel = self.torch_wheel()
        sha = hashlib.sha256(wheel.read_bytes()).hexdigest()
        part = self.base / "downloads" / "wheels" / sha / (wheel.name + ".part")
        part.parent.mkdir(parents=True)
        part.write_bytes(wheel.read_bytes()[:1234])
        self.server.ranges = False
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("bytes=1234-", self.server.answered)
        self.assert_complete()

    # Server errors are retried; an address that is refused is left to pip.
    def test_server_errors(self):
        self.server.statuses = [503, 502]
        self.assertEqual(self.run_script().returncode, 0)
        self.assertNotIn("download", self.calls.read_text())
        shutil.rmtree(self.base / "downloads")
        shutil.rmtree(self.project / ".libtorch-cpu")
        self.server.statuses = [403] * 10
        done = self.run_script(FAKE_WHEELS=str(self.remote))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("download", self.calls.read_text())
        self.assert_complete()

    # A wrong hash: the message has both hashes and the file; nothing is unpacked, and the next run starts clean.
    def test_wrong_hash(self):
        wheel, good = self.torch_wheel(), self.torch_wheel().read_bytes()
        wheel.write_bytes(good[:1000] + b"?" + good[1001:])
        done = self.run_script()
        expected, found = hashlib.sha256(good).hexdigest(), hashlib.sha256(wheel.read_bytes()).hexdigest()
        self.assert_fails_with(done, "expected %s, found %s" % (expected, found), "try again")
        self.assertFalse((self.project / ".libtorch").exists())
        self.assertEqual(len(list((self.base / "downloads" / "wheels" / "quarantine").iterdir())), 1)
        wheel.write_bytes(good)
        self.assertEqual(self.run_script().returncode, 0)
        self.assert_complete()

    # A file of the cache that was damaged later is detected, set aside and downloaded again.
    def test_damaged_cache(self):
        self.assertEqual(self.run_script().returncode, 0)
        cached = next((self.base / "downloads").rglob("torch-*.whl"))
        data = bytearray(cached.read_bytes())
        data[2000] ^= 1
        cached.write_bytes(bytes(data))
        shutil.rmtree(self.project / ".libtorch-cpu")
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("was damaged", done.stdout)
        self.assert_complete()

    def test_no_network(self):
        done = self.run_script(FAKE_SERVER="")
        self.assert_fails_with(done, "no network", "downloads are kept")
        self.assertFalse((self.project / ".libtorch").exists())

    def test_no_pip(self):
        self.assert_fails_with(self.run_script(SEESAW_PIP="/nowhere/pip"), "SEESAW_PIP is `/nowhere/pip`", "unset it")

    # Killed at any moment: `.libtorch` is either complete or absent, and the next run makes it.
    def test_killed_at_any_moment(self):
        command = [sys.executable, "-B", str(self.project / ".setup" / "libtorch.py")]
        began = time.monotonic()
        self.assertEqual(self.run_script().returncode, 0)
        whole = time.monotonic() - began
        for moment in range(12):
            if moment % 2:
                shutil.rmtree(self.base / "downloads", ignore_errors=True)
            shutil.rmtree(self.project / ".libtorch-cpu", ignore_errors=True)
            child = subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     start_new_session=True)
            time.sleep(whole * (moment + 0.5) / 12)
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            if (self.project / ".libtorch" / "build-version").exists():
                root = self.project / ".libtorch" / "lib"
                self.assertTrue(all((root / name).stat().st_size == 300_000 or (root / name).is_symlink()
                                    for name in libtorch.TORCH_LIBRARIES[self.machine]))
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assert_complete()


class Flavours(SetUp):
    # CUDA takes the whole package; `.libtorch` switches to the requested flavour, and stays there if none is requested.
    @unittest.skipUnless(sys.platform == "linux", "only Linux has a CUDA flavour")
    def test_switching(self):
        self.assertEqual(self.run_script().returncode, 0)
        done = self.run_script(TORCH="cuda")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("another flavour", done.stdout)
        root = self.project / ".libtorch"
        self.assertEqual((root / "lib" / "libtorch.so").read_bytes(), b"of the wheel")
        self.assertTrue((root / ".." / "nvidia" / "cu13" / "lib" / "libcudart.so.13").is_file())
        self.assert_complete()
        self.assertEqual(self.run_script(TORCH="").stdout, "")
        self.assertIn("cuda", os.readlink(root))

    # Without TORCH, nvidia-smi decides.
    @unittest.skipUnless(sys.platform == "linux", "only Linux has a CUDA flavour")
    def test_nvidia_smi(self):
        tools = self.base / "tools"
        tools.mkdir()
        (tools / "nvidia-smi").write_text("#!/bin/sh\nexit 0\n")
        (tools / "nvidia-smi").chmod(0o755)
        done = self.run_script(TORCH="", PATH="%s:%s" % (tools, self.env["PATH"]))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("cuda", os.readlink(self.project / ".libtorch"))

    def test_unknown_flavour(self):
        self.assert_fails_with(self.run_script(TORCH="rocm"), "TORCH should be cpu or cuda, found `rocm`", "TORCH=cpu")

    # The user's own libtorch: nothing is downloaded.
    def test_own_libtorch_wins(self):
        own = self.base / "own" / "lib"
        own.mkdir(parents=True)
        for env in ({"LIBTORCH": str(own.parent)}, {"LIBTORCH_USE_PYTORCH": "1"}):
            done = self.run_shell(**env)
            self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertFalse((self.project / ".libtorch").exists())
        self.assertEqual(self.calls.read_text(), "")
        self.assert_fails_with(self.run_shell(LIBTORCH="/nowhere"), "LIBTORCH is /nowhere", "unset it")
        self.assert_fails_with(self.run_shell(LIBTORCH="own"), "should be an absolute path", "set LIBTORCH")


class Prerequisites(SetUp):
    """What is missing is reported with a remedy, before anything is downloaded."""

    def path_with(self, **scripts):
        """A PATH with the usual tools of the shell. python3, cargo and c++ are there only if given, as scripts."""
        tools = self.base / "tools"
        tools.mkdir()
        for name in ("sh", "env", "dirname", "sed", "sort", "head", "tail", "mktemp", "rm", "cmp", "uname", "readlink"):
            os.symlink(shutil.which(name), tools / name)
        for name, text in scripts.items():
            (tools / name).write_text("#!/bin/sh\n" + text + "\n")
            (tools / name).chmod(0o755)
        return str(tools)

    CARGO = "echo 'cargo 9.99.0 (0000000 2099-01-01)'"
    # "Compiles" to a program that does nothing, under the name after `-o`.
    COMPILER = 'while [ "$1" != -o ]; do shift; done; printf "#!/bin/sh\\n" > "$2"; /bin/chmod +x "$2"'

    def missing(self, message, hint, **scripts):
        scripts = {("c++" if name == "compiler" else name): text for name, text in scripts.items()}
        done = self.run_shell(PATH=self.path_with(**scripts), CXX="")
        self.assert_fails_with(done, message, hint)
        self.assertEqual(self.calls.read_text(), "")

    def test_no_cargo(self):
        self.missing("cargo is missing", "rustup")

    def test_rust_too_old(self):
        self.missing("cargo is 1.70.0", "rustup update", cargo="echo 'cargo 1.70.0 (0 2023-01-01)'")

    def test_no_compiler(self):
        self.missing("a C++ compiler is missing", "g++", cargo=self.CARGO)

    def test_compiler_that_fails(self):
        self.missing("no such header", "g++", cargo=self.CARGO, compiler="echo 'no such header'; exit 1")

    def test_no_python(self):
        self.missing("python3 is missing", "LIBTORCH", cargo=self.CARGO, compiler=self.COMPILER)

    def test_python_too_old(self):
        old = 'case "$1" in --version) echo Python 3.5.1 ;; *) exit 1 ;; esac'
        self.missing("found 3.5.1", "newer", cargo=self.CARGO, compiler=self.COMPILER, python3=old)

    def test_disk_space(self):
        lock = locks.Lock(self.project / ".setup" / "locks" / (self.machine + "-cpu.txt"))
        with self.assertRaises(problems.Problem) as raised:
            libtorch.check_room(self.project, self.base / "downloads", lock, free=lambda _: 2_000_000_000)
        self.assertRegex(raised.exception.message, r"need 3\.0 GB in .*, 2\.0 GB are free")
        libtorch.check_room(self.project, self.base / "downloads", lock, free=lambda _: 10**11)

    # The complete set-up, then the fast path: quick and silent.
    def test_fast_when_ready(self):
        self.assertEqual(self.run_shell().returncode, 0)
        self.assert_complete()
        began = time.monotonic()
        done = self.run_shell("built", SEESAW_PIP="/nowhere/pip")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertLess(time.monotonic() - began, 1)
        lock = self.project / ".setup" / "locks" / (self.machine + "-cpu.txt")
        lock.write_text(lock.read_text() + "# changed\n")
        self.calls.write_text("")
        self.assertEqual(self.run_shell("built").returncode, 0)
        self.assertEqual((self.project / ".libtorch-cpu" / "lock.txt").read_text(), lock.read_text())


class Locks(unittest.TestCase):
    # Every committed lock is valid, pins one version of torch, and names wheels for its own platform.
    def test_committed_locks(self):
        files = sorted((SETUP / "locks").glob("*.txt"))
        self.assertEqual(len(files), 5)
        tag = {"linux-x86_64": "_x86_64", "linux-aarch64": "_aarch64", "macos-arm64": "_arm64"}
        for file in files:
            lock = locks.Lock(file)
            self.assertEqual(lock.version, "2.13.0")
            for wheel in lock.wheels:
                self.assertTrue(all(platform.endswith(tag[file.stem.rsplit("-", 1)[0]])
                                    for platform in wheel.platforms()), wheel.file)

    def test_invalid_line_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lock.txt"
            path.write_text("# unpacked: 1 bytes\ntorch==2.13.0\n")
            with self.assertRaisesRegex(ValueError, "line 2"):
                locks.Lock(path)


if __name__ == "__main__":
    unittest.main()
