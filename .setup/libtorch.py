#!/usr/bin/env python3
"""Gets libtorch: `.libtorch` becomes a link to `.libtorch-cpu` or to a folder in `.libtorch-cuda`.

The flavour is TORCH=cpu or TORCH=cuda if set, else the present one, else CUDA if `nvidia-smi` works, else CPU. The files come
from the wheels of the Python package `torch`, pinned in `locks/`; nothing is installed into any Python. Files are unpacked into a
temporary folder, which gets its final name when it is complete and on disk.
"""

import fcntl
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import wheels
from lock import Lock
from problems import Problem, report, run_quietly, say

# Disk space for the build itself.
BUILD_BYTES = 3_000_000_000

# The libraries that linking needs from the package `torch`. On Linux, `libtorch_cpu.so` also lists two small CUDA libraries
# as needed, although it does not call them without a GPU.
TORCH_LIBRARIES = {
    "linux-x86_64": ["libc10.so", "libtorch_cpu.so", "libgomp.so.1"],
    "linux-aarch64": [
        "libc10.so", "libtorch_cpu.so", "libgomp.so.1", "libarm_compute.so", "libarm_compute_graph.so",
        "libgfortran.so.5", "libnvpl_blas_core.so.0", "libnvpl_blas_lp64_gomp.so.0", "libnvpl_lapack_core.so.0",
        "libnvpl_lapack_lp64_gomp.so.0",
    ],
    "macos-arm64": ["libc10.dylib", "libtorch.dylib", "libtorch_cpu.dylib", "libomp.dylib"],
}
CUDA_LIBRARIES_OF_THE_CPU_FLAVOUR = ["nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libcupti.so.13"]
NOT_FOR_LINKING = ["torch/lib/libtorch_python.so", "torch/lib/libshm.so"]


def machine():
    """The name of this platform in `locks/`: linux-x86_64, linux-aarch64 or macos-arm64.

    Raises Problem for any other one.
    """
    system = {"Linux": "linux", "Darwin": "macos"}.get(platform.system(), platform.system().lower())
    processor = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if system == "linux" and processor == "arm64":
        processor = "aarch64"
    name = "%s-%s" % (system, processor)
    if name not in TORCH_LIBRARIES:
        raise Problem("there is no libtorch for %s, only for %s" % (name, ", ".join(sorted(TORCH_LIBRARIES))),
                      "install libtorch 2.13.0 by hand, and set LIBTORCH to its folder")
    return name


def choose_flavour(project):
    """`cpu` or `cuda`, as described at the head of the module."""
    asked = os.environ.get("TORCH", "").strip().lower()
    if asked not in ("", "cpu", "cuda"):
        raise Problem("TORCH should be cpu or cuda, found `%s`" % asked, "set TORCH=cpu or TORCH=cuda, or unset it")
    link = project / ".libtorch"
    if asked:
        return asked
    if link.is_symlink():
        return "cuda" if ".libtorch-cuda" in os.readlink(link) else "cpu"
    return "cuda" if run_quietly(["nvidia-smi", "-L"], timeout=20)[0] == 0 else "cpu"


def members(name, flavour, wheel):
    """Chooses what is unpacked: returns a function from a name in the wheel to a name in the folder of the flavour, or to
    None if the file is not needed."""
    libraries = ["torch/lib/" + library for library in TORCH_LIBRARIES[name]]

    def of_cpu(file):
        if file.startswith("torch/include/") or file in libraries:
            return file[len("torch/"):]
        return "lib/" + file.rsplit("/", 1)[1] if file in CUDA_LIBRARIES_OF_THE_CPU_FLAVOUR else None

    def of_cuda(file):
        library = "/lib/" in file and (".so" in file.rsplit("/", 1)[1])
        if wheel.name == "torch":
            wanted = file.startswith("torch/include/") or (file.startswith("torch/lib/") and library)
            return file if wanted and file not in NOT_FOR_LINKING else None
        return file if file.startswith("nvidia/") and library else None

    return of_cpu if flavour == "cpu" else of_cuda


