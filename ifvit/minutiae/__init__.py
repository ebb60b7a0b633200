"""What an examiner looks at: minutiae of a matched pair. They show a decision and do not decide."""
