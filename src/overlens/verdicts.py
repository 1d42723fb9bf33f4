"""The ladder of evidence: what can be said of a pair of images, from the same file to merely alike.

The first four rungs are copies, and only they make an overlap that can be quoted. The other two say why a pair looks
like one and is not.
"""

VERDICTS = ("same_bytes", "same_pixels", "same_picture", "edited", "same_scene", "look_alike")
SAME_BYTES, SAME_PIXELS, SAME_PICTURE, EDITED, SAME_SCENE, LOOK_ALIKE = range(len(VERDICTS))
VERIFIED = VERDICTS[: EDITED + 1]
"""The rungs that count as copies."""
