"""Swagger UI, served from what is installed: a browser needs no way to the internet."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

File = Literal["swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"]
# Of the package only its files are used.
_FOLDER = files("fastapi_offline") / "static"
# The page may load nothing from elsewhere, nor stand in another's.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Show every route, with its parameters and an example, to be tried out."""
    root = request.scope.get("root_path", "").rstrip("/")
    page = get_swagger_ui_html(
        openapi_url=f"{root}{request.app.openapi_url}",
        title=request.app.title,
        swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/favicon.png",
    )
    page.headers["Content-Security-Policy"] = _POLICY
    return page


@router.get("/docs/{name}")
async def file(name: File) -> FileResponse:
    """Give a file of the page."""
    return FileResponse(str(_FOLDER / name), headers={"Cache-Control": "max-age=86400"})
