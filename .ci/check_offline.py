"""The demo without any network but this machine, its packages being cached: check_offline.py DEMO_DIR.

The check starts itself again in a network namespace that holds the loopback device only; where the system does
not allow that, it says so and leaves.
"""

from __future__ import annotations

import fcntl
import shutil
import socket
import struct
import subprocess
import sys

from calls import emotrace

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
UNSHARES = (["unshare", "--net"], ["unshare", "--net", "--map-root-user"])


def main(folder: str, *inside: str) -> int:
    if inside:
        loopback_up()
        check(folder)
        return 0
    for unshare in UNSHARES:
        if (
            shutil.which("unshare")
            and subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode == 0
        ):
            return subprocess.run([*unshare, sys.executable, __file__, folder, "inside"]).returncode
    print("the demo without network was not tried: a network namespace is not allowed here")
    return 0


def loopback_up() -> None:
    """A new namespace has a loopback device that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        name = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack_from("16sh", fcntl.ioctl(device, SIOCGIFFLAGS, name))
        fcntl.ioctl(device, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def check(folder: str) -> None:
    reachable = [name for _, name in socket.if_nameindex() if name != "lo" and is_up(name)]
    assert not reachable, f"there is a network: {reachable}"
    demo = emotrace("demo", "--project", folder)
    assert demo["verified"]
    assert demo["run"]["failed_items"] == []
    print(f"the demo holds without a network: {demo['run']['samples']} samples, release verified")


def is_up(name: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        answer = fcntl.ioctl(device, SIOCGIFFLAGS, struct.pack("16sh14x", name.encode(), 0))
        return bool(struct.unpack_from("16sh", answer)[1] & IFF_UP)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
