"""Whether a camera still sees what it saw: a view that has moved, was switched over, covered or blurred is a state."""
