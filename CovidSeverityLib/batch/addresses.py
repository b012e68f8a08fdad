"""Addresses of files elsewhere, as fsspec has them: ``s3://bucket/key``, ``zip://inner::/path/outer.zip``.

Credentials belong into the environment or the configuration of fsspec, but may stand in an address. No message shows
them.
"""

from __future__ import annotations

import re

CHAIN, PROTOCOL = "::", "://"

ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*://|::")
"""What makes a text an address: a protocol at its beginning, or a chain. A drive of Windows (``C:\\``) is none."""

USER = re.compile(r"(?<=://)[^/]*@")
QUERY = re.compile(r"[?#].*$")
QUERY_PROTOCOLS = ("http", "https", "s3", "s3a", "abfs", "abfss", "az")
"""Protocols with keys in a query (signed links, tokens): there, it is not a part of a file's name."""


def is_address(source: str) -> bool:
    """Whether a text is an fsspec address and not a path.

    Examples
    --------
    >>> is_address("s3://bucket/cts"), is_address("zip://a::/data/b.zip")
    (True, True)
    >>> is_address("C:\\\\data"), is_address("/data/P001")
    (False, False)
    """
    return ADDRESS.search(source) is not None


def shown_address(source: str) -> str:
    """A path or an address for messages: without user, password and query.

    Examples
    --------
    >>> shown_address("sftp://jane:secret@host:22/cts/P001"), shown_address("https://host/P001.nii?token=secret")
    ('sftp://host:22/cts/P001', 'https://host/P001.nii')
    """
    return CHAIN.join(_shown(link) for link in source.split(CHAIN)) if is_address(source) else source


def without_secrets(text: str, address: str) -> str:
    """The text of an error without what ``address`` says about user, password and query, and without other links' own.

    Examples
    --------
    >>> without_secrets("530 secret is wrong", "ftp://jane:secret@host/cts")
    '530 ... is wrong'
    """
    for secret in sorted(_secrets(address), key=len, reverse=True):
        text = text.replace(secret, "...")
    return re.sub(r"(://\S*?)\?\S*", r"\1", re.sub(r"(?<=://)[^/\s]*@", "", text))


def protocol_of(address: str) -> str:
    """The protocol of an address, of a chain the first one, in lower case.

    Examples
    --------
    >>> protocol_of("S3://bucket/cts"), protocol_of("zip::/data/b.zip")
    ('s3', 'zip')
    """
    return address.split(CHAIN)[0].split(PROTOCOL)[0].lower()


def protocols_of(address: str) -> set[str]:
    """The protocols of all links of an address, in lower case.

    Examples
    --------
    >>> sorted(protocols_of("zip://cts::sftp://host/data.zip"))
    ['sftp', 'zip']
    """
    return {protocol_of(link) for link in address.split(CHAIN) if PROTOCOL in link or link.isalpha()}


def child_of(address: str, name: str) -> str:
    """The address of what is in the folder ``address`` under a relative name.

    Examples
    --------
    >>> child_of("zip://cts::/data/b.zip", "P001/1.dcm")
    'zip://cts/P001/1.dcm::/data/b.zip'
    """
    first, *others = address.split(CHAIN)
    first = first if PROTOCOL in first else first + PROTOCOL
    joined = first + name if first.endswith((PROTOCOL, "/")) else f"{first}/{name}"
    return CHAIN.join((joined if name else first, *others))


def parent_of(address: str) -> str:
    """The address of the folder that something is in.

    Examples
    --------
    >>> parent_of("s3://bucket/cts/P001.nii.gz")
    's3://bucket/cts'
    """
    first, *others = address.split(CHAIN)
    protocol, _, path = first.partition(PROTOCOL)
    return CHAIN.join((protocol + PROTOCOL + path.rstrip("/").rpartition("/")[0], *others))


def last_name(address: str) -> str:
    """The name of a file or folder by its address; of a whole archive or host, the archive's or host's own name.

    Examples
    --------
    >>> last_name("s3://bucket/cts/"), last_name("zip://::/data/b.zip")
    ('cts', 'b.zip')
    """
    for link in shown_address(address).split(CHAIN):
        name = link.rpartition(PROTOCOL)[2].replace("\\", "/").rstrip("/").rpartition("/")[2]
        if name and name != link:
            return name
    return protocol_of(address)


def _shown(link: str) -> str:
    text = USER.sub("", link)
    return QUERY.sub("", text) if protocol_of(text) in QUERY_PROTOCOLS else text


def _secrets(address: str) -> set[str]:
    found = set()
    for link in address.split(CHAIN):
        user = USER.search(link)
        if user:
            found |= {user[0][:-1], *user[0][:-1].split(":")}
        query = QUERY.search(link) if protocol_of(link) in QUERY_PROTOCOLS else None
        if query:
            found.add(query[0])
    return found - {""}
