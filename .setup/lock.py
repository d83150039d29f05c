"""Lock files: the wheels that contain libtorch for one platform and flavour, pinned by SHA-256.

A lock is a requirements file, so that pip's own `--require-hashes` checks it too. Each line is

    NAME==VERSION --hash=sha256:HEX  # FILE SIZE bytes

and a comment line `# unpacked: N bytes` states the size of the unpacked files.
"""

import re
from pathlib import Path

# The Python version of the wheels. libtorch itself does not depend on it, so every machine takes the same wheel.
PYTHON_VERSION, PYTHON_ABI = "3.11", "cp311"

_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s]+) --hash=sha256:(?P<sha256>[0-9a-f]{64})"
    r"  # (?P<file>[^\s/]+\.whl) (?P<size>[0-9]+) bytes"
)


class Wheel:
    """One pinned wheel."""

    def __init__(self, name, version, sha256, file, size):
        self.name, self.version, self.sha256, self.file, self.size = name, version, sha256, file, size

    def platforms(self):
        """The platform tags of the file's name, for `pip --platform`."""
        return self.file[: -len(".whl")].rsplit("-", 1)[1].split(".")

    def requirement(self):
        return "%s==%s" % (self.name, self.version)


class Lock:
    """All wheels of one platform and flavour."""

    def __init__(self, path):
        self.path = Path(path)
        self.text = self.path.read_text(encoding="utf-8")
        self.wheels, self.unpacked = [], None
        for number, line in enumerate(self.text.splitlines(), 1):
            if line.startswith("# unpacked: "):
                self.unpacked = int(line.split()[2])
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            if match is None:
                raise ValueError("%s, line %d: expected `NAME==VERSION --hash=sha256:HEX  # FILE SIZE bytes`, found %s"
                                 % (self.path, number, line))
            fields = match.groupdict()
            self.wheels.append(Wheel(**dict(fields, size=int(fields["size"]))))
        if not self.wheels or self.unpacked is None:
            raise ValueError("%s: expected at least one wheel and a line `# unpacked: N bytes`" % self.path)
        torch = [wheel for wheel in self.wheels if wheel.name == "torch"]
        if len(torch) != 1:
            raise ValueError("%s: `torch` should occur once, found it %d times" % (self.path, len(torch)))
        self.version = torch[0].version
