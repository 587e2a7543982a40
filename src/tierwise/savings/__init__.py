"""What a policy would have cost, and what it did save: repricing, simulation, prediction, backtest."""
