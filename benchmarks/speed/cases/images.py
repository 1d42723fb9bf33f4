"""Files to hashes, pictures to embeddings, and both beside each other."""

from speed import agreement
from speed.cases.sets import MUSEUM, MUSEUM_MEGAPIXELS, PHOTO_MEGAPIXELS, PHOTOS, TOWER, TOWER_SIZES
from speed.records import MAIN, Case, Side, Target

ALL_HASHES = ("phash", "dhash", "whash", "ahash")
TORCH, IMAGEHASH = ("torch", "transformers"), ("ImageHash",)

HASHING = (
    Case(
        "phash",
        "Files to exact phash",
        "{n:,} JPEG files of {megapixels[0]} to {megapixels[1]} megapixels: read, decode, hash.",
        (
            Side("overlens", "images:extract_phashes", note="with the digest of each file"),
            Side("ImageHash, loop", "images:hash_with_imagehash", MAIN, libraries=IMAGEHASH, note="one thread"),
            Side("decoding alone", "images:decode_only", note="overlens's decoder and threads; no hash", is_part=True),
        ),
        {
            "quick": {"n": 20, "photos": 60, "megapixels": PHOTO_MEGAPIXELS},
            "usual": {"n": 1500, "photos": 1500, "megapixels": PHOTO_MEGAPIXELS},
        },
        PHOTOS,
        agreement.compare_hashes,
        (
            Target("at least 3 x the serial ImageHash loop", "ImageHash, loop", "overlens", at_least=3),
            Target("at least 85 % of decoding alone", "decoding alone", "overlens", at_least=0.85),
        ),
        unit="images",
    ),
    Case(
        "four-hashes",
        "Four hashes of a picture",
        "{n:,} of the same files to phash alone, and to phash, dhash, whash and ahash at once.",
        (
            Side("overlens, four", "images:hash_decoded", options={"types": ALL_HASHES}),
            Side("overlens, phash", "images:hash_decoded", options={"types": ("phash",)}, is_part=True),
            Side(
                "ImageHash, four, loop",
                "images:hash_with_imagehash",
                MAIN,
                options={"types": ALL_HASHES},
                libraries=IMAGEHASH,
                rounds=1,
                note="one thread",
            ),
        ),
        {
            "quick": {"n": 20, "photos": 60, "megapixels": PHOTO_MEGAPIXELS},
            "usual": {"n": 300, "photos": 1500, "megapixels": PHOTO_MEGAPIXELS},
        },
        PHOTOS,
        agreement.compare_hashes,
        (Target("at most 1.4 x the time of one", "overlens, four", "overlens, phash", at_most=1.4),),
        unit="images",
    ),
    Case(
        "museum",
        "Large files to phash",
        "{n:,} JPEG files of {megapixels[0]} to {megapixels[1]} megapixels to phash, decoded at a fraction of "
        "their size (`--scaled-decode`) and in full.",
        (
            Side("overlens, scaled decode", "images:extract_phashes", options={"scaled": True}),
            Side("overlens, full decode", "images:extract_phashes"),
            Side("ImageHash, loop", "images:hash_with_imagehash", MAIN, libraries=IMAGEHASH, note="one thread"),
        ),
        {
            "quick": {"n": 3, "photos": 3, "megapixels": MUSEUM_MEGAPIXELS},
            "usual": {"n": 60, "photos": 60, "megapixels": MUSEUM_MEGAPIXELS},
        },
        MUSEUM,
        agreement.compare_hashes,
        (Target("at least 2 x full decode", "overlens, full decode", "overlens, scaled decode", at_least=2),),
        unit="images",
    ),
)

EMBEDDING = (
    Case(
        "embedding",
        "Pictures to ViT-B/32 embeddings",
        "{n:,} prepared pictures of 224 x 224 through the image tower of CLIP, its weights drawn from a seed.",
        (
            Side("overlens", "embedding:encode_overlens", libraries=("openvino",)),
            Side(
                "torch, float32",
                "embedding:encode_torch",
                MAIN,
                libraries=TORCH,
                note="the way of simple scripts",
                rounds=2,
            ),
            Side("torch, bfloat16", "embedding:encode_torch", MAIN, options={"half": True}, libraries=TORCH),
            Side(
                "bf16 products alone",
                "embedding:multiply_bf16",
                MAIN,
                libraries=("torch",),
                note="as many operations as products of 4,096 x 4,096, the ceiling; scaled",
                is_part=True,
            ),
        ),
        TOWER_SIZES,
        TOWER,
        agreement.compare_vectors,
        (
            Target("at least 3 x torch float32", "torch, float32", "overlens", at_least=3),
            Target(
                "at least 85 % of the bf16 ceiling, where the processor has bf16",
                "bf16 products alone",
                "overlens",
                at_least=0.85,
            ),
        ),
        unit="images",
    ),
    Case(
        "pipeline",
        "Decoding and hashing beside the encoder",
        "{n:,} JPEG files to phash and embedding, against the encoder alone on pictures that are prepared.",
        (
            Side("overlens, files to rows", "embedding:extract_embeddings", libraries=("openvino",)),
            Side("overlens, encoder alone", "embedding:encode_overlens", libraries=("openvino",), is_part=True),
        ),
        TOWER_SIZES,
        TOWER,
        agreement.compare_vectors,
        (
            Target(
                "the whole at least 95 % of the encoder alone",
                "overlens, encoder alone",
                "overlens, files to rows",
                at_least=0.95,
            ),
        ),
        unit="images",
        remark="Decoding and encoding share the cores, so the faster the encoder, the larger the share of decoding.",
    ),
)
