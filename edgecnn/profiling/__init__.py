"""From raw samples to verdicts: plan, measure, accuracy, compare, report."""
