"""An estimator whose first fit with some parameter kills its process: in a module of its own, for workers import it."""

import os
import signal
from pathlib import Path

from sklearn.svm import SVC


class Dying(SVC):
    """An ``SVC`` whose first fit with ``C`` of 10 ends the process; ``folder`` remembers that it did."""

    def __init__(self, C=1.0, folder=""):
        super().__init__(C=C)
        self.folder = folder

    def fit(self, X, y):
        if self.C == 10.0:
            try:
                (Path(self.folder) / "died").touch(exist_ok=False)
            except FileExistsError:
                return super().fit(X, y)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)
