"""The page of the API, which needs nothing from the internet."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient

from stupid_dagster.api import create_app
from stupid_dagster.project import Project


def test_all_that_the_page_loads_is_served(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page.text)
    assert len(addresses) == 4
    assert "http" not in page.text.partition("<head>")[2]
    for address in addresses:
        assert client.get(address).status_code == 200, address
    script = client.get("/docs/swagger-ui-bundle.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "SwaggerUIBundle" in script.text
    # Version 4 can't show OpenAPI 3.1.
    assert re.search(r'PACKAGE_VERSION:"5\.', script.text)
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_no_other_files_are_served(client: TestClient) -> None:
    for name in ("redoc.standalone.js", "..%2F__init__.py", "..%2Fcore.py", "x"):
        assert client.get(f"/docs/{name}").status_code in (404, 422), name
    assert client.get("/redoc").status_code == 404


def test_it_needs_no_key_and_tells_no_data(flights_project: Project) -> None:
    project = Project.load(flights_project.settings.root, {"api_key": "k"})
    with TestClient(create_app(project)) as locked:
        assert locked.get("/docs").status_code == 200
        assert locked.get("/docs/swagger-ui.css").status_code == 200
        assert locked.get("/catalog").status_code == 401
