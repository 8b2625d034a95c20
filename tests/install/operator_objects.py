"""Judges objects of the Prometheus operator, JSON from standard input, by models that were made of its definitions."""

import json
import sys

from cloudcoil.models.prometheus_operator import v1

for judged in json.load(sys.stdin):
    model = getattr(v1, judged["kind"])
    # The API server prunes what it does not know in silence; here it is a typo.
    model.model_validate_json(json.dumps(judged), strict=True, extra="forbid")
