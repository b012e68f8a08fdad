"""Servers of SFTP are known by their keys, as for ``ssh``; fsspec itself takes any key, and so a server in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from CovidSeverityLib.errors import InputError

PROTOCOLS = ("sftp", "ssh")
OPTION = "host_key_policy"
"""fsspec's option. Who sets it in its configuration decides (``FSSPEC_SFTP_HOST_KEY_POLICY=auto_add``)."""

SSHFS_OPTIONS = {"known_hosts": ()}
"""The same for the package sshfs, which takes these protocols over where it is installed: it reads the files of ``ssh``
then, and takes any key otherwise."""

KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


def known_hosts_only(protocols: set[str]) -> dict[str, dict[str, Any]]:
    """Options for fsspec by protocol, with which SFTP connects to known servers only.

    Parameters
    ----------
    protocols : set of str
        The protocols of an address; without those of SFTP there is no option.

    Raises
    ------
    ImportError
        If paramiko is missing.
    InputError
        If fsspec is too old for it.
    """
    asked = protocols & {*PROTOCOLS}
    if not asked:
        return {}
    from fsspec import get_filesystem_class
    from fsspec.config import conf
    from fsspec.implementations import sftp

    if any({OPTION, *SSHFS_OPTIONS} & {*conf.get(protocol, {})} for protocol in PROTOCOLS):
        return {}
    if any(get_filesystem_class(protocol) is not sftp.SFTPFileSystem for protocol in asked):
        return {protocol: dict(SSHFS_OPTIONS) for protocol in asked}
    if not hasattr(sftp, "HOST_KEY_POLICIES"):
        raise InputError("sftp:// addresses need an fsspec that checks the server's key: pip install --upgrade fsspec")
    policy = _policy()
    return {protocol: {OPTION: policy} for protocol in asked}


def _policy() -> Any:  # noqa: ANN401 # a class of paramiko
    import paramiko

    class KnownHosts(paramiko.MissingHostKeyPolicy):
        """Refuse a server whose key is not in a file of known hosts."""

        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:  # noqa: ANN401
            """Raise SSHException unless the key is known."""
            hosts = paramiko.HostKeys()
            for path in map(Path, KNOWN_HOSTS):
                if path.expanduser().is_file():
                    hosts.load(str(path.expanduser()))
            if not hosts.check(hostname, key):
                raise paramiko.SSHException(
                    f"its {key.get_name()} key is not the one of {hostname} in {KNOWN_HOSTS[0]}; connect once with "
                    "ssh, or add it with ssh-keyscan"
                )

    return KnownHosts()
