"""The rules of gaming.yaml as somebody would write them down in a script of their own."""

from __future__ import annotations

TIMESTAMP = "@timestamp"
NULLS = {"", "None", "null", "undefined"}
TRUE = {"true", "1", "yes", "y", "t"}
FALSE = {"false", "0", "no", "n", "f"}
PHONES = {"android", "ios", "web-android", "web-ios", "pwa-android", "pwa-ios"}
SPELLINGS = {"affiliateId": ["affiliateid", "affiliateID"]}
BOOLEANS = {"success", "isManual", "isTestAccount"}
LOWER = {"platform", "category", "popupType", "clickType"}
UPPER = {"currency", "rGroup"}
SESSION_GAP_MINUTES = 30

FIELDS = {
    "Login": [
        *("memberCode", "success", "method", "platform", "currency", "rGroup", "fingerprint"),
        *("device", "os", "deviceModel", "ipAddress", "affiliateId", "isTestAccount"),
    ],
    "GameOpened": [
        *("memberCode", "game", "gameUid", "category", "gameTrackingProvider"),
        *("gameTrackingCategory", "platform", "currency", "rGroup", "from", "componentId"),
        *("fingerprint", "isTestAccount"),
    ],
    "API Error": [
        *("memberCode", "error", "stage", "platform", "page", "method", "status", "fingerprint"),
        *("currency", "isTestAccount"),
    ],
    "PopupModule": [
        *("memberCode", "popupType", "clickType", "componentId", "displayTime", "isManual"),
        *("game", "gameUid", "platform", "currency", "fingerprint", "isTestAccount"),
    ],
    "GridClick": [
        *("memberCode", "componentId", "game", "gameUid", "platform", "currency"),
        "isTestAccount",
    ],
}
FOLDERS = {name: [name] for name in FIELDS} | {"PopupModule": ["PopupModule", "PopUpModule"]}

PREFIXES = {
    "Member": "member",
    "Device": "device",
    "Game": "game",
    "Affiliate": "affiliate",
    "Currency": "currency",
    "VipGroup": "vip",
    "Error": "error",
    "Platform": "platform",
    "Popup": "popup",
    "Provider": "provider",
}
KEYS = {
    "Member": ["memberCode"],
    "Device": ["fingerprint"],
    "Game": ["gameUid", "game"],
    "Affiliate": ["affiliateId"],
    "Currency": ["currency"],
    "VipGroup": ["rGroup"],
    "Error": ["error_at_stage", "error"],
    "Platform": ["platform"],
    "Popup": ["componentId"],
    "Provider": ["gameTrackingProvider"],
}
PROPERTIES = dict.fromkeys(PREFIXES, ()) | {
    "Member": ("rGroup", "currency", "affiliateId"),
    "Device": ("device", "os", "deviceModel"),
    "Game": ("game", "category", "gameTrackingProvider"),
    "Error": ("error", "stage", "status"),
    "Popup": ("popupType",),
}
ENTITIES = {
    "Login": ["Member", "Device", "Platform", "Currency", "VipGroup", "Affiliate"],
    "GameOpened": ["Member", "Game", "Device", "Platform", "Provider", "Currency", "VipGroup"],
    "API Error": ["Member", "Error", "Device", "Platform"],
    "PopupModule": ["Member", "Popup", "Device", "Platform"],
    "GridClick": ["Member", "Platform"],
}
_ENDS = {
    "LoggedInFrom": ("Member", "Device"),
    "OpenedGame": ("Member", "Game"),
    "SawPopup": ("Member", "Popup"),
    "HitError": ("Member", "Error"),
    "BelongsToGroup": ("Member", "VipGroup"),
    "ReferredBy": ("Member", "Affiliate"),
    "UsesCurrency": ("Member", "Currency"),
    "PlaysOnPlatform": ("Member", "Platform"),
    "ProvidedBy": ("Game", "Provider"),
}
EDGES = {
    event_type: {kind: _ENDS[kind] for kind in kinds}
    for event_type, kinds in {
        "Login": [
            *("LoggedInFrom", "PlaysOnPlatform", "UsesCurrency", "BelongsToGroup"),
            "ReferredBy",
        ],
        "GameOpened": [
            *("OpenedGame", "LoggedInFrom", "PlaysOnPlatform", "ProvidedBy", "UsesCurrency"),
            "BelongsToGroup",
        ],
        "API Error": ["HitError", "PlaysOnPlatform"],
        "PopupModule": ["SawPopup", "PlaysOnPlatform"],
        "GridClick": ["PlaysOnPlatform"],
    }.items()
}
TEXTS = {
    "Login": (
        "Login",
        [
            *(("platform", "platform"), ("currency", "currency"), ("vip", "rGroup")),
            *(("success", "success"), ("method", "method"), ("device", "device")),
        ],
    ),
    "GameOpened": (
        "GameOpened",
        [
            *(("game", "game"), ("category", "category"), ("provider", "gameTrackingProvider")),
            *(("platform", "platform"), ("from", "from"), ("currency", "currency")),
            ("vip", "rGroup"),
        ],
    ),
    "API Error": (
        "APIError",
        [
            *(("stage", "stage"), ("error", "error"), ("platform", "platform")),
            *(("page", "page"), ("status", "status")),
        ],
    ),
    "PopupModule": (
        "Popup",
        [
            *(("type", "popupType"), ("click", "clickType"), ("component", "componentId")),
            *(("game", "game"), ("platform", "platform")),
        ],
    ),
    "GridClick": (
        "GridClick",
        [("component", "componentId"), ("game", "game"), ("platform", "platform")],
    ),
}
SYMBOLS = {
    "Login": ("L", "success"),
    "GameOpened": ("G", "category"),
    "API Error": ("E", "stage"),
    "PopupModule": ("P", "popupType"),
    "GridClick": ("C", None),
}
# Metric: event types, the field that must have this value, the field whose values are counted
# (events where none), and the fields it is split by.
METRICS = {
    "logins": (["Login"], None, None, ["platform", "currency", "rGroup"]),
    "failed_logins": (["Login"], ("success", False), None, ["platform", "method"]),
    "game_openings": (
        *(["GameOpened"], None, None),
        ["platform", "currency", "category", "gameTrackingProvider"],
    ),
    "errors": (["API Error"], None, None, ["stage", "status", "platform"]),
    "popups": (["PopupModule"], None, None, ["popupType", "platform"]),
    "popup_clicks": (["PopupModule"], ("clicked", True), None, ["popupType"]),
    "members": (list(FIELDS), None, "memberCode", ["platform", "currency"]),
    "devices": (
        *(["Login", "GameOpened", "API Error", "PopupModule"], None, "fingerprint"),
        [],
    ),
}
