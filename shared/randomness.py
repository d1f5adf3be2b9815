"""Randomness that differs between containers.

Lambda starts many containers from one snapshot (SnapStart). A generator that was seeded before the snapshot, such as
that of the module `random`, yields the same numbers in all of them, and retries that should be spread would coincide.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

import os
import random
from contextlib import suppress

RANDOM: random.Random = random.SystemRandom()
"""A generator that reads from the operating system, and has no state that a snapshot could contain."""

if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # The module is part of Lambda's runtime. Without it, libraries such as botocore share their jitter.
    with suppress(ImportError):
        from snapshot_restore_py import register_after_restore  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

        register_after_restore(random.seed)
