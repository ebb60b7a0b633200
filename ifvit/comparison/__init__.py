"""An aligned pair to a decision: Module 2's views, scores, and what a score is worth."""
