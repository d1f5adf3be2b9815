"""Randomness that no two containers share.

Lambda starts many containers from one snapshot (SnapStart). A generator that was seeded before it, such as that of the
module `random`, yields the same numbers in all of them: retries that should be spread would come at the same moment.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

import os
import random
from contextlib import suppress

RANDOM: random.Random = random.SystemRandom()
"""Draws from the operating system, and has no state that a snapshot could hold."""

if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # The module is part of Lambda's runtime. Without it only the jitter of libraries, such as botocore's, is shared.
    with suppress(ImportError):
        from snapshot_restore_py import register_after_restore  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

        register_after_restore(random.seed)
