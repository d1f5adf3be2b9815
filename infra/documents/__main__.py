"""`python -m infra.documents`: write `docs/api`."""

from infra.documents import write

if __name__ == "__main__":
    write()
