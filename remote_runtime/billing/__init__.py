"""Seconds into money: the price table and the meter, both pure."""
