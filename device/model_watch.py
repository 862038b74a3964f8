"""The models that a stream runs here: whether another file stands under one's name, and whether that will do."""

import logging
import threading
from pathlib import Path

from ..errors import InfilinkError
from ..models.spec import digest, find_models
from ..models.split.parts import Head
from ..models.stem.stem import Stem
from ..models.supervisor import Supervisor
from .config import DeviceConfig, apply_placement
from .settings_file import Look, look_at
from .stream_log import thread_name

logger = logging.getLogger(__name__)


def watch_models(name: str, config: DeviceConfig) -> "ModelWatch | None":
    """Watches the models that a stream runs here; None: it runs none, or what is wrong with them its run will say."""
    if config.head is None and config.stem is None and config.local is None:
        return None
    try:
        return ModelWatch(name, config)
    except (InfilinkError, OSError):
        return None


class ModelWatch:
    """Watches the files of `head`, `stem` and `local` of one stream.

    A file counts as changed once it is the same at two looks. It is tried beside the stream before that is started anew
    for it; what can't be opened is told, and the stream runs on with what it has.

    Args:
        name: the stream's.
        config: its settings.
    """

    def __init__(self, name: str, config: DeviceConfig) -> None:
        self.name = name
        self.config = config
        self.changed = False
        self._digests = {path: digest(path) for path in self._paths()}
        self._seen = self._settled = self._look_at_all()
        self._thread: threading.Thread | None = None

    def look(self) -> bool:
        """Whether the stream is to be started anew, as another file has been tried; called about once a second."""
        if self.changed:
            return True
        if self._thread is not None and self._thread.is_alive():
            return False
        before, self._seen = self._seen, self._look_at_all()
        if self._seen == before and self._seen != self._settled:
            self._settled = self._seen
            self._thread = threading.Thread(target=self._try, name=thread_name("models", self.name), daemon=True)
            self._thread.start()
        return False

    def _look_at_all(self) -> dict[Path, tuple[Look | None, Look | None]]:
        return {path: (look_at(path), look_at(path.with_suffix(".toml"))) for path in self._digests}

    def _paths(self) -> list[Path]:
        config = apply_placement(self.config)
        found = [path for path in (config.head, config.stem) if path is not None]
        if config.local is not None:
            models = find_models(config.local)
            found += [models[name] for name in (config.local_models or models) if name in models]
        return found

    def _try(self) -> None:
        told = []
        try:
            for path, before in self._digests.items():
                now = digest(path)
                if now != before:
                    self._open(path)
                    told.append(f"{path}: {before} is replaced by {now}")
        except InfilinkError as error:
            logger.warning("%s; the stream runs on with the file that it has", error)
            return
        except Exception as error:  # onnxruntime has errors of many types
            logger.warning("a model that was replaced can't be opened (%r); the stream runs on with what it has", error)
            return
        if told:
            logger.info("%s: started anew for it", "; ".join(told))
            self.changed = True

    def _open(self, path: Path) -> None:
        """Opens a model as it would be run; it is closed again.

        Raises:
            InfilinkError: it can't be.
        """
        if path == self.config.head:
            Head(path)
        elif path == self.config.stem:
            Stem(path)
        else:
            model = Supervisor(path.stem, path)
            try:
                model.load()
            finally:
                model.stop()
                model.unload()
