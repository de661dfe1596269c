"""One file per question: compute(Record) -> Result, and draw(Result) -> figure. No torch."""
