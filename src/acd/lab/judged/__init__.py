"""The predictive dialler judged on real calls: a lab campaign, and what the simulator says of the very same people."""
