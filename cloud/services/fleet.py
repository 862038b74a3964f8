"""The gRPC services `infilink.v1.Fleet`, for operators, and `infilink.v1.Enrollment`, for new devices."""

import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any

from ...errors import InvalidInput, NotKnown
from ...protos import fleet_pb2, fleet_pb2_grpc
from ...protos.filter_file import check_size
from ..coordinator import Coordinator
from ..endpoint import abort_on_error
from ..fleet.devices import Device, devices_of
from ..fleet.enrollment import Enrolled, Enrollment
from ..fleet.filters import StreamFilter
from ..fleet.fleet import Action
from ..fleet.foresight import Foreseen, refuse_breaks
from ..security.caller import current_caller
from ..security.guard import host_of, shown_certificate

logger = logging.getLogger(__name__)

_ACTIONS: dict[int, Action] = {
    fleet_pb2.FLEET_ACTION_PAUSE: "pause",
    fleet_pb2.FLEET_ACTION_DRAIN: "drain",
    fleet_pb2.FLEET_ACTION_RESUME: "resume",
    fleet_pb2.FLEET_ACTION_REVOKE: "revoke",
}


class FleetService(fleet_pb2_grpc.FleetServicer):
    """Serves one coordinator's devices to operators."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator

    async def List(self, _: fleet_pb2.ListFleet, context: Any) -> fleet_pb2.FleetList:  # noqa: N802
        """Every device that is known."""
        async with abort_on_error(context):
            filters = self.coordinator.filters
            devices = devices_of(self.coordinator)
            return fleet_pb2.FleetList(devices=[_message(each, map(filters.of, each.streams)) for each in devices])
        raise AssertionError("abort raises")

    async def Change(self, request: fleet_pb2.ChangeDevice, context: Any) -> fleet_pb2.FleetDevice:  # noqa: N802
        """Pauses, drains, resumes or revokes a device."""
        async with abort_on_error(context):
            if request.action not in _ACTIONS:
                raise InvalidInput("`action` must be one of the FleetAction")
            entry = await self.coordinator.fleet.change(request.name, _ACTIONS[request.action], current_caller())
            known = {each.name: each for each in devices_of(self.coordinator)}
            return _message(known.get(entry.name) or Device(entry.name, entry))
        raise AssertionError("abort raises")

    async def PutFilter(self, pieces: AsyncIterator[fleet_pb2.FilterUpload], context: Any) -> fleet_pb2.FilterFile:  # noqa: N802
        """Keeps a filter's file, so that it can be rolled out."""
        async with abort_on_error(context):
            name, content = "", bytearray()
            async for piece in pieces:
                name = name or piece.name
                content += piece.content
                check_size(max(1, len(content)))
            file = await self.coordinator.filters.put(name, bytes(content))
            return fleet_pb2.FilterFile(name=file.name, digest=file.digest, size_bytes=file.size_bytes)
        raise AssertionError("abort raises")

    async def SetFilter(self, request: fleet_pb2.SetFilterRequest, context: Any) -> fleet_pb2.StreamFilters:  # noqa: N802
        """Rolls a filter out to streams, or goes back to the one before."""
        async with abort_on_error(context):
            filters, caller = self.coordinator.filters, current_caller()
            if request.back == bool(request.digest):
                raise InvalidInput("either `digest` or `back`: which filter is wanted, or back to the one before")
            foreseen: dict[str, Foreseen] = {}
            if request.back:
                changed = await filters.back(request.streams, caller)
            else:
                streams = filters.others(request.digest) if request.all else request.streams
                foreseen = await filters.foresee(streams, request.digest)
                if not request.anyway:
                    refuse_breaks(foreseen)
                changed = await filters.want(streams, request.digest, caller)
            told = {stream: each.text for stream, each in foreseen.items()}
            return fleet_pb2.StreamFilters(
                filters=[_filter_message(each, told.get(each.stream, "")) for each in changed]
            )
        raise AssertionError("abort raises")

    async def NewCode(self, request: fleet_pb2.NewCodeRequest, context: Any) -> fleet_pb2.NewCodeReply:  # noqa: N802
        """A code by which one new device enrolls."""
        async with abort_on_error(context):
            made = await self.coordinator.enrollment.new_code(request.name, current_caller(), minutes=request.minutes)
            expires_us = int(made.expires_s * 1e6)
            return fleet_pb2.NewCodeReply(
                code=made.text, expires_us=expires_us, gives=made.gives, port=made.port, phone_page=made.phone_page
            )
        raise AssertionError("abort raises")


class EnrollmentService(fleet_pb2_grpc.EnrollmentServicer):
    """Takes codes from whoever has one, and gives devices that are known their next certificate."""

    def __init__(self, enrollment: Enrollment) -> None:
        self.enrollment = enrollment

    async def Enroll(self, request: fleet_pb2.EnrollRequest, context: Any) -> fleet_pb2.EnrollReply:  # noqa: N802
        """A certificate or a token, for a code."""
        async with abort_on_error(context):
            address = host_of(context.peer())
            try:
                made = await self.enrollment.enroll(request.code, request.certificate_request, address)
            except NotKnown as error:
                logger.warning("%s: %s", address, error)
                raise
            return self._reply(made)
        raise AssertionError("abort raises")

    async def Renew(self, request: fleet_pb2.RenewRequest, context: Any) -> fleet_pb2.EnrollReply:  # noqa: N802
        """The next certificate, for the one that is shown."""
        async with abort_on_error(context):
            shown = shown_certificate(context)
            made = await self.enrollment.renew(shown.name, request.certificate_request, since_s=shown.since_s)
            return self._reply(made)
        raise AssertionError("abort raises")

    def _reply(self, made: Enrolled) -> fleet_pb2.EnrollReply:
        return fleet_pb2.EnrollReply(
            name=made.device,
            certificate=made.certificate,
            token=made.token,
            expires_us=int(made.expires_s * 1e6),
            port=self.enrollment.devices_port,
            trusted=self.enrollment.trusted,
        )


def _message(device: Device, filters: Iterable[StreamFilter] = ()) -> fleet_pb2.FleetDevice:
    entry = device.entry
    return fleet_pb2.FleetDevice(
        name=device.name,
        state=entry.state,
        by=entry.by,
        since_us=entry.since_us,
        connected=bool(device.connected),
        connected_us=device.connected_us,
        heard_us=device.heard_us,
        version=device.version,
        streams=[each.key.name for each in device.streams],
        faults=device.faults(),
        enrolled=entry.enrolled,
        enrolled_us=entry.enrolled_us,
        expires_us=entry.expires_us,
        filters=map(_filter_message, filters),
    )


def _filter_message(found: StreamFilter, foreseen: str = "") -> fleet_pb2.StreamFilter:
    wish, file = found.wish, found.file
    return fleet_pb2.StreamFilter(
        stream=found.stream,
        wanted_name="" if file is None else file.name,
        wanted_digest="" if wish is None else wish.digest,
        by="" if wish is None else wish.by,
        wanted_us=0 if wish is None else wish.since_us,
        gate_name=found.gate_name,
        gate_digest=found.gate_digest,
        since_us=found.since_us,
        state=found.state,
        told=found.told,
        foreseen=foreseen,
    )
