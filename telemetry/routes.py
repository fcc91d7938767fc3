"""Which route answered a request: the full template, never the address that was asked for.

FastAPI 0.165 and Starlette 1.x say it in different places of the ASGI scope, depending on how the
route was added; each rule below was found by asking a real application.
"""

from typing import Any

from telemetry.catalogue.http import UNMATCHED_ROUTE

# Whoever answers before any route is asked (load shedding) may name the template here; without it
# the refusal counts under no route, and a promise about that route never hears of it.
ROUTE_KEY = "vitrine.route"


def route_template(scope: Any) -> str:
    """The template with every prefix, as OpenAPI writes it; `unmatched` when nothing answered.

    A route of an included router (whose own path lacks the outer prefixes), a plain one, one of a
    mounted application (prefixed with where it is mounted), a mounted file server
    (`/static/{path}`), and a plain Starlette route, which leaves only its endpoint in the scope.
    """
    named = scope.get(ROUTE_KEY)
    if named:
        return str(named)
    # Where this application itself is mounted is part of the template: `/sub/inner/{y}`.
    mounted_at: str = scope.get("root_path") or ""
    context = (scope.get("fastapi") or {}).get("effective_route_context")
    path = _path(context) or _path(scope.get("route"))
    if path is None and scope.get("endpoint") is not None:
        path = _path_of_endpoint(scope)
    if path is None:
        return UNMATCHED_ROUTE
    return mounted_at + path


def _path(route: Any) -> str | None:
    found = getattr(route, "path_format", None)
    return found if isinstance(found, str) else None


def _path_of_endpoint(scope: Any) -> str | None:
    endpoint = scope["endpoint"]
    app = scope.get("app")
    if app is None:
        return None
    if scope.get("root_path") and scope.get("root_path") != scope.get("app_root_path", ""):
        return "/{path}"
    for route in getattr(app, "routes", ()):
        if getattr(route, "endpoint", None) is endpoint:
            return _path(route)
    return None
