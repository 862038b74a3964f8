"""What is lost by not running a model on an input: each answer's expected agreement, learnt beforehand and live."""
