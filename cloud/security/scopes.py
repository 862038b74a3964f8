"""Which scope each method needs; what is not named here needs `operator`."""

from .caller import Scope

PUBLIC = frozenset({"/grpc.health.v1.Health/Check", "/infilink.v1.Enrollment/Enroll"})
"""Asked by load balancers and orchestrators, which have no token: whether it serves, and nothing else; and by new
devices, which have none yet, but a code."""

_EDGE = "/infilink.v1.Edge/"
_INFERENCE = "/inference.GRPCInferenceService/"
_REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/"

SCOPE_OF: dict[str, Scope] = {
    f"{_EDGE}Connect": "device",
    f"{_EDGE}GetFilter": "device",
    f"{_EDGE}GetStatus": "reader",
    f"{_EDGE}Subscribe": "reader",
    "/infilink.v1.Federation/Learn": "device",
    "/infilink.v1.Enrollment/Renew": "device",
    "/infilink.v1.Fleet/List": "reader",
    # A stream that stays open is nothing for whoever comes by.
    "/grpc.health.v1.Health/Watch": "reader",
    f"{_REFLECTION}ServerReflectionInfo": "reader",
    f"{_INFERENCE}ModelInfer": "device",
    f"{_INFERENCE}ModelStreamInfer": "device",
    **{
        f"{_INFERENCE}{method}": "reader"
        for method in (
            "ServerLive",
            "ServerReady",
            "ModelReady",
            "ServerMetadata",
            "ModelMetadata",
            "ModelConfig",
            "ModelStatistics",
            "RepositoryIndex",
        )
    },
}


def scope_of(method: str) -> Scope:
    """The scope that a method (`/package.Service/Method`) needs."""
    return SCOPE_OF.get(method, "operator")
