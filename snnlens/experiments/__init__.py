"""One file per question that needs a model run: Params, and run(params) -> Record."""
