"""What share of the pairs that ought to be found was found, where identifiers say which."""
