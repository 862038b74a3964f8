"""Whether a recording can prove anything: one with invented times can't, whatever is found on it."""

from ..errors import NotCertified
from ..traces.trace import Trace
from .spec import Certificate


def check_times(trace: Trace) -> None:
    """Refuses a recording that nothing can be proven from.

    Raises:
        NotCertified: its times are invented.
    """
    if trace.unproven:
        raise NotCertified(f"{trace.unproven}, or have it without a proof with --uncertified")


def unproven(certificate: Certificate, trace: Trace) -> Certificate:
    """The certificate, or none where the recording can't give one."""
    if not trace.unproven:
        return certificate
    return certificate.model_copy(update={"certified": False, "method": f"none: {trace.unproven}", "more_runs": 0})
