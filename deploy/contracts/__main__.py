"""`python -m deploy.contracts`: rewrite the schemas' files."""

import sys

from deploy.contracts.schemas import write
from producer.base.errors import CommandError

if __name__ == "__main__":
    try:
        print("\n".join(write()))
    except CommandError as error:
        print(f"python -m deploy.contracts: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
