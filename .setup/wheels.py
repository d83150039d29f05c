"""Downloads pinned wheels into a cache outside the clone, so that a second clone downloads nothing.

pip resolves the address of a wheel, and the file is then streamed, continuing after interruptions. If pip gives no usable
address, or streaming fails for good, pip downloads the file itself. Either way, a wheel is used only if its SHA-256 is the
pinned one.
"""

import fcntl
import hashlib
import http.client
import json
import os
import random
import shlex
import shutil
import ssl
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from lock import PYTHON_ABI, PYTHON_VERSION
from problems import Problem, last_lines, run_quietly, say

CHUNK = 1 << 20
TRIES = 6
STALL_SECONDS = 60
# Without a terminal, smaller wheels get one line, when they are complete.
SMALL = 50_000_000
# A first pause of a second, doubled with each try, gives a server about a minute to recover.
FIRST_PAUSE_SECONDS = float(os.environ.get("SEESAW_RETRY_PAUSE", "1"))


def cache_folder():
    """Where wheels are kept: $SEESAW_DOWNLOADS, or `seesaw/wheels` in the user's cache folder."""
    if os.environ.get("SEESAW_DOWNLOADS"):
        return Path(os.environ["SEESAW_DOWNLOADS"]).expanduser() / "wheels"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "seesaw" / "wheels"


def find_pip():
    """The command that runs pip: $SEESAW_PIP, this Python's pip, or the first one on the PATH."""
    named = shlex.split(os.environ.get("SEESAW_PIP", ""))
    candidates = [named] if named else [[sys.executable, "-m", "pip"], ["pip3"], ["pip"]]
    for words in candidates:
        if run_quietly(words + ["--version"])[0] == 0:
            return words
    if named:
        raise Problem("SEESAW_PIP is `%s`, but `%s --version` fails" % ((" ".join(named),) * 2),
                      "correct SEESAW_PIP, or unset it")
    raise Problem("pip is missing: `python3 -m pip --version` fails",
                  "install it (Debian and Ubuntu: `apt-get install python3-pip`; elsewhere: `python3 -m ensurepip`), "
                  "or set SEESAW_PIP to another pip")


def path_in(cache, wheel):
    return cache / wheel.sha256 / wheel.file


def missing_from(cache, wheels):
    """The wheels that are not in the cache. This compares sizes only; `obtain` compares hashes."""
    def there(wheel):
        path = path_in(cache, wheel)
        return path.is_file() and path.stat().st_size == wheel.size
    return [wheel for wheel in wheels if not there(wheel)]


