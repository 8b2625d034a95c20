"""Packs one static binary as an OCI image archive: no base, no shell, no daemon needed to make it.

The bytes depend on nothing but the binary, the arguments and SOURCE_DATE_EPOCH.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import struct
import sys
import tarfile
import time

NAME = "fairway"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--architecture", required=True)
    arguments.add_argument("--revision", default="")
    arguments.add_argument("--version", default="0.1.0")
    arguments.add_argument("binary")
    arguments.add_argument("archive")
    given = arguments.parse_args()
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])

    with open(given.binary, "rb") as file:
        binary = file.read()
    if needs_a_loader(binary):
        sys.exit(f"{given.binary} is not static: in an empty image nothing would load it")

    layer = tar({NAME: (binary, 0o755)}, epoch)
    # The header's time is left out: it would be the time of packing.
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    config = encode({
        "created": created,
        "architecture": given.architecture,
        "os": "linux",
        "config": {
            "Entrypoint": [f"/{NAME}"],
            "Labels": {
                "org.opencontainers.image.title": NAME,
                "org.opencontainers.image.version": given.version,
                "org.opencontainers.image.revision": given.revision,
                "org.opencontainers.image.created": created,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest(layer)}"]},
        "history": [{"created": created, "created_by": "manifests/image/build"}],
    })
    manifest = encode({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, packed)],
    })
    tag = f"{NAME}:{given.version}"
    index = encode({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{
            **descriptor(MANIFEST, manifest),
            "platform": {"architecture": given.architecture, "os": "linux"},
            "annotations": {
                "io.containerd.image.name": tag,
                "org.opencontainers.image.ref.name": given.version,
            },
        }],
    })
    # For `docker load` of versions that know no OCI archives.
    docker = encode([{"Config": blob(config), "RepoTags": [tag], "Layers": [blob(packed)]}])
    files = {
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": index,
        "manifest.json": docker,
        blob(config): config,
        blob(manifest): manifest,
        blob(packed): packed,
    }
    with open(given.archive, "wb") as file:
        file.write(tar({name: (content, 0o644) for name, content in files.items()}, epoch))
    mebibytes = 1 << 20
    print(f"{given.archive}: {len(packed) / mebibytes:.1f} MiB to transfer, {len(binary) / mebibytes:.1f} MiB unpacked, "
          f"image sha256:{digest(manifest)}")


def needs_a_loader(binary):
    """Whether an ELF file names a program interpreter."""
    if binary[:4] != b"\x7fELF" or binary[4] != 2:
        sys.exit("this is no 64-bit ELF file")
    start, = struct.unpack_from("<Q", binary, 32)
    size, count = struct.unpack_from("<HH", binary, 54)
    kinds = (struct.unpack_from("<I", binary, start + number * size)[0] for number in range(count))
    return 3 in kinds  # PT_INTERP


def tar(files, epoch):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, epoch
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def encode(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(content):
    return hashlib.sha256(content).hexdigest()


def blob(content):
    return f"blobs/sha256/{digest(content)}"


def descriptor(media_type, content):
    return {"mediaType": media_type, "digest": f"sha256:{digest(content)}", "size": len(content)}


if __name__ == "__main__":
    main()
