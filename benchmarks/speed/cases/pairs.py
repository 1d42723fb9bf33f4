"""All pairs over a threshold: vectors by cosine, hashes by differing bits."""

from speed import agreement
from speed.cases.sets import HASHES, PUBLISHED, VECTORS
from speed.records import MAIN, Case, Side, Target

FAISS = ("faiss-cpu",)

FLAT = Side(
    "faiss IndexFlatIP",
    "pairs:cosine_faiss_flat",
    MAIN,
    libraries=FAISS,
    rounds=2,
    note="measured on {queries:,} queries, scaled",
)
NUMPY = Side(
    "numpy in blocks", "pairs:cosine_numpy", libraries=("numpy",), rounds=1, note="float32, 2,048 rows, upper half"
)

PAIRS = (
    Case(
        "cosine",
        "Cosine pairs of synthetic vectors",
        "All pairs of {n:,} random rows x {d} with a cosine of at least {min_similarity}; one row in ten is a copy.",
        (
            Side("overlens", "pairs:cosine_overlens", note="rows mapped from the file"),
            NUMPY,
            FLAT,
            Side(
                "faiss HNSW",
                "pairs:cosine_faiss_hnsw",
                MAIN,
                libraries=FAISS,
                rounds=1,
                note="M 32; its building, and {queries:,} queries scaled",
            ),
        ),
        {
            "quick": {"n": 2000, "d": 64, "min_similarity": 0.9, "queries": 500},
            "usual": {"n": 100_000, "d": 512, "min_similarity": 0.9, "queries": 4000},
        },
        VECTORS,
        agreement.compare_pairs,
        (
            Target("at least 5 x numpy in blocks", "numpy in blocks", "overlens", at_least=5),
            Target("at least 10 x faiss flat", "faiss IndexFlatIP", "overlens", at_least=10),
            Target("under 800 MB", "overlens", figure="peak_mb", at_most=800),
        ),
        unit="rows",
    ),
    Case(
        "cosine-real",
        "Cosine pairs of real vectors",
        "All pairs of {n:,} rows x {d} with a cosine of at least {min_similarity}: published ViT-B/32 vectors of 3,174 "
        "artworks, repeated with noise of up to {noise} of their length.",
        (Side("overlens", "pairs:cosine_overlens", note="rows mapped from the file"), NUMPY),
        {
            "quick": {"n": 4000, "d": 512, "min_similarity": 0.9, "noise": 0.3},
            "usual": {"n": 100_000, "d": 512, "min_similarity": 0.9, "noise": 0.3},
        },
        PUBLISHED,
        agreement.compare_pairs,
        (
            Target("never slower than numpy in blocks", "numpy in blocks", "overlens", at_least=1),
            Target("under 800 MB", "overlens", figure="peak_mb", at_most=800),
        ),
        rounds=2,
        unit="rows",
    ),
    Case(
        "cosine-simple",
        "Cosine pairs the simple ways",
        "All pairs of {n:,} random rows x {d} with a cosine of at least {min_similarity}.",
        (
            Side("overlens", "pairs:cosine_overlens"),
            Side(
                "scikit-learn radius neighbours",
                "pairs:cosine_sklearn",
                MAIN,
                libraries=("scikit-learn",),
                rounds=1,
                note="brute force, all cores",
            ),
            Side(
                "loops in Python",
                "pairs:cosine_loops",
                libraries=("numpy",),
                rounds=1,
                note="measured on {rows_looped:,} rows, scaled by the square",
            ),
        ),
        {
            "quick": {"n": 1000, "d": 64, "min_similarity": 0.9, "rows_looped": 100},
            "usual": {"n": 20_000, "d": 512, "min_similarity": 0.9, "rows_looped": 2000},
        },
        VECTORS,
        agreement.compare_pairs,
        unit="rows",
    ),
    Case(
        "hamming",
        "Pairs of 64-bit hashes",
        "All pairs of {n:,} hashes that differ in at most {max_distance_bits} bits; skewed, 2 % identical.",
        (
            Side("overlens", "pairs:hamming_overlens"),
            Side(
                "faiss IndexBinaryFlat",
                "pairs:hamming_faiss",
                MAIN,
                libraries=FAISS,
                note="measured on {queries:,} queries, scaled",
            ),
        ),
        {
            "quick": {"n": 5000, "max_distance_bits": 8, "queries": 500},
            "usual": {"n": 1_000_000, "max_distance_bits": 8, "queries": 5000},
        },
        HASHES,
        agreement.compare_pairs,
        (Target("under 1/20 of faiss IndexBinaryFlat", "faiss IndexBinaryFlat", "overlens", at_least=20),),
        unit="hashes",
    ),
)
