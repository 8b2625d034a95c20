"""Turns `cargo metadata` into a CycloneDX list of the crates that are in the binary, with licences and checksums."""

import hashlib
import json
import os
import sys
import time

ROOT = "fairway"


def main():
    metadata = json.load(sys.stdin)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]

    edges = {}
    open_ids = [root]
    while open_ids:
        package = open_ids.pop()
        if package in edges:
            continue
        # What tests, build scripts and macros need while they run is not in the binary.
        edges[package] = sorted(
            edge["pkg"] for edge in nodes[package]["deps"]
            if any(kind["kind"] is None for kind in edge["dep_kinds"]) and not is_macro(packages[edge["pkg"]])
        )
        open_ids.extend(edges[package])

    checksums = locked_checksums(os.path.join(metadata["workspace_root"], "Cargo.lock"))
    reference = {package: url(packages[package]) for package in edges}
    components = sorted((component(packages[it], checksums) for it in edges if it != root), key=lambda it: it["bom-ref"])
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": created, "component": {**component(packages[root], checksums), "type": "application"}},
        "components": components,
        "dependencies": sorted(
            ({"ref": reference[package], "dependsOn": sorted(reference[it] for it in on)} for package, on in edges.items()),
            key=lambda it: it["ref"],
        ),
    }
    # The same list has the same number.
    content = hashlib.sha256(json.dumps(bill, sort_keys=True).encode()).hexdigest()
    bill["serialNumber"] = f"urn:uuid:{content[:8]}-{content[8:12]}-5{content[13:16]}-8{content[17:20]}-{content[20:32]}"
    json.dump(bill, sys.stdout, indent=1, sort_keys=True)
    print()


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def locked_checksums(path):
    """By name and version, from Cargo.lock: blocks of `key = "value"`."""
    checksums = {}
    with open(path, encoding="utf-8") as file:
        for block in file.read().split("[[package]]"):
            fields = dict(line.split(" = ", 1) for line in block.splitlines() if " = \"" in line)
            if "checksum" in fields:
                checksums[fields["name"].strip('"'), fields["version"].strip('"')] = fields["checksum"].strip('"')
    return checksums


def url(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums):
    made = {
        "type": "library",
        "name": package["name"],
        "version": package["version"],
        "purl": url(package),
        "bom-ref": url(package),
        "scope": "required",
    }
    if package["license"]:
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return made


if __name__ == "__main__":
    main()
