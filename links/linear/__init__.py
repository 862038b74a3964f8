"""Links in closed form: from whichever sources ran, the stem among them, to a target's vector; NumPy alone."""
