import sys

from fastcv.cli import main

sys.exit(main())
