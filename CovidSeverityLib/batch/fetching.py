from pathlib import Path


def fetched(source, folder):
    return Path(source)
