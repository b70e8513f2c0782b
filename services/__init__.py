"""The five services of a loan's life and the operators' console; none imports another."""