def obtain(lock, cache):
    """Returns the verified path of each wheel of the lock, by name. Downloads what is missing.

    Raises Problem if a wheel cannot be downloaded or has a wrong hash.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        guard = open(cache / "lock", "w")
    except OSError as error:
        raise Problem("cannot write to the download folder: %s" % error,
                      "set SEESAW_DOWNLOADS to another folder") from error
    with guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another set-up that uses %s" % cache)
            fcntl.flock(guard, fcntl.LOCK_EX)
        _discard_damaged(cache, lock.wheels)
        wanted = missing_from(cache, lock.wheels)
        if wanted:
            _download(wanted, cache)
        return {wheel.name: path_in(cache, wheel) for wheel in lock.wheels}


def _discard_damaged(cache, wheels):
    """Sets aside files of the cache whose content is not what the name of their folder says."""
    for wheel in wheels:
        path = path_in(cache, wheel)
        if path.is_file() and sha256(path) != wheel.sha256:
            aside = _set_aside(cache, path)
            say("warning: %s was damaged: moved it to %s, downloading it again" % (wheel.file, aside))


def _download(wheels, cache):
    pip = find_pip()
    addresses = _addresses(pip, wheels)
    for wheel in wheels:
        target = path_in(cache, wheel)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(wheel.file + ".part")
        address = addresses.get(wheel.sha256)
        if not (address and _stream(address, part, wheel)):
            _let_pip_download(pip, wheel, part)
        found = sha256(part)
        if found != wheel.sha256:
            aside = _set_aside(cache, part)
            raise Problem("wrong SHA-256 of %s: expected %s, found %s; the file was moved to %s"
                          % (wheel.file, wheel.sha256, found, aside),
                          "try again; if that does not help, your package index serves another file under this name")
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, target)


def _pip_options(wheels):
    options = ["--no-deps", "--only-binary=:all:", "--python-version", PYTHON_VERSION, "--implementation", "cp",
               "--abi", PYTHON_ABI, "--abi", "none"]
    for platform in sorted({platform for wheel in wheels for platform in wheel.platforms()}):
        options += ["--platform", platform]
    return options


def _addresses(pip, wheels):
    """The address of each wheel by SHA-256, from pip; empty if pip fails or is older than 22.2."""
    with tempfile.TemporaryDirectory(prefix="seesaw-pip-") as folder:
        report = Path(folder) / "report.json"
        command = pip + ["install", "--quiet", "--dry-run", "--ignore-installed", "--target", folder,
                         "--report", str(report)]
        command += _pip_options(wheels) + [wheel.requirement() for wheel in wheels]
        if run_quietly(command)[0] != 0:
            return {}
        try:
            entries = json.loads(report.read_text(encoding="utf-8"))["install"]
            infos = [entry["download_info"] for entry in entries]
            return {info["archive_info"]["hashes"]["sha256"]: info["url"] for info in infos}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _stream(address, part, wheel):
    """Downloads into `part`, continuing where an earlier try ended. Returns False if pip should try instead."""
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        return False
    meter = _Meter(wheel)
    why = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
            meter.note("retrying after: %s" % why)
        try:
            _stream_once(address, part, wheel, meter)
            meter.end()
            return True
        except urllib.error.HTTPError as error:
            why = "HTTP status %d" % error.code
            if error.code < 500 and error.code not in (408, 416, 429):
                break
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
                break
    meter.note("%s: %s; pip downloads the whole file instead" % (wheel.file, why))
    return False


def _stream_once(address, part, wheel, meter):
    have = part.stat().st_size if part.exists() else 0
    if have > wheel.size:
        part.unlink()
        have = 0
    if have == wheel.size:
        return
    request = urllib.request.Request(address, headers={"User-Agent": "seesaw-setup", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", "bytes=%d-" % have)
    try:
        answer = urllib.request.urlopen(request, timeout=STALL_SECONDS, context=_tls())
    except urllib.error.HTTPError as error:
        if error.code == 416:
            part.unlink()
        raise
    with answer:
        starts_here = (answer.headers.get("Content-Range") or "").startswith("bytes %d-" % have)
        goes_on = have and answer.status == 206 and starts_here
        if not goes_on:
            have = 0
            if answer.status != 200:
                part.unlink()
                raise OSError("the server sent another part than requested")
        with open(part, "ab" if goes_on else "wb") as file:
            meter.at(have)
            while True:
                block = answer.read(CHUNK)
                if not block:
                    break
                file.write(block)
                have += len(block)
                meter.at(have)
                if have > wheel.size:
                    break
    if have != wheel.size:
        raise OSError("the server sent %d of %d bytes" % (have, wheel.size))


def _tls():
    """Trusts the certificates that pip is configured to trust."""
    named = os.environ.get("PIP_CERT") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    return ssl.create_default_context(cafile=named if named and os.path.isfile(named) else None)


def _let_pip_download(pip, wheel, part):
    """Lets pip download one wheel. pip checks the hash too."""
    with tempfile.TemporaryDirectory(prefix="pip-", dir=str(part.parent)) as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("%s --hash=sha256:%s\n" % (wheel.requirement(), wheel.sha256), encoding="utf-8")
        command = pip + ["download", "--quiet", "--require-hashes", "--dest", folder]
        command += _pip_options([wheel]) + ["-r", str(requirements)]
        say("%s: downloading with pip (%.0f MB)" % (wheel.file, wheel.size / 1e6))
        code, output = run_quietly(command)
        file = Path(folder) / wheel.file
        if code == 0 and file.is_file():
            shutil.move(str(file), str(part))
            return
    raise Problem("cannot download %s: `%s download %s` failed: %s"
                  % (wheel.file, " ".join(pip), wheel.requirement(), last_lines(output) or "it downloaded another file"),
                  "check the network and the package index of this pip, then try again: downloads are kept")


def _set_aside(cache, path):
    aside = cache / "quarantine"
    aside.mkdir(exist_ok=True)
    target = aside / ("%s.%d" % (path.name, time.time_ns()))
    os.replace(path, target)
    return target


def sha256(path):
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(CHUNK), b""):
            digest.update(block)
    return digest.hexdigest()


class _Meter:
    """Shows the progress of a download: one updated line on a terminal, else a line per quarter."""

    def __init__(self, wheel):
        self.wheel, self.live = wheel, sys.stderr.isatty()
        self.began, self.start, self.shown_at, self.quarter = time.monotonic(), None, 0.0, 0

    def at(self, have):
        now = time.monotonic()
        if self.start is None:
            self.start, self.began = have, now
            if have:
                self.note("%s: continuing at %.0f of %.0f MB" % (self.wheel.file, have / 1e6, self.wheel.size / 1e6))
        quarter = 4 * have // self.wheel.size
        if self.live and now - self.shown_at > 0.2:
            self.shown_at = now
            sys.stderr.write("\r\033[K" + self._line(have, now))
            sys.stderr.flush()
        elif not self.live and quarter > self.quarter and (quarter == 4 or self.wheel.size > SMALL):
            say(self._line(have, now))
        self.quarter = max(quarter, self.quarter)

    def _line(self, have, now):
        rate = max(have - self.start, 1) / max(now - self.began, 1e-3)
        left = (self.wheel.size - have) / rate
        return "%s: %3d %% of %.0f MB, %.1f MB/s, %.0f s left" % (
            self.wheel.file, 100 * have // self.wheel.size, self.wheel.size / 1e6, rate / 1e6, max(left, 0))

    def note(self, text):
        self.end()
        say(text)

    def end(self):
        if self.live:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
