"""Real programs go out, are upgraded under load, and a bad release comes back by itself: `make demo`."""
