"""Where a stream's results go for as long as it runs: its results file, its sinks, both or nowhere."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ..config import DeviceConfig
from ..event_pictures import EventPictures
from ..result_log import BothLogs, ResultLog
from ..results import ResultsFile
from ..spooling import open_results
from ..uplink.spool import Spool
from .base import SinkRunner
from .delivered import EventPicture
from .delivery import Delivery
from .open_sinks import OpenSinks
from .picture import QUALITY


@dataclass(frozen=True)
class StreamLogs:
    """Where a stream's results go.

    Attributes:
        log: what is told of every result; None: nobody is.
        delivery: what the sinks are given them by; None: there are no sinks.
        file: the results file; None: there is none.
    """

    log: ResultLog | None
    delivery: Delivery | None
    file: ResultsFile | None = None


@contextmanager
def logs_of(
    config: DeviceConfig, stream: str, sinks: OpenSinks, spool: Spool | None, *, live: bool
) -> Iterator[StreamLogs]:
    """Opens a stream's results file and its sinks.

    Args:
        config: the stream's settings.
        stream: its name; empty: the device's only one.
        sinks: those of the device.
        spool: its spool, by which it may go on where it was; None: there is none.
        live: whether its source is; the results of a recording begin a file of their own.

    Raises:
        InvalidInput: the file or a sink can't be opened.
    """
    with ExitStack() as stack:
        file = open_results(config, stream, spool, live=live)
        if file is not None:
            stack.enter_context(file)
        delivery = stack.enter_context(_delivery_of(config, stream, sinks, file))
        log: ResultLog | None = file or delivery
        if file is not None and delivery is not None:
            log = BothLogs(file, delivery)
        yield StreamLogs(log, delivery, file)


@contextmanager
def _delivery_of(
    config: DeviceConfig, stream: str, sinks: OpenSinks, file: ResultsFile | None
) -> Iterator[Delivery | None]:
    events = config.event_pictures
    with sinks.used(config.sinks) as runners:
        if not runners and events is None:
            yield None
            return
        pictures = None if events is None else EventPictures(events)
        finder = [] if pictures is None else [SinkRunner("event_pictures", pictures)]
        quality = QUALITY if events is None else events.quality
        delivery = Delivery([*runners, *finder], device=config.name, stream=stream, quality=quality)

        def add_event(event: EventPicture) -> None:
            if file is not None:
                file.add_event(event)
            delivery.add_event(event)

        if pictures is not None:
            pictures.on_event = add_event
        try:
            yield delivery
        finally:
            delivery.close()
            for each in finder:
                each.close()
