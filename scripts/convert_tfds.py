"""Add ArrayRecord files to a TFDS folder prepared as TFRecord, so that source=tfds can read it.

Usage: python scripts/convert_tfds.py DATA_DIR/mnist/3.0.1
"""

import sys
from pathlib import Path

from _start import load

if __name__ == "__main__":
    tfrecord, errors = load("glocal_exp.data.tfrecord"), load("glocal_exp.errors")
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(*tfrecord.convert(Path(sys.argv[1])), sep="\n")
    except errors.UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
