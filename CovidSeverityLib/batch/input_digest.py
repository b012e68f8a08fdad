import hashlib

from CovidSeverityLib.checksums import sha256_of


def input_digest(path):
    if path.is_file():
        return sha256_of(path)
    d = hashlib.sha256()
    for f in sorted(p for p in path.rglob("*") if p.is_file()):
        d.update(sha256_of(f).encode())
    return d.hexdigest()
