"""Runs MiniStack and ends it, its Lambda workers and its files with the process that started it.

The parent holds the other end of our stdin: it closes when the parent stops us and also when the parent is killed,
which no signal handler of the parent could tell us. We are the leader of our own process group (the parent starts us
detached), so one signal to the group reaches the workers too.
"""

import os
import shutil
import signal
import sys
import threading


def end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    shutil.rmtree(os.environ["REKEY_STACK_DIR"], ignore_errors=True)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if os.getpgrp() != os.getpid():
    sys.exit("launch.py must lead its own process group")
threading.Thread(target=end_with_parent, daemon=True).start()
# MiniStack reads its command line.
sys.argv = ["ministack"]

# Imported only now, so that a parent that dies meanwhile isn't missed.
import ministack.app  # noqa: E402
import patches  # noqa: E402

patches.apply()
ministack.app.main()
