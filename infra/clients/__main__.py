"""`python -m infra.clients`: generate the clients of the API and check their types."""

import sys

from infra.clients import CLIENTS, NotGenerated, generate

if __name__ == "__main__":
    try:
        generate()
    except NotGenerated as error:
        sys.exit(str(error))
    sys.stdout.write(f"{CLIENTS}: python and typescript\n")
