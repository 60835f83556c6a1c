"""The vocabularies that games, errors, devices and popups are named from."""

from __future__ import annotations

ADJECTIVES = (
    *("Golden", "Lucky", "Wild", "Mystic", "Royal", "Fortune", "Dragon", "Jade", "Crazy", "Super"),
    *("Thunder", "Crystal", "Ancient", "Neon", "Sweet", "Magic", "Fire", "Ocean", "Solar", "Mega"),
    *("Phoenix", "Imperial", "Secret", "Diamond", "Hidden", "Spicy", "Flying", "Iron", "Lunar"),
    *("Cosmic", "Velvet", "Electric", "Frozen", "Savage", "Silk", "Sacred", "Double", "Triple"),
    *("Bamboo", "Lotus"),
)
NOUNS = {
    "slots": (
        *("Ways", "Bonanza", "Rush", "Temple", "Gems", "Reels", "Treasure", "Tiger", "Mahjong"),
        *("Panda", "Empire", "Quest", "Fruits", "Ganesha", "Koi", "Carnival", "Samurai", "Pirate"),
        *("Buffalo", "Wolf", "Pharaoh", "Joker", "Bandit", "Candy", "Olympus", "Clover"),
    ),
    "live-casino": ("Baccarat", "Roulette", "Blackjack", "Sic Bo", "Dragon Tiger", "Xoc Dia"),
    "sports": ("Football", "Basketball", "Tennis", "Esports", "Cricket", "Racing"),
    "fishing": ("Fishing", "Fish Hunter", "Deep Sea", "Shark Bay", "Fish Prawn Crab"),
    "table-games": ("Poker", "Tien Len", "Pok Deng", "Domino", "Hi-Lo", "Rummy"),
    "lottery": ("Keno", "Lotto", "Number Game", "Bingo", "Fast Five"),
}
PROVIDERS = {
    "slots": ("PGSoft", "PragmaticPlay", "JILI", "Spadegaming", "Habanero", "CQ9", "NetEnt"),
    "live-casino": ("Evolution", "SexyBaccarat", "DreamGaming", "WMCasino"),
    "sports": ("SABA", "BTiSports", "CMD368"),
    "fishing": ("JDB", "FaChai", "YoPlay"),
    "table-games": ("KingMaker", "V8Poker", "RichGaming"),
    "lottery": ("TCGaming", "QQKeno", "VRLottery"),
}
MODELS = {
    "android": (
        *("SM-A125F", "SM-A325F", "SM-G991B", "SM-A536E", "SM-S918B", "SM-J730G", "SM-A057F"),
        *("CPH2127", "CPH2239", "CPH2483", "CPH1909", "vivo 1906", "vivo 2015", "V2207", "V2111"),
        *("RMX3085", "RMX3231", "RMX2185", "M2006C3LG", "22101316G", "23053RN02A", "2201117TG"),
        *("Nokia C21", "TECNO KI5k", "Infinix X6515", "ASUS_I005D", "Pixel 6a", "Pixel 7"),
    ),
    "ios": (
        *("iPhone10,4", "iPhone11,8", "iPhone12,1", "iPhone12,8", "iPhone13,2", "iPhone13,4"),
        *("iPhone14,5", "iPhone14,2", "iPhone15,2", "iPhone15,3", "iPhone16,2", "iPad11,6"),
    ),
    "desktop": ("Windows PC", "Mac", "Linux PC", "Chromebook"),
}
SYSTEMS = {
    "android": ("Android 9", "Android 10", "Android 11", "Android 12", "Android 13", "Android 14"),
    "ios": ("iOS 14.8", "iOS 15.7", "iOS 16.6", "iOS 17.2", "iOS 17.5", "iOS 18.1"),
    "desktop": ("Windows 10", "Windows 11", "macOS 13", "macOS 14", "Windows 7", "Ubuntu"),
}
METHODS = ("password", "otp", "biometric", "google", "pin")
FROM = (
    *("home", "lobby", "category-page", "search", "recent", "favourites", "popup", "banner"),
    "provider-page",
)
FROM_SHARES = (0.55, 0.24, 0.11, 0.03, 0.03, 0.02, 0.01, 0.005, 0.005)
POPUP_TYPES = (
    *("promotion", "announcement", "deposit-reminder", "vip-upgrade", "game-recommendation"),
    *("daily-check-in", "lucky-wheel", "app-download", "survey"),
)
POPUP_SHARES = (0.3, 0.18, 0.14, 0.05, 0.12, 0.09, 0.06, 0.04, 0.02)
CLICK_TYPES = ("close", "cta", "outside", "dont-show-again", "auto-close")
CLICKS = (0.55, 0.12, 0.15, 0.06, 0.12)
CLICKS_OF_CLICKERS = (0.12, 0.76, 0.04, 0.01, 0.07)