def unpack(name, flavour, lock, paths, folder):
    """Unpacks what is needed from all wheels into `folder`. Raises Problem if a library is missing."""
    for wheel in lock.wheels:
        pick = members(name, flavour, wheel)
        with zipfile.ZipFile(paths[wheel.name]) as archive:
            for entry in archive.infolist():
                target = None if entry.is_dir() else pick(entry.filename)
                if target is None:
                    continue
                path = folder / target
                # The wheel is pinned, but refuse names that lead out of the folder all the same.
                if ".." in path.parts or path.is_absolute() and folder not in path.parents:
                    raise Problem("%s contains a file with the name %s" % (wheel.file, entry.filename), "do not use this wheel")
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, open(path, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    root = folder if flavour == "cpu" else folder / "torch"
    if flavour == "cpu" and name.startswith("linux-"):
        # The wheel's own libtorch.so needs libtorch_cuda.so, which needs gigabytes of other packages.
        os.symlink("libtorch_cpu.so", root / "lib" / "libtorch.so")
    expected = list(TORCH_LIBRARIES[name])
    if flavour == "cuda":
        expected += ["libtorch.so", "libtorch_cuda.so", "libc10_cuda.so"]
    elif name.startswith("linux-"):
        expected += [library.rsplit("/", 1)[1] for library in CUDA_LIBRARIES_OF_THE_CPU_FLAVOUR]
    absent = [library for library in expected if not (root / "lib" / library).is_file()]
    if absent or not (root / "include" / "torch").is_dir():
        raise Problem("the wheels of %s do not contain %s" % (lock.path.name, ", ".join(absent) or "include/torch"),
                      "restore the lock file from the repository")
    return root


def check_room(project, cache, lock, free=lambda folder: shutil.disk_usage(str(folder)).free):
    """Raises Problem unless there is space for the downloads, the unpacked files and the build."""
    download = sum(wheel.size for wheel in wheels.missing_from(cache, lock.wheels))
    near = cache
    while not near.exists():
        near = near.parent
    here = lock.unpacked + BUILD_BYTES
    needs = [(project, here), (near, download)]
    if os.stat(project).st_dev == os.stat(near).st_dev:
        needs = [(project, here + download)]
    for folder, bytes_needed in needs:
        if free(folder) < bytes_needed:
            raise Problem("not enough disk space: libtorch and the build need %.1f GB in %s, %.1f GB are free"
                          % (bytes_needed / 1e9, folder, free(folder) / 1e9),
                          "free some space, or set SEESAW_DOWNLOADS (downloads) and CARGO_TARGET_DIR (build) to other folders")


def folder_of(project, flavour):
    return project / (".libtorch-" + flavour)


def is_ready(project, flavour, lock):
    """Whether the folder of the flavour is complete and was made from this lock."""
    made_from = folder_of(project, flavour) / "lock.txt"
    return made_from.is_file() and made_from.read_text(encoding="utf-8") == lock.text


def install(project, name, flavour, lock, cache):
    """Makes the folder of the flavour from the wheels of the lock."""
    check_room(project, cache, lock)
    say("getting libtorch %s (%s, %s) into %s" % (lock.version, flavour, name, folder_of(project, flavour)))
    paths = wheels.obtain(lock, cache)
    for left in project.glob(".libtorch-new-*"):
        shutil.rmtree(left)
    fresh = Path(tempfile.mkdtemp(prefix=".libtorch-new-", dir=str(project)))
    try:
        os.chmod(fresh, 0o755)
        root = unpack(name, flavour, lock, paths, fresh)
        (root / "build-version").write_text(lock.version, encoding="utf-8")
        (fresh / "lock.txt").write_text(lock.text, encoding="utf-8")
        # Thousands of small headers: one call for all of them, before the rename makes them count.
        os.sync()
        final = folder_of(project, flavour)
        if final.exists():
            shutil.rmtree(final)
        os.rename(fresh, final)
    except OSError as error:
        raise Problem("cannot unpack libtorch: %s" % error, "check disk space and permissions, then try again") \
            from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def point_to(project, flavour):
    """Makes `.libtorch` a link to this flavour. Returns whether it was a link to another one."""
    link, target = project / ".libtorch", ".libtorch-cpu" if flavour == "cpu" else ".libtorch-cuda/torch"
    before = os.readlink(link) if link.is_symlink() else None
    if before == target:
        return False
    if before is None and link.exists():
        raise Problem("%s exists, but was not made by this set-up" % link, "move it away, then try again")
    fresh = project / (".libtorch-new-link-%d" % os.getpid())
    if fresh.is_symlink():
        fresh.unlink()
    os.symlink(target, fresh)
    os.replace(fresh, link)
    return before is not None


def forget_build_for_other_flavour(project):
    """cargo does not notice another libtorch under the same name, so what was linked with it is removed."""
    say("switched to another flavour of libtorch: torch-sys will be rebuilt")
    code, output = run_quietly(["cargo", "clean", "--manifest-path", str(project / "Cargo.toml"), "-p", "torch-sys"])
    if code != 0:
        say("warning: `cargo clean -p torch-sys` failed (%s); run it by hand" % output.strip())


def set_up(project):
    """Leaves `.libtorch` complete, or raises Problem."""
    name, flavour = machine(), choose_flavour(project)
    path = Path(__file__).resolve().parent / "locks" / ("%s-%s.txt" % (name, flavour))
    if not path.is_file():
        raise Problem("there is no CUDA flavour of libtorch for %s" % name, "set TORCH=cpu, or unset TORCH")
    lock = Lock(path)
    with open(project / ".libtorch-lock", "w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another set-up in this folder")
            fcntl.flock(guard, fcntl.LOCK_EX)
        began, made = time.monotonic(), False
        if not is_ready(project, flavour, lock):
            install(project, name, flavour, lock, wheels.cache_folder())
            made = True
        if point_to(project, flavour):
            forget_build_for_other_flavour(project)
        if made:
            say("libtorch is ready (%.0f s)" % (time.monotonic() - began))


def main():
    def stop(number, frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
    try:
        set_up(Path(__file__).resolve().parent.parent)
    except Problem as problem:
        report(problem)
        return 1
    except KeyboardInterrupt:
        say("interrupted: downloads are kept, and the next run continues there")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
