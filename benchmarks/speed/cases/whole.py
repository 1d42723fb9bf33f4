"""Maps, whole runs, their memory, and others who look for duplicates in a folder."""

from speed import agreement
from speed.cases.sets import CLUSTERS, PHOTO_MEGAPIXELS, REAL_PHOTOS, SMALL
from speed.records import FASTDUP, IMAGEDEDUP, MAIN, Case, Side, Target

WHOLE = (
    Case(
        "maps",
        "t-SNE and UMAP",
        "Both maps of {n:,} rows x {d} in 40 clusters. overlens: one exact graph of neighbours for both, and the maps.",
        (
            Side("overlens", "projections:project_overlens", libraries=("openTSNE", "umap-learn")),
            Side(
                "umap-learn + openTSNE",
                "projections:project_apart",
                MAIN,
                libraries=("umap-learn", "openTSNE"),
                note="UMAP by its defaults, and of t-SNE the optimisation alone, without its neighbours",
            ),
        ),
        {
            "quick": {"n": 700, "d": 64},
            "usual": {"n": 3000, "d": 512},
            "full": {"n": 20_000, "d": 512},
        },
        CLUSTERS,
        agreement.compare_maps,
        (
            Target(
                "no slower than the two (of 20,000)", "umap-learn + openTSNE", "overlens", at_least=1, full_only=True
            ),
        ),
        rounds=1,
        unit="rows",
    ),
    Case(
        "compute",
        "A whole run, and the same again",
        "`overlens compute` of three datasets, {photos:,} JPEG files together, with the offline encoder and every "
        "output: pairs, verdicts, groups, maps, splits, generalization, pictures.",
        (
            Side("overlens, first run", "whole:compute_all", libraries=("openvino", "openTSNE", "umap-learn")),
            Side("overlens, second run", "whole:compute_all", options={"again": True}, is_part=True),
        ),
        {
            "quick": {"n": 60, "photos": 60, "megapixels": PHOTO_MEGAPIXELS},
            "usual": {"n": 600, "photos": 600, "megapixels": PHOTO_MEGAPIXELS},
            "full": {"n": 3000, "photos": 3000, "megapixels": PHOTO_MEGAPIXELS},
        },
        REAL_PHOTOS,
        None,
        (
            Target(
                "no stage but decoding, encoding and t-SNE above 5 % (of 3,000)",
                "overlens, first run",
                figure="largest other share",
                at_most=0.05,
            ),
            Target("the second run under 1/20", "overlens, first run", "overlens, second run", at_least=20),
        ),
        rounds=1,
        fresh=True,
        remark="Of 3,000 images with FULL=1. Verification judges each candidate pair by its pixels; `--no-verify` "
        "leaves it out.",
        unit="images",
    ),
    Case(
        "memory",
        "Memory against the number of images",
        "Features, pairs and verdicts of {few:,} and of {small:,} small synthetic images with the offline encoder.",
        (
            Side("overlens, ten times as many", "whole:compute_features", options={"part": "small"}),
            Side("overlens, few", "whole:compute_features", options={"part": "few"}, is_part=True),
        ),
        {
            "quick": {"small": 60, "few": 20},
            "usual": {"small": 2000, "few": 200},
            "full": {"small": 20_000, "few": 2000},
        },
        SMALL,
        None,
        (
            Target(
                "the same within 10 %, apart from the rows themselves (2,000 and 20,000)",
                "overlens, ten times as many",
                "overlens, few",
                figure="peak_mb apart from rows",
                at_most=1.1,
                full_only=True,
            ),
        ),
        rounds=1,
        fresh=True,
        remark="An embedding of the offline encoder takes 5 kB: 10 MB of 2,000 images, 102 MB of 20,000; the target "
        "leaves them out.",
    ),
    Case(
        "peers",
        "Looking for duplicates in a folder",
        "{n:,} JPEG files, one in ten a copy, in a new process each: from the first import to the pairs.",
        (
            Side("overlens, phash", "whole:duplicates_overlens", options={"verify": False}),
            Side(
                "overlens, phash and verified",
                "whole:duplicates_overlens",
                options={"verify": True},
                note="pairs are judged by their pixels",
            ),
            Side(
                "imagededup",
                "whole:duplicates_imagededup",
                IMAGEDEDUP,
                libraries=("imagededup",),
                note="phash, distance 5; two operators of torchvision that it never calls (nms, qnms) are declared for "
                "it, as PyPI's torchvision does not load beside a CPU build of torch",
            ),
            Side(
                "fastdup",
                "whole:duplicates_fastdup",
                FASTDUP,
                libraries=("fastdup",),
                note="its own embeddings, nearest neighbours",
            ),
            Side("CleanVision", "whole:duplicates_cleanvision", MAIN, libraries=("cleanvision",)),
            Side(
                "difPy",
                "whole:duplicates_difpy",
                MAIN,
                libraries=("difPy",),
                note='"similar", with turns',
            ),
        ),
        {
            "quick": {"n": 60, "photos": 60, "megapixels": PHOTO_MEGAPIXELS},
            "usual": {"n": 1500, "photos": 1500, "megapixels": PHOTO_MEGAPIXELS},
        },
        REAL_PHOTOS,
        agreement.compare_planted,
        rounds=1,
        fresh=True,
        unit="images",
        remark="They do different work: only overlens and imagededup compare a perceptual hash alone, and their hashes "
        "are not the same bits.",
    ),
)
