"""Fills tests/fuzz/corpus/ from the fixtures of the tests."""

import gzip, io, json, pathlib, tarfile, zipfile

here = pathlib.Path(__file__).resolve().parent
fixtures = here.parent / "fixtures"


def seed(target, name, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def tar(members, form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(members, method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


for folder in ("pictures", "preprocess"):
    for path in sorted((fixtures / folder).iterdir()):
        if path.suffix in (".png", ".jpg", ".gif", ".webp", ".bmp"):
            seed("picture", path.name, path.read_bytes())

for path in sorted((fixtures / "encoders" / "legacy_pth").rglob("*.pth")):
    seed("legacy_pickle", path.name, path.read_bytes())
    seed("checkpoint", path.name, path.read_bytes())
for path in sorted((fixtures / "encoders" / "pth_zip").glob("*.pth")):
    seed("torch_zip", path.name, path.read_bytes())
    seed("checkpoint", "zip-" + path.name, path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("/data.pkl"):
                seed("torch_zip", path.stem + ".pkl", archive.read(name))
for path in sorted((fixtures / "encoders").rglob("*.safetensors")):
    if path.stat().st_size < 1 << 16:
        seed("checkpoint", path.parent.name + "-" + path.name, path.read_bytes())

for path in sorted((here.parent / "data-manifests").glob("*.json")):
    seed("manifest", path.name, path.read_bytes())
    manifest = json.loads(path.read_text())
    if isinstance(manifest, dict) and "name" in manifest:
        manifest["name"] = "emoji"
        seed("manifest", "named-" + path.name, json.dumps(manifest).encode())

picture = (fixtures / "pictures" / "bilevel.png").read_bytes()
inner = tar([("img/01.png", picture), ("img/" + "long/" * 40 + "02.png", b"")], tarfile.GNU_FORMAT)
members = [("data/train.jsonl", b"{}"), ("data/img/01.png", picture), ("data/caf\u00e9", b""), ("data/img.tar.gz", gzip.compress(inner, mtime=0))]
for name, form in (("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
    seed("tar", name + ".tar", tar(members, form))
    seed("tar", name + ".tar.gz", gzip.compress(tar(members, form), mtime=0))
for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
    seed("zip", name + ".zip", zipped(members, method))

print(*(f"{folder.name}: {len(list(folder.iterdir()))}" for folder in sorted((here / "corpus").iterdir())), sep="\n")
