"""Add ArrayRecord files to a TFDS folder prepared as TFRecord, so that source=tfds can read it.

Usage: python scripts/convert_tfds.py DATA_DIR/mnist/3.0.1
"""

import sys
from pathlib import Path

from glocal_exp.data.tfrecord import convert
from glocal_exp.errors import UserError

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(*convert(Path(sys.argv[1])), sep="\n")
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