# message, HTTP status
ERRORS = (
    ("Request failed with status code 500", "500"),
    ("Request failed with status code 502", "502"),
    ("Request failed with status code 503", "503"),
    ("Request failed with status code 504", "504"),
    ("Request failed with status code 401", "401"),
    ("Request failed with status code 403", "403"),
    ("Request failed with status code 404", "404"),
    ("Request failed with status code 429", "429"),
    ("timeout of 10000ms exceeded", "0"),
    ("timeout of 30000ms exceeded", "0"),
    ("Network Error", "0"),
    ("Request aborted", "0"),
    ("Failed to fetch", "0"),
    ("Load failed", "0"),
    ("Unexpected token '<', \"<html> <h\"... is not valid JSON", "200"),
    ("Unexpected end of JSON input", "200"),
    ("Cannot read properties of undefined (reading 'balance')", "200"),
    ("Cannot read properties of null (reading 'gameUrl')", "200"),
    ("undefined is not an object (evaluating 'e.data.list')", "200"),
    ("session expired, please log in again", "401"),
    ("token invalid", "401"),
    ("Duplicate login detected", "409"),
    ("Game is under maintenance", "503"),
    ("Game provider did not respond", "504"),
    ("Provider wallet is locked", "423"),
    ("Insufficient balance", "402"),
    ("Transfer in progress, try again later", "409"),
    ("Member is not allowed to open this game", "403"),
    ("Currency not supported by the provider", "400"),
    ("Too many attempts, wait 60 seconds", "429"),
    ("WebSocket connection closed before it was established", "0"),
    ("ResizeObserver loop limit exceeded", "200"),
    ("ChunkLoadError: Loading chunk 47 failed", "0"),
    ("QuotaExceededError: The quota has been exceeded", "200"),
    (
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad "
        "Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>",
        "502",
    ),
    ("<!DOCTYPE html><html lang=en><title>Attention Required! | Cloudflare</title>", "403"),
)
STAGES = (
    *("member/login", "member/profile", "wallet/balance", "wallet/transfer", "game/launch"),
    *("game/list", "game/favourites", "promotion/list", "popup/list", "banner/list"),
    *("announcement/list", "vip/progress", "chat/token", "config/site", "tracking/send"),
)
# What newcomers run into: message, status, stage.
ONBOARDING = (
    ("Phone number already registered", "409", "member/register"),
    ("Verification code is wrong or expired", "400", "member/register"),
    ("Password must contain a number and a capital letter", "400", "member/register"),
    ("Referral code does not exist", "404", "member/register"),
    ("Bank account could not be verified", "422", "member/bank"),
    ("Name does not match the bank account", "422", "member/bank"),
    ("Account locked after 5 failed logins", "423", "member/login"),
    ("Wrong user name or password", "401", "member/login"),
    ("Deposit amount below the minimum", "400", "wallet/deposit"),
    ("Deposit receipt could not be read", "422", "wallet/deposit"),
)
BURST = ("Upstream payment gateway unavailable", "503", "wallet/withdraw")
CHURN = ("Deposit failed: payment channel closed", "502", "wallet/deposit")
ID_TEMPLATE = ("Order {} not found", "404", "wallet/history")
PAGES = (
    *("/", "/login", "/register", "/profile", "/wallet", "/deposit", "/withdraw", "/game"),
    *("/slots", "/live-casino", "/sports", "/promotion", "/vip", "/history", "/help"),
)
LANGUAGES = {"VND": "vi-VN", "THB": "th-TH", "IDR": "id-ID"}
COUNTRIES = {"VND": "VN", "THB": "TH", "IDR": "ID"}
