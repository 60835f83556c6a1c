"""A request to each route of the API, as its OpenAPI page has them."""

from typing import Any

from stupid_dagster.api.examples.plans import PLAN_BODY

OTHERS = {"/metrics", "/events"}
"""Routes that don't answer GET with JSON; they have tests of their own."""

URLS = {
    "/health": "/health",
    "/ready": "/ready",
    "/snapshot": "/snapshot",
    "/catalog": "/catalog",
    "/catalog/events": "/catalog/events",
    "/catalog/entities": "/catalog/entities",
    "/catalog/entities/{entity_type}": "/catalog/entities/Airport",
    "/catalog/knowledge": "/catalog/knowledge",
    "/catalog/events/{event_type}": "/catalog/events/Departure",
    "/segments": "/segments",
    "/documents": "/documents?event_type=Departure&first_day=2013-02-08&limit=50",
    "/documents/{doc_id}": "/documents/2013-02-08/Departure/17",
    "/actors/{actor_id}/timeline": "/actors/aircraft:N328AA/timeline?first_day=2013-01-28",
    "/search": "/search?text=cancelled flight from Newark in the evening&limit=3",
    "/graph/nodes/{entity_id}": "/graph/nodes/carrier:B6",
    "/graph/neighbors": "/graph/neighbors?id=airport:JFK",
    "/graph/traverse": "/graph/traverse?id=carrier:HA&id=airport:JFK&depth=2",
    "/graph/path": "/graph/path?source=airport:JFK&target=airport:LAX",
    "/graph/subgraph": "/graph/subgraph?id=airport:JFK&limit=5",
    "/graph/stats": "/graph/stats",
    "/knowledge/clusters": "/knowledge/clusters",
    "/knowledge/clusters/{cluster_id}": "/knowledge/clusters/cluster:0",
    "/knowledge/communities": "/knowledge/communities",
    "/knowledge/communities/{community_id}": "/knowledge/communities/community:0",
    "/knowledge/pagerank": "/knowledge/pagerank?type=Airport",
    "/knowledge/degrees": "/knowledge/degrees?type=Airport",
    "/knowledge/trends": "/knowledge/trends",
    "/knowledge/insights": "/knowledge/insights",
    "/knowledge/patterns": "/knowledge/patterns",
    "/knowledge/cooccurrence": "/knowledge/cooccurrence",
    "/knowledge/anomalies": "/knowledge/anomalies",
    "/knowledge/history": "/knowledge/history",
    "/knowledge/tables/{table}": "/knowledge/tables/cluster_entities",
    "/knowledge/patterns/{pattern_id}": "/knowledge/patterns/pattern:958864288ff44ef8",
    "/knowledge/anomalies/{actor}": "/knowledge/anomalies/aircraft:N11194",
    "/knowledge/insights/digest": "/knowledge/insights/digest",
    "/knowledge/insights/{insight_id}": "/knowledge/insights/trend/cancellations/up/hour",
    "/knowledge/trends/{trend}": "/knowledge/trends/day/2013-02-08T05:00:00Z/cancellations",
    "/knowledge/contrast": "/knowledge/contrast?community=community:0",
}
QUESTIONS = {"/query", "/sessions", "/sessions/{session_id}"}
"""Routes that need a language model, or remember: test_query.py asks them."""
STREAMS = {"/insights/stream"}
"""Routes that never end; tests of their own read them."""

POSTS: dict[str, tuple[str, Any]] = {
    "/search": ("/search", {"text": "cancelled flight from Newark in the evening", "limit": 3}),
    "/knowledge/contrast": ("/knowledge/contrast", {"community": "community:0"}),
    "/plans": ("/plans?steps=all", PLAN_BODY),
    "/plans/validate": ("/plans/validate", PLAN_BODY),
    "/plans/explain": ("/plans/explain", PLAN_BODY),
}
"""Of routes that are posted to: the URL, and what is sent as JSON."""

ROUTES = [*(("get", path) for path in URLS), *(("post", path) for path in POSTS)]
