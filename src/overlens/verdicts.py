"""The ladder of evidence: what can be said of a pair of images, from the same file to merely alike.

The first four rungs are copies, and only they make an overlap that can be quoted. The other two say why a pair looks
like one and is not.
"""

VERDICTS = ("same_bytes", "same_pixels", "same_picture", "edited", "same_scene", "look_alike")
SAME_BYTES, SAME_PIXELS, SAME_PICTURE, EDITED, SAME_SCENE, LOOK_ALIKE = range(len(VERDICTS))
VERIFIED = VERDICTS[: EDITED + 1]
"""The rungs that count as copies."""

MEANINGS = {
    "same_bytes": "the files are equal, byte for byte",
    "same_pixels": "the decoded pictures are equal, pixel for pixel",
    "same_picture": "one picture, resized, recompressed or recoloured",
    "edited": "one picture, cropped, bordered, overlaid, squashed, flipped or rotated",
    "same_scene": "the same thing or composition, photographed or painted another time",
    "look_alike": "only the embedding or a hash says so",
}
