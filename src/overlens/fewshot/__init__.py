"""Few-shot splits and episodes that do not leak, with what certifies them."""
