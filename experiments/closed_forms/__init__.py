"""What theory says of the experiments' games, in closed form: the numbers that runs are compared with."""
