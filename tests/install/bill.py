"""Judges a bill of materials from standard input by CycloneDX's own schema, which knows all licences of SPDX too."""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

fault = JsonStrictValidator(SchemaVersion.V1_5).validate_str(sys.stdin.read())
if fault is not None:
    sys.exit(str(fault))
